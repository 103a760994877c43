/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/identity.c - see base/identity.h. */
#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/identity.h"

#define IDENTITY_FILE	  "datastore"
#define IDENTITY_FILE_TMP "datastore.new"
#define IDENTITY_VERSION  1
#define IDENTITY_MAX	  512 /* bytes of the file */

/* Since kernel 6.9; Debian 12's headers are older. */
#ifndef FS_IOC_GETFSUUID
struct fsuuid2 {
	__u8 len;
	__u8 uuid[16];
};
#define FS_IOC_GETFSUUID _IOR(0x15, 0, struct fsuuid2)
#endif

static const char *const state_words[] = {
	[DATASTORE_FIRST_USE] = "first-use",
	[DATASTORE_REBUILDING] = "rebuilding",
	[DATASTORE_READY] = "ready",
};

static int state_parse(const char *word, enum datastore_state *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(state_words); i++)
		if (state_words[i] && strcmp(word, state_words[i]) == 0) {
			*ret = (enum datastore_state)i;
			return 0;
		}
	return -EUCLEAN;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static int uuid_parse(const char *text, uint8_t ret[16])
{
	for (size_t i = 0; i < 16; i++) {
		int high = hex_digit(text[2 * i]);
		int low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);

		if (low < 0)
			return -EUCLEAN;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return text[32] ? -EUCLEAN : 0;
}

int identity_parse(const char *text, struct identity *ret)
{
	char uuid[33], word[16], again[IDENTITY_MAX];
	struct identity id = {0};
	unsigned version;
	int r;

	if (sscanf(text, "weir-datastore %9u", &version) != 1)
		return -EUCLEAN;
	if (version > IDENTITY_VERSION)
		return -EPROTO;

	if (sscanf(text, "weir-datastore %*u fs-uuid %32s incarnation %9" SCNu32 " catalog %15s",
		   uuid, &id.incarnation, word) != 3)
		return -EUCLEAN;
	if (id.incarnation == 0 || id.incarnation > CATALOG_INCARNATION_MAX)
		return -EUCLEAN;
	r = uuid_parse(uuid, id.fs_uuid);
	if (r < 0)
		return r;
	r = state_parse(word, &id.state);
	if (r < 0)
		return r;

	/* sscanf forgives spaces, signs and trailing text; a file that we wrote needs none. */
	r = identity_format(&id, again, sizeof again);
	if (r < 0 || strcmp(again, text) != 0)
		return -EUCLEAN;

	*ret = id;
	return 0;
}

int identity_format(const struct identity *id, char *ret, size_t size)
{
	char uuid[33];
	int n;

	for (size_t i = 0; i < 16; i++)
		snprintf(uuid + 2 * i, 3, "%02x", id->fs_uuid[i]);

	n = snprintf(ret, size,
		     "weir-datastore %d\nfs-uuid %s\nincarnation %" PRIu32 "\ncatalog %s\n",
		     IDENTITY_VERSION, uuid, id->incarnation, state_words[id->state]);
	return n < 0 || (size_t)n >= size ? -ENOSPC : 0;
}

int identity_read(int weir_fd, struct identity *ret)
{
	_cleanup_(closep) int fd = -1;
	char text[IDENTITY_MAX];
	ssize_t n;

	fd = openat(weir_fd, IDENTITY_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno == ELOOP ? -EUCLEAN : -errno;

	n = read(fd, text, sizeof text - 1);
	if (n < 0)
		return -errno;
	if (memchr(text, 0, (size_t)n))
		return -EUCLEAN;
	text[n] = 0;
	return identity_parse(text, ret);
}

static int write_synced(int weir_fd, const char *name, const char *text)
{
	_cleanup_(closep) int fd = -1;
	size_t len = strlen(text);
	ssize_t n;

	fd = openat(weir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;

	n = write(fd, text, len);
	if (n < 0)
		return -errno;
	if ((size_t)n != len)
		return -ENOSPC;
	return fsync(fd) < 0 ? -errno : 0;
}

int identity_write(int weir_fd, const struct identity *id)
{
	char text[IDENTITY_MAX];
	int r;

	r = identity_format(id, text, sizeof text);
	if (r < 0)
		return r;
	r = write_synced(weir_fd, IDENTITY_FILE_TMP, text);
	if (r < 0)
		return r;
	if (renameat(weir_fd, IDENTITY_FILE_TMP, weir_fd, IDENTITY_FILE) < 0)
		return -errno;
	return fsync(weir_fd) < 0 ? -errno : 0;
}

int identity_fs_uuid(int fd, uint8_t ret[16])
{
	struct fsuuid2 uuid = {0};
	struct statfs fs;

	memset(ret, 0, 16);
	if (ioctl(fd, FS_IOC_GETFSUUID, &uuid) == 0 && uuid.len > 0) {
		memcpy(ret, uuid.uuid, MIN(uuid.len, 16));
		return 0;
	}
	if (fstatfs(fd, &fs) < 0)
		return -errno;
	memcpy(ret, &fs.f_fsid, MIN(sizeof fs.f_fsid, 16));
	return 0;
}
