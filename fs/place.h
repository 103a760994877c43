/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/place.h - a name that a descriptor gives, as a file in the datastore or a refusal.
 *
 * A place is a path below the datastore's root without "." and "..": "vm1/vm1.vmdk".
 *
 * Invariant  what place_find returns is a regular file beneath the root, reached without a
 *            symlink, without another filesystem, and not in .weir.  It is opened O_PATH: that
 *            reads nothing, wakes no device and breaks no lease.
 * Threads    any; no state.
 */
#ifndef FS_PLACE_H
#define FS_PLACE_H

#include <limits.h>

#include "fs/fs.h"
#include "fs/place_join.h"

struct place {
	struct handle handle;
	uint64_t size;
	char path[PATH_MAX];
};

/* The file at @path.  -ENOENT: there is none; -EACCES: it is refused, *ret_why as in
 * fs/place_join.h; or what the system said. */
int place_find(struct fs *fs, const char *path, struct place *ret, const char **ret_why);

/* Where @node lies.  -ENOENT: not where it was last seen. */
int place_of_node(struct fs *fs, struct node *node, struct place *ret);

/* The node of the file at @path, looked up part by part like a client does. */
int place_node(struct fs *fs, const char *path, struct node **ret);

/* Both steps for a name given in the directory of @from. */
int place_resolve(struct fs *fs, const struct place *from, const char *name, unsigned flags,
		  struct place *ret, const char **ret_why);

#endif
