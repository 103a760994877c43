/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/disks.h - the disks below a directory, as their statuses say.
 *
 * Walks the directory, never following symlinks and never leaving its filesystem.  A file that
 * is an extent of a disk in the same directory is shown with that disk, not by itself.
 * Each directory's files come before its subdirectories, a VM before its disks.
 */
#ifndef CTL_DISKS_H
#define CTL_DISKS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct disk {
	char *path;	/* as found: begins with the directory that was asked for */
	json_t *status; /* user.weir.status */
	bool vm;	/* a .vmx, not a disk */
	bool in_vm;	/* a VM of the same directory stands before it */
};

struct disks {
	struct disk *list;
	size_t n;
};

/* -ENOTSUP: @directory is not on a weir mount.  Files that cannot be read are left out. */
int disks_find(const char *directory, struct disks *ret, char **ret_why);
void disks_done(struct disks *d); /* frees the contents */

#endif
