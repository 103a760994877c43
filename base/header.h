/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/header.h - the header file of one disk: DATASTORE/.weir/disks/<id>.header
 *
 * The true place of a disk's id, policy and which file it is.  Two slots of 4096 bytes; the one
 * with the higher generation and a good checksum counts.  A change writes the other slot and
 * syncs it, so after a kill or a power cut at any moment the header is the old one or the new
 * one.  The file is named by the id and never renamed.  docs/format.md has every byte.
 *
 * Which file is which disk is said by the xattr trusted.weir.disk on the backing inode (the id as
 * 32 hex digits).  A file whose handle differs from the header's is a copy, and not the disk.
 *
 * Refuses    a newest slot with an unknown incompatible feature flag: -EPROTO.  No good slot, or
 *            another disk's header under this name: -EUCLEAN.
 * Threads    callers serialise changes of one header.
 */
#ifndef BASE_HEADER_H
#define BASE_HEADER_H

#include "base/catalog.h"

struct disk_header {
	struct disk_id id;
	uint64_t generation; /* of the slot it was read from; header_write increases it */
	uint32_t flags;      /* enum catalog_disk_flags */
	struct handle handle;
	uint64_t policy_version;
	char policy[64];      /* "": none any more */
	uint64_t assigned_ns; /* CLOCK_REALTIME */
	uint32_t assigned_uid;
	uint8_t policy_digest[32]; /* BLAKE2b-256 of the policy file's text as it was attached */
};

/* @disks_fd is the directory .weir/disks, opened for reading (not O_PATH). */

/* Durable, name and all; the generation is 1, whatever @h says.  -EEXIST, -EINVAL (no end in
 * policy, a handle too long). */
int header_create(int disks_fd, const struct disk_header *h);

int header_read(int disks_fd, const struct disk_id *id, struct disk_header *ret); /* -ENOENT */

/* Durable when it returns 0, and then h->generation went up by one.  @h was read before: its
 * generation says what it replaces.  After another error the header reads as the old one, but a
 * power cut may still turn it into the new one; try again with the same @h.
 *
 * -ESTALE  the header was changed since @h was read
 * -EROFS   a later version's header, which may only be read */
int header_write(int disks_fd, struct disk_header *h);

int header_remove(int disks_fd, const struct disk_id *id); /* durable; -ENOENT */

/* Every header in the directory; unreadable ones are given to @each with the error in @r and NULL
 * in @h.  Stops at its first non-zero result and returns that. */
int header_each(int disks_fd,
		int (*each)(const struct disk_id *id, int r, const struct disk_header *h,
			    void *data),
		void *data);

/* How a process that may not touch trusted.* xattrs itself gets at them: as the system calls, but
 * negative errnos, and @fd may be O_PATH.  Threads: any. */
struct disk_mark_calls {
	ssize_t (*get)(void *data, int fd, const char *name, void *ret, size_t size);
	int (*set)(void *data, int fd, const char *name, const void *value, size_t size, int flags);
	int (*remove)(void *data, int fd, const char *name);
	void *data;
};

/* @by NULL: this process may itself.  @fd may be O_PATH.  -ENODATA: none; -ENOTSUP: no such
 * xattrs; -EUCLEAN: a mark that is no id.  Neither of the others syncs: the caller's fsync of the
 * file does. */
int disk_mark_read(const struct disk_mark_calls *by, int fd, struct disk_id *ret);
int disk_mark_write(const struct disk_mark_calls *by, int fd, const struct disk_id *id);
int disk_mark_remove(const struct disk_mark_calls *by, int fd);

void disk_id_new(struct disk_id *ret);
void disk_id_text(const struct disk_id *id, char ret[33]);
int disk_id_parse(const char *text, struct disk_id *ret); /* -EINVAL */

#endif
