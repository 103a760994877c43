/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/handle.h - the identity of a file on the backing filesystem.
 *
 * A handle is what name_to_handle_at(2) gives: it names one inode and its generation, survives
 * renames, and never names another file: when the inode is deleted, opening the handle fails
 * with ESTALE even if the inode number is used again.
 *
 * Source     open_by_handle_at(2).  Needs CAP_DAC_READ_SEARCH.
 */
#ifndef BASE_HANDLE_H
#define BASE_HANDLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define HANDLE_MAX 40 /* bytes: the longest local filesystem's (btrfs with a parent) */

struct handle {
	int32_t type;
	uint8_t len; /* used bytes of data; the others are zero, so memcmp may compare all */
	uint8_t data[HANDLE_MAX];
};

/* The handle of @name in the directory @dirfd (AT_EMPTY_PATH semantics when @name is ""), never
 * following a symlink.  *ret_mount_id is the mount it was found on.
 *
 * -EOPNOTSUPP  the filesystem has no handles
 * -EOVERFLOW   its handles are longer than HANDLE_MAX
 */
int handle_get(int dirfd, const char *name, struct handle *ret, int *ret_mount_id);

/* Open the file of @h on the filesystem of @mount_fd.  Returns a descriptor, or
 * -ESTALE when the file is gone. */
int handle_open(int mount_fd, const struct handle *h, int flags);

/* Open the very file of @fd (O_PATH will do) again, by its name in /proc; not a symlink.  Landlock
 * looks at where the file lies, so its name must be known to the kernel: it was opened by name, or
 * is open by name elsewhere. */
int handle_reopen(int fd, int flags);

/* The inode number inside the handle, for the types whose layout <linux/exportfs.h> fixes (ext4,
 * xfs, btrfs, tmpfs and most others).  False: another type. */
bool handle_inode(const struct handle *h, uint64_t *ret);

bool handle_equal(const struct handle *a, const struct handle *b);
uint64_t handle_hash(const struct handle *h);

#endif
