/* SPDX-License-Identifier: GPL-2.0-or-later */
/* System calls that are interrupted, do a part, fail, or do not exist on a filesystem: the leaf
 * goes on, does the same in another way, or fails and leaves the size; a failed flush sticks.
 *
 * The calls are ours here: *fail is consulted, then the real one is made. */
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "base/leaf.h"
#include "tests/unit/backing.h"

#define SIZE 100000u

static int fail_write, fail_dsync, fail_sync, fail_allocate; /* errno of the next call; 0: none */
static unsigned interrupted; /* this many calls fail with EINTR first */
static bool tear = true;     /* move at most 7777 bytes a call */
static unsigned syncs;

static bool fails(int *error)
{
	if (interrupted > 0) {
		interrupted--;
		errno = EINTR;
		return true;
	}
	errno = *error;
	*error = 0;
	return errno != 0;
}

static size_t part(size_t len)
{
	return tear ? MIN(len, 7777) : len;
}

ssize_t pread(int fd, void *buf, size_t len, off_t off)
{
	int none = 0;

	return fails(&none) ? -1 : syscall(SYS_pread64, fd, buf, part(len), off);
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t off)
{
	if (off >= 50000 && fails(&fail_write))
		return -1;
	return syscall(SYS_pwrite64, fd, buf, part(len), off);
}

ssize_t pwritev2(int fd, const struct iovec *parts, int n, off_t off, int flags)
{
	check(n == 1 && flags == RWF_DSYNC);
	if (fails(&fail_dsync))
		return -1;
	return syscall(SYS_pwrite64, fd, parts->iov_base, part(parts->iov_len), off);
}

int fdatasync(int fd)
{
	syncs++;
	return fails(&fail_sync) ? -1 : 0;
}

int fallocate(int fd, int mode, off_t off, off_t len)
{
	return fails(&fail_allocate) ? -1 : (int)syscall(SYS_fallocate, fd, mode, off, len);
}

static struct stage *leaf;
static uint8_t data[SIZE], got[2 * SIZE];

static bool holds(const void *expected, uint64_t off, size_t len)
{
	check(stage_read(leaf, got, NULL, off, len) == 0);
	return memcmp(got, expected, len) == 0;
}

static void interruptions_and_parts(void)
{
	interrupted = 3;
	check(stage_write(leaf, data, NULL, 0, SIZE, 0) == 0);
	check(stage_size(leaf) == SIZE);
	interrupted = 3;
	check(holds(data, 0, SIZE));
	interrupted = 3;
	check(stage_write(leaf, data, NULL, 5, 50000, STAGE_FUA) == 0);
	check(holds(data, 5, 50000));
	interrupted = 3;
	check(stage_flush(leaf) == 0 && interrupted == 0);
	interrupted = 3;
	check(stage_trim(leaf, 0, 10) == 0 && interrupted == 0);
}

static void missing_calls(void)
{
	static const uint8_t zeros[90000];

	check(stage_write(leaf, data, NULL, 0, SIZE, 0) == 0);
	fail_allocate = EOPNOTSUPP;
	check(stage_trim(leaf, 100, 80000) == 0 && holds(zeros, 100, 80000));
	check(stage_write(leaf, data, NULL, 0, SIZE, 0) == 0);
	fail_allocate = EOPNOTSUPP;
	check(stage_zero(leaf, 5, 90000) == 0 && holds(zeros, 5, 90000));
	check(holds(data + 90005, 90005, SIZE - 90005) && holds(data, 0, 5));
	fail_allocate = EOPNOTSUPP;
	check(stage_reserve(leaf, 0, 10) == -EOPNOTSUPP);

	syncs = 0;
	fail_dsync = EOPNOTSUPP;
	check(stage_write(leaf, data, NULL, 3, 1000, STAGE_FUA) == 0);
	check(syncs == 1 && holds(data, 3, 1000));
}

static void failed_write_leaves_the_size(void)
{
	struct stat attr;

	check(stage_resize(leaf, 45000) == 0);
	fail_write = ENOSPC; /* not the first part: that is before 50000 */
	check(stage_write(leaf, data, NULL, 44000, 20000, 0) == -ENOSPC);
	check(stage_size(leaf) == 45000);
	check(fstatat(backing_fd, "disk", &attr, 0) == 0 && attr.st_size == 45000);
}

static void failed_flush_sticks(void)
{
	check(stage_resize(leaf, SIZE) == 0);
	fail_dsync = fail_write = ENOSPC;
	check(stage_write(leaf, data, NULL, 50000, 10, STAGE_FUA) == -ENOSPC);
	check(stage_flush(leaf) == 0); /* that write was never promised */
	fail_sync = EIO;
	check(stage_flush(leaf) == -EIO);
	check(stage_flush(leaf) == -EIO && stage_drain(leaf) == -EIO);
	check(stage_write(leaf, data, NULL, 0, 10, STAGE_FUA) == -EIO);
	check(stage_write(leaf, data, NULL, 0, 10, 0) == 0 && holds(data, 0, 10));
}

int main(void)
{
	struct fdcache *cache;
	struct handle h;

	for (unsigned i = 0; i < SIZE; i++)
		data[i] = (uint8_t)(i * 2654435761u >> 24 | 1);
	check(fdcache_new(backing_make(), 4, &cache) == 0);
	h = backing_file("disk", 0);
	check(leaf_new(cache, &h, &leaf) == 0);
	interruptions_and_parts();
	missing_calls();
	failed_write_leaves_the_size();
	failed_flush_sticks();
	leaf_free(leaf);

	/* A disk opened again starts anew, and so does a failed durable write. */
	check(leaf_new(cache, &h, &leaf) == 0);
	check(stage_flush(leaf) == 0);
	fail_dsync = EIO;
	check(stage_write(leaf, data, NULL, 0, 10, STAGE_FUA) == -EIO);
	check(stage_flush(leaf) == -EIO);
	leaf_free(leaf);
	fdcache_free(cache);
	return 0;
}
