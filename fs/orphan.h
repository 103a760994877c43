/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/orphan.h - files without a name that are still wanted, in DATASTORE/.weir/orphans.
 *
 * We open files by handle, and an inode without a link cannot be opened so.  Before the last name
 * of an open file goes, the file gets one here, named by its node id in hex; it goes when the
 * last open is released.  So an unlinked open file also survives the worker.
 *
 * Invariant  a file here belongs to a node with NODE_ORPHAN and an open slot; others are left
 *            from a mount that is gone together with all opens, and are removed at the next.
 */
#ifndef FS_ORPHAN_H
#define FS_ORPHAN_H

#include "fs/fs.h"

/* Move @name of @dirfd there (unlink), or give its file a second name there (a rename over it is
 * about to remove the first). */
int orphan_move(struct fs *fs, struct node *node, int dirfd, const char *name);
int orphan_link(struct fs *fs, struct node *node, int dirfd, const char *name);
/* The rename failed: take the second name away again. */
void orphan_undo(struct fs *fs, struct node *node);

/* The last open is released. */
void orphan_remove(struct fs *fs, struct node *node);

/* Before requests are served: what no open file of a worker before us needs goes. */
void orphans_clean(struct fs *fs);

#endif
