/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/handle.c - see base/handle.h. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/handle.h"

/* The kernel's struct with room for the longest handle we accept. */
union kernel_handle {
	struct file_handle head;
	char room[sizeof(struct file_handle) + HANDLE_MAX];
};

int handle_get(int dirfd, const char *name, struct handle *ret, int *ret_mount_id)
{
	union kernel_handle kernel = {.head.handle_bytes = HANDLE_MAX};

	if (name_to_handle_at(dirfd, name, &kernel.head, ret_mount_id, *name ? 0 : AT_EMPTY_PATH) <
	    0)
		return -errno;

	*ret = (struct handle){
		.type = kernel.head.handle_type,
		.len = (uint8_t)kernel.head.handle_bytes,
	};
	memcpy(ret->data, kernel.room + sizeof kernel.head, ret->len);
	return 0;
}

/* ext4 answers ENOMEM while the inode number of a removed file is being given to a new one (the
 * inode exists and is not yet usable): a moment later it is ESTALE. */
#define REUSE_TRIES 20

int handle_open(int mount_fd, const struct handle *h, int flags)
{
	union kernel_handle kernel;
	int fd;

	if (h->len > HANDLE_MAX)
		return -EINVAL; /* from a damaged record: the kernel must not read past it */
	kernel.head.handle_bytes = h->len;
	kernel.head.handle_type = h->type;
	memcpy(kernel.room + sizeof kernel.head, h->data, h->len);

	for (unsigned tried = 0;; tried++) {
		fd = open_by_handle_at(mount_fd, &kernel.head, flags);
		if (fd >= 0 || (errno != EINTR && (errno != ENOMEM || tried >= REUSE_TRIES)))
			return fd < 0 ? -errno : fd;
		if (errno == ENOMEM && tried > 2)
			nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
}

int handle_reopen(int fd, int flags)
{
	char path[32];
	int r;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	do {
		r = open(path, flags & ~O_NOFOLLOW);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

bool handle_equal(const struct handle *a, const struct handle *b)
{
	return a->type == b->type && a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

/* One multiplication and one shift per word: every lookup of the fd cache pays it.  Nobody
 * chooses handles to collide; a filesystem counts them up. */
static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 32;
}

uint64_t handle_hash(const struct handle *h)
{
	uint64_t hash = mix((uint32_t)h->type, h->len);
	uint64_t word;

	for (unsigned i = 0; i < h->len; i += sizeof word) {
		memcpy(&word, h->data + i, sizeof word); /* behind len the data is zero */
		hash = mix(hash, word);
	}
	return hash;
}

/* enum fid_type of the kernel. */
#define FILEID_INO32_GEN	    0x01
#define FILEID_INO32_GEN_PARENT	    0x02
#define FILEID_BTRFS_WITHOUT_PARENT 0x4d
#define FILEID_INO64_GEN	    0x81

bool handle_inode(const struct handle *h, uint64_t *ret)
{
	uint32_t low;

	switch (h->type) {
	case FILEID_INO32_GEN:
	case FILEID_INO32_GEN_PARENT:
		if (h->len < 8)
			return false;
		memcpy(&low, h->data, sizeof low);
		*ret = low;
		return true;
	case FILEID_BTRFS_WITHOUT_PARENT:
	case FILEID_INO64_GEN:
		if (h->len < 12)
			return false;
		memcpy(ret, h->data, sizeof *ret);
		return true;
	default:
		return false;
	}
}
