/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/leaf.c - see base/leaf.h. */
#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "base/leaf.h"
#include "base/log.h"

#define ZEROS_SIZE   (64u << 10)
#define TRANSFER_MAX (1u << 30) /* one system call moves less than 2 GiB */

struct leaf {
	struct stage stage;
	struct fdcache *cache; /* borrowed */
	struct handle handle;
	_Atomic int flush_error; /* the first failed flush, for ever */
	_Atomic bool told;       /* that the file shrank */
	_Atomic int attributes;  /* leaf_sync_attributes */
};

static const uint8_t zeros[ZEROS_SIZE];

static struct leaf *leaf_of(struct stage *st)
{
	return container_of(st, struct leaf, stage);
}

static int borrow_fd(struct leaf *l, enum fd_kind kind, struct fdref **ret)
{
	return fdcache_get(l->cache, &l->handle, kind, ret);
}

static int leaf_open(struct stage *st)
{
	return 0; /* born open: leaf_new */
}

/* The file ended before @end, which is inside the size. */
static int short_read(struct leaf *l, int fd, uint64_t end)
{
	struct stat attr;

	if (fstat(fd, &attr) < 0)
		return -errno;

	if ((uint64_t)attr.st_size < end && !atomic_exchange(&l->told, true))
		log_warning("backing file with inode %ju shrank to %jd bytes behind weir, which "
			    "expects %" PRIu64 "; reads past its end fail",
			    (uintmax_t)attr.st_ino, (intmax_t)attr.st_size, stage_size(&l->stage));
	return -EIO;
}

static int leaf_read(struct stage *st, void *ret_buf, struct seal *ret_seals, uint64_t off,
		     size_t len)
{
	struct leaf *l = leaf_of(st);
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	uint8_t *to = ret_buf;
	ssize_t n;
	int r;

	if (ret_seals)
		return -EINVAL;

	r = borrow_fd(l, FD_READ, &ref);
	if (r < 0)
		return r;

	while (len > 0) {
		n = pread(fdref_fd(ref), to, MIN(len, TRANSFER_MAX), (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return short_read(l, fdref_fd(ref), off + len);
		to += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int keep_flush_error(struct leaf *l, int r)
{
	int none = 0;

	atomic_compare_exchange_strong(&l->flush_error, &none, r);
	return r;
}

static int sync_fd(struct leaf *l, int fd)
{
	int r;

	if (l->flush_error)
		return l->flush_error;
	do {
		r = (l->attributes ? fsync(fd) : fdatasync(fd)) < 0 ? -errno : 0;
	} while (r == -EINTR);
	return r < 0 ? keep_flush_error(l, r) : 0;
}

static int write_all(int fd, const uint8_t *from, uint64_t off, size_t len, int rwf)
{
	struct iovec part;
	ssize_t n;

	while (len > 0) {
		part = (struct iovec){(void *)from, MIN(len, TRANSFER_MAX)};
		n = rwf ? pwritev2(fd, &part, 1, (off_t)off, rwf)
			: pwrite(fd, from, part.iov_len, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		from += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* One error stands for two things: these bytes could not be written, or bytes (perhaps of an
 * earlier write) did not become durable, which counts as a failed flush.  Writing them plainly
 * tells which it was. */
static int write_through(struct leaf *l, int fd, const void *buf, uint64_t off, size_t len)
{
	int r;

	if (l->flush_error)
		return l->flush_error;
	r = write_all(fd, buf, off, len, RWF_DSYNC);
	if (r == -EOPNOTSUPP) {
		r = write_all(fd, buf, off, len, 0);
		return r < 0 ? r : sync_fd(l, fd);
	}
	if (r < 0 && write_all(fd, buf, off, len, 0) == 0)
		return keep_flush_error(l, r);
	return r;
}

static int leaf_write(struct stage *st, const void *buf, const struct seal *seals, uint64_t off,
		      size_t len, unsigned flags)
{
	struct leaf *l = leaf_of(st);
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	uint64_t size = stage_size(st);
	int r;

	if (seals)
		return -EINVAL;

	r = borrow_fd(l, FD_WRITE, &ref);
	if (r < 0)
		return r;

	r = flags & STAGE_FUA ? write_through(l, fdref_fd(ref), buf, off, len)
			      : write_all(fdref_fd(ref), buf, off, len, 0);
	/* A write that failed half-way must not leave a longer file behind. */
	if (r < 0 && off + len > size && ftruncate(fdref_fd(ref), (off_t)size) < 0)
		log_warning("backing file may have kept part of a failed write: error %d, ignoring",
			    errno);
	return r;
}

void leaf_sync_attributes(struct stage *leaf, int by)
{
	leaf_of(leaf)->attributes += by;
}

static int leaf_flush(struct stage *st)
{
	struct leaf *l = leaf_of(st);
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	int r;

	r = borrow_fd(l, FD_READ, &ref);
	if (r < 0)
		return r;
	return sync_fd(l, fdref_fd(ref));
}

static int write_zeros(int fd, uint64_t off, uint64_t len)
{
	int r = 0;

	while (len > 0 && r == 0) {
		size_t n = (size_t)MIN(len, (uint64_t)ZEROS_SIZE);

		r = write_all(fd, zeros, off, n, 0);
		off += n;
		len -= n;
	}
	return r;
}

static int allocate(struct leaf *l, int mode, uint64_t off, uint64_t len)
{
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	int r;

	if (len == 0)
		return 0;
	r = borrow_fd(l, FD_WRITE, &ref);
	if (r < 0)
		return r;

	do {
		r = fallocate(fdref_fd(ref), mode, (off_t)off, (off_t)len) < 0 ? -errno : 0;
	} while (r == -EINTR);
	if (r == -EOPNOTSUPP && mode != FALLOC_FL_KEEP_SIZE)
		r = write_zeros(fdref_fd(ref), off, len);
	return r;
}

static int leaf_trim(struct stage *st, uint64_t off, uint64_t len)
{
	return allocate(leaf_of(st), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len);
}

static int leaf_zero(struct stage *st, uint64_t off, uint64_t len)
{
	return allocate(leaf_of(st), FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, off, len);
}

static int leaf_reserve(struct stage *st, uint64_t off, uint64_t len)
{
	return allocate(leaf_of(st), FALLOC_FL_KEEP_SIZE, off, len);
}

static int leaf_resize(struct stage *st, uint64_t size)
{
	struct leaf *l = leaf_of(st);
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	int r;

	if (size > INT64_MAX)
		return -EFBIG;
	r = borrow_fd(l, FD_WRITE, &ref);
	if (r < 0)
		return r;

	do {
		r = ftruncate(fdref_fd(ref), (off_t)size) < 0 ? -errno : 0;
	} while (r == -EINTR);
	if (r == 0)
		l->told = false;
	return r;
}

/* The descriptor's file position moves; nobody uses it. */
static int leaf_extent(struct stage *st, uint64_t off, struct stage_extent *ret)
{
	struct leaf *l = leaf_of(st);
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	uint64_t size = stage_size(st);
	off_t data, hole;
	int r;

	r = borrow_fd(l, FD_READ, &ref);
	if (r < 0)
		return r;

	data = lseek(fdref_fd(ref), (off_t)off, SEEK_DATA);
	if (data < 0 && errno != ENXIO && errno != EINVAL)
		return -errno;
	if (data < 0) {
		/* ENXIO: nothing but a hole.  EINVAL: a filesystem that does not know. */
		*ret = (struct stage_extent){size, errno == ENXIO ? STAGE_HOLE : STAGE_DATA};
		return 0;
	}
	if ((uint64_t)data > off) {
		*ret = (struct stage_extent){MIN((uint64_t)data, size), STAGE_HOLE};
		return 0;
	}
	hole = lseek(fdref_fd(ref), (off_t)off, SEEK_HOLE);
	if (hole < 0 && errno != ENXIO)
		return -errno;
	/* Punched since we asked for data: a few bytes of it are as good an answer as any. */
	if (hole >= 0 && (uint64_t)hole <= off)
		hole = (off_t)off + 1;
	*ret = (struct stage_extent){hole < 0 ? size : MIN((uint64_t)hole, size), STAGE_DATA};
	return 0;
}

static void leaf_close(struct stage *st)
{
	free(leaf_of(st));
}

static const struct stage_ops leaf_ops = {
	.name = "leaf",
	.open = leaf_open,
	.read = leaf_read,
	.write = leaf_write,
	.flush = leaf_flush,
	.trim = leaf_trim,
	.zero = leaf_zero,
	.reserve = leaf_reserve,
	.resize = leaf_resize,
	.extent = leaf_extent,
	.drain = leaf_flush,
	.close = leaf_close,
};

int leaf_new(struct fdcache *cache, const struct handle *h, struct stage **ret)
{
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	struct leaf *l;
	struct stat attr;
	int r;

	r = fdcache_get(cache, h, FD_PATH, &ref);
	if (r < 0)
		return r;
	if (fstat(fdref_fd(ref), &attr) < 0)
		return -errno;
	if (!S_ISREG(attr.st_mode))
		return -EINVAL;

	l = calloc(1, sizeof *l);
	if (!l)
		return -ENOMEM;
	l->stage = (struct stage){.ops = &leaf_ops, .block = 1, .size = (uint64_t)attr.st_size};
	l->cache = cache;
	l->handle = *h;
	*ret = &l->stage;
	return 0;
}

void leaf_free(struct stage *leaf)
{
	if (leaf)
		leaf->ops->close(leaf);
}
