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
#include "base/header.h"

#define MARK	  "trusted.weir.disk"
#define PATH_SIZE 32

static const char *fd_path(int fd, char ret[PATH_SIZE])
{
	snprintf(ret, PATH_SIZE, "/proc/self/fd/%d", fd);
	return ret;
}

int disk_mark_read(int fd, struct disk_id *ret)
{
	char text[34] = "", path[PATH_SIZE];
	ssize_t n;

	n = fgetxattr(fd, MARK, text, sizeof text - 1);
	if (n < 0 && errno == EBADF)
		n = getxattr(fd_path(fd, path), MARK, text, sizeof text - 1);
	if (n < 0)
		return errno == ERANGE ? -EUCLEAN : -errno;

	return disk_id_parse(text, ret) < 0 ? -EUCLEAN : 0;
}

int disk_mark_write(int fd, const struct disk_id *id)
{
	char text[33], path[PATH_SIZE];
	int r;

	disk_id_text(id, text);
	r = fsetxattr(fd, MARK, text, 32, 0);
	if (r < 0 && errno == EBADF)
		r = setxattr(fd_path(fd, path), MARK, text, 32, 0);
	return r < 0 ? -errno : 0;
}

int disk_mark_remove(int fd)
{
	char path[PATH_SIZE];
	int r;

	r = fremovexattr(fd, MARK);
	if (r < 0 && errno == EBADF)
		r = removexattr(fd_path(fd, path), MARK);
	return r < 0 ? -errno : 0;
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
