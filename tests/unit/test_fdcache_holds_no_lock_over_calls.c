/* SPDX-License-Identifier: GPL-2.0-or-later */
/* While a file is being opened or closed the cache can be asked for the same file: no lock is held
 * (the calls below would hang), forget says that a descriptor is open, what was forgotten while it
 * was opened is not given out again, and of two openers the later one closes its own.
 *
 * The two system calls are ours here: they call back into the cache in the middle. */
#include <sys/syscall.h>

#include "base/fdcache.h"
#include "tests/unit/backing.h"

static struct fdcache *cache;
static struct handle file;
static void (*in_open)(void), (*in_close)(void);
static int opened; /* the last descriptor that was opened */
static struct fdref *nested;
static unsigned calls;

static void run_once(void (**hook)(void))
{
	void (*call)(void) = *hook;

	*hook = NULL;
	if (call)
		call();
}

int open_by_handle_at(int mount_fd, struct file_handle *h, int flags)
{
	int fd = (int)syscall(SYS_open_by_handle_at, mount_fd, h, flags);

	run_once(&in_open);
	opened = fd;
	return fd;
}

int close(int fd)
{
	run_once(&in_close);
	return (int)syscall(SYS_close, fd);
}

static void forget_fails(void)
{
	check(!fdcache_forget(cache, &file));
	calls++;
}

static void get_nested(void)
{
	check(fdcache_get(cache, &file, FD_READ, &nested) == 0);
	calls++;
}

static void forgotten_while_opened(void)
{
	struct fdref *old, *fresh;

	in_open = forget_fails;
	check(fdcache_get(cache, &file, FD_READ, &old) == 0);
	check(fdcache_get(cache, &file, FD_READ, &fresh) == 0);
	check(fresh != old);
	fdref_put(old);
	check(fdcache_open_count(cache) == 1);
	fdref_put(fresh);
	check(fdcache_forget(cache, &file));
}

static void asked_while_closed(void)
{
	struct fdref *old, *fresh;

	/* By forget itself. */
	check(fdcache_get(cache, &file, FD_READ, &old) == 0);
	fdref_put(old);
	in_close = forget_fails;
	check(fdcache_forget(cache, &file));

	/* By the last borrower of a forgotten one; a new one is opened meanwhile. */
	check(fdcache_get(cache, &file, FD_READ, &old) == 0);
	check(!fdcache_forget(cache, &file));
	in_close = get_nested;
	fdref_put(old);
	fresh = nested;
	check(fdcache_open_count(cache) == 1);
	check(!fdcache_forget(cache, &file));
	in_close = forget_fails;
	fdref_put(fresh);
	check(fdcache_forget(cache, &file));
}

static void opened_twice(void)
{
	struct fdref *ref;

	in_open = get_nested;
	check(fdcache_get(cache, &file, FD_READ, &ref) == 0);
	check(ref == nested);
	check(fcntl(opened, F_GETFD) < 0); /* the one that came too late */
	check(fcntl(fdref_fd(ref), F_GETFD) >= 0);
	check(fdcache_open_count(cache) == 1);
	fdref_put(ref);
	fdref_put(nested);
}

int main(void)
{
	check(fdcache_new(backing_make(), 8, &cache) == 0);
	file = backing_file("disk", 0);
	forgotten_while_opened();
	asked_while_closed();
	opened_twice();
	check(calls == 5);
	fdcache_free(cache);
	return 0;
}
