/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/disks.h - the disks below a directory, as their statuses say.
 *
 * Walks the directory, never following symlinks and never leaving its filesystem.  A file that
 * is an extent of a disk in the same directory is part of that disk, not one by itself.
 * Each directory's files come before its subdirectories, a VM before its disks.
 */
#ifndef CTL_DISKS_H
#define CTL_DISKS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disk {
	char *path;	/* as found: begins with the directory that was asked for */
	json_t *status; /* user.weir.status */
	json_t *parts;	/* object: path -> user.weir.status of its extents */
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

/* One file as a disk, with its extents.  Errors as attribute_status. */
int disks_one(const char *path, struct disk *ret, char **ret_why);
void disk_done(struct disk *d);

/* Bytes that the disk takes with its extents.  (Its opens, way and counters are added up by the
 * filesystem already.) */
uint64_t disk_used(const struct disk *d);

/* Everything as one JSON object, a new reference: the status, "at": its path, "files": the same
 * of its extents. */
json_t *disk_json(const struct disk *d);

#endif
