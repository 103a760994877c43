/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Idle descriptors stay within the capacity, the least recently used go first, borrowed ones
 * never; a descriptor of more rights serves one that asks for less. */
#include <sys/stat.h>

#include "base/fdcache.h"
#include "tests/unit/backing.h"

#define FILES 300

static struct handle files[FILES];

/* The descriptor's number, which stays the same exactly while it is kept. */
static int use(struct fdcache *c, unsigned file, enum fd_kind kind)
{
	struct fdref *ref;
	struct stat attr;
	int fd;

	check(fdcache_get(c, &files[file], kind, &ref) == 0);
	fd = fdref_fd(ref);
	check(fstat(fd, &attr) == 0 && attr.st_size == (off_t)file);
	fdref_put(ref);
	return fd;
}

static void least_recently_used_goes(void)
{
	struct fdcache *c;
	struct fdref *held;
	struct stat attr;

	check(fdcache_new(backing_fd, 3, &c) == 0);
	check(fdcache_get(c, &files[0], FD_READ, &held) == 0);
	for (unsigned i = 1; i <= 3; i++)
		use(c, i, FD_READ);
	use(c, 1, FD_READ); /* 2 is the oldest now */
	use(c, 4, FD_READ); /* and goes */
	check(fdcache_open_count(c) == 4);

	/* Whoever is kept is no new opening: the file is gone, and would not open. */
	for (unsigned i = 0; i < 5; i++) {
		char name[12];

		snprintf(name, sizeof name, "%u", i);
		check(unlinkat(backing_fd, name, 0) == 0);
	}
	for (unsigned i = 0; i < 5; i++) {
		struct fdref *ref = NULL;

		check(fdcache_get(c, &files[i], FD_READ, &ref) == (i == 2 ? -ESTALE : 0));
		fdref_put(ref);
	}
	check(fstat(fdref_fd(held), &attr) == 0 && attr.st_nlink == 0);
	fdref_put(held);
	check(fdcache_open_count(c) == 3);
	fdcache_free(c);
}

static void many_files(void)
{
	struct fdcache *c;
	struct fdref *refs[FILES];

	check(fdcache_new(backing_fd, 128, &c) == 0);
	for (unsigned i = 5; i < FILES; i++)
		check(fdcache_get(c, &files[i], FD_READ, &refs[i]) == 0);
	check(fdcache_open_count(c) == FILES - 5);
	for (unsigned i = 5; i < FILES; i++)
		fdref_put(refs[i]);
	check(fdcache_open_count(c) <= 128);
	fdcache_free(c);
}

static void kinds(void)
{
	struct fdcache *c;
	struct fdref *add;
	int write_fd, fd;

	check(fdcache_new(backing_fd, 8, &c) == 0);
	write_fd = use(c, 9, FD_WRITE);
	check(use(c, 9, FD_READ) == write_fd && use(c, 9, FD_PATH) == write_fd);
	check(use(c, 10, FD_PATH) != use(c, 10, FD_READ));
	check(use(c, 10, FD_READ) != use(c, 10, FD_WRITE));
	check(fdcache_open_count(c) == 4);

	fd = openat(backing_fd, "9", O_RDONLY | O_CLOEXEC);
	check(fdcache_add(c, &files[9], FD_READ, fd, &add) == 0);
	check(fdref_fd(add) == write_fd); /* ours is closed: there was a better one */
	fdref_put(add);
	check(fcntl(fd, F_GETFD) < 0);

	fd = openat(backing_fd, "11", O_RDWR | O_CLOEXEC);
	check(fdcache_add(c, &files[11], FD_WRITE, fd, NULL) == 0);
	check(use(c, 11, FD_READ) == fd);
	check((fcntl(fd, F_GETFL) & (O_APPEND | O_DIRECT)) == 0);
	fdcache_free(c);
}

int main(void)
{
	struct fdcache *c;
	char name[12];

	backing_make();
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof name, "%u", i);
		files[i] = backing_file(name, (off_t)i);
	}
	least_recently_used_goes();
	many_files();
	kinds();
	check(fdcache_new(backing_fd, 0, &c) == -EINVAL);
	fdcache_free(NULL);
	fdref_put(NULL);
	return 0;
}
