/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What was forgotten is never given out again, and "true" means that no descriptor of ours is
 * open: then a write lease is granted. */
#include "base/fdcache.h"
#include "tests/unit/backing.h"

static bool lease_granted(void)
{
	int fd = openat(backing_fd, "disk", O_RDWR | O_CLOEXEC);
	bool granted;

	check(fd >= 0);
	granted = fcntl(fd, F_SETLEASE, F_WRLCK) == 0;
	close(fd);
	return granted;
}

int main(void)
{
	struct fdref *held, *other, *fresh;
	struct fdcache *c;
	struct handle h, h2;

	check(fdcache_new(backing_make(), 8, &c) == 0);
	h = backing_file("disk", 0);
	h2 = backing_file("other", 0);
	check(fdcache_forget(c, &h)); /* never heard of it */

	check(fdcache_get(c, &h, FD_READ, &held) == 0);
	check(fdcache_get(c, &h, FD_WRITE, &other) == 0);
	fdref_put(other);
	check(fdcache_get(c, &h2, FD_READ, &other) == 0);
	fdref_put(other);
	check(fdcache_open_count(c) == 3);

	check(!fdcache_forget(c, &h));
	check(fdcache_open_count(c) == 2); /* the idle one is closed */
	check(!lease_granted());
	check(!fdcache_forget(c, &h)); /* still borrowed */

	check(fdcache_get(c, &h, FD_READ, &fresh) == 0);
	check(fresh != held && fdref_fd(fresh) != fdref_fd(held));
	fdref_put(held);
	check(!fdcache_forget(c, &h));
	fdref_put(fresh);
	check(fdcache_forget(c, &h));
	check(lease_granted());
	check(fdcache_open_count(c) == 1);
	fdcache_free(c);
	return 0;
}
