/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/disk_mark.c - disk ids, and the xattr that says which file is which disk.
 *
 * A mark is "trusted.weir.disk", 32 lower-case hex digits.  Descriptors opened with O_PATH are
 * reached through /proc, as the xattr calls refuse them.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/fd_path.h"
#include "base/header.h"

#define MARK "trusted.weir.disk"

/* ---- by this process itself ---------------------------------------------------------------- */

static ssize_t get_self(void *data, int fd, const char *name, void *ret, size_t size)
{
	ssize_t n = fgetxattr(fd, name, ret, size);

	if (n < 0 && errno == EBADF)
		n = getxattr(fd_path(fd).text, name, ret, size);
	return n < 0 ? -errno : n;
}

static int set_self(void *data, int fd, const char *name, const void *value, size_t size, int flags)
{
	int r = fsetxattr(fd, name, value, size, flags);

	if (r < 0 && errno == EBADF)
		r = setxattr(fd_path(fd).text, name, value, size, flags);
	return r < 0 ? -errno : 0;
}

static int remove_self(void *data, int fd, const char *name)
{
	int r = fremovexattr(fd, name);

	if (r < 0 && errno == EBADF)
		r = removexattr(fd_path(fd).text, name);
	return r < 0 ? -errno : 0;
}

static const struct disk_mark_calls self = {
	.get = get_self, .set = set_self, .remove = remove_self};

/* ---- marks --------------------------------------------------------------------------------- */

int disk_mark_read(const struct disk_mark_calls *by, int fd, struct disk_id *ret)
{
	char text[34] = "";
	ssize_t n;

	by = by ? by : &self;
	n = by->get(by->data, fd, MARK, text, sizeof text - 1);
	if (n < 0)
		return n == -ERANGE ? -EUCLEAN : (int)n;

	return disk_id_parse(text, ret) < 0 ? -EUCLEAN : 0;
}

int disk_mark_write(const struct disk_mark_calls *by, int fd, const struct disk_id *id)
{
	char text[33];

	by = by ? by : &self;
	disk_id_text(id, text);
	return by->set(by->data, fd, MARK, text, 32, 0);
}

int disk_mark_remove(const struct disk_mark_calls *by, int fd)
{
	by = by ? by : &self;
	return by->remove(by->data, fd, MARK);
}

void disk_id_new(struct disk_id *ret)
{
	randombytes_buf(ret->bytes, sizeof ret->bytes);
}

void disk_id_text(const struct disk_id *id, char ret[33])
{
	sodium_bin2hex(ret, 33, id->bytes, sizeof id->bytes);
}

/* Lower case only: one disk, one name. */
int disk_id_parse(const char *text, struct disk_id *ret)
{
	struct disk_id id;

	if (strspn(text, "0123456789abcdef") != 32 || text[32])
		return -EINVAL;
	if (sodium_hex2bin(id.bytes, sizeof id.bytes, text, 32, NULL, NULL, NULL) < 0)
		return -EINVAL;

	*ret = id;
	return 0;
}
