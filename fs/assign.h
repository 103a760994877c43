/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/assign.h - which policy is attached to what, and which one covers a file.
 *
 * An assignment binds a policy to a disk, a file, a VM (its .vmx) or a directory.  Its true place
 * is the disk header (base/header.h), found by the mark on the backing inode; the catalog has a
 * copy, and all assignments are in memory here.  The policy's text as it was attached is kept in
 * .weir/policies, so a file that changes makes disks out-of-date and not something else.
 *
 * What covers a file, the first that holds:
 *     its own assignment
 *     that of the disk it belongs to: the descriptor whose extent it is, the disk whose snapshot
 *         it is, by what recognition saw or, before that, by its name (-000001, -flat, ...)
 *     that of its VM: a .vmx in the same directory that names it or its stem
 *     that of the nearest directory above
 *
 * Locks      one inside, the first of the lock order; not held over system calls.
 */
#ifndef FS_ASSIGN_H
#define FS_ASSIGN_H

#include <jansson.h>

#include "base/stack.h"
#include "fs/fs.h"
#include "policies/policy.h"

struct assignments;

/* What covers a file.  All members are empty when nothing does. */
struct cover {
	struct policy *policy; /* a reference */
	struct stack_part *parts;
	size_t n_parts;
	struct handle from;   /* the object that carries the assignment */
	struct disk_id id;
	bool inherited;	      /* from somewhere else than the file itself */
	bool pending;
	bool forbids_passthrough;
};
void cover_done(struct cover *c);

int assignments_new(struct fs *fs, struct assignments **ret); /* reads the catalog's copies */
void assignments_free(struct assignments *a);

int assign_cover(struct fs *fs, struct node *node, struct cover *ret);

/* True when an open must not pass through: stages, or passthrough: never, or a new file beside a
 * disk with a policy. */
bool assign_needs_daemon(struct fs *fs, struct node *node);
bool assign_has_stages(struct fs *fs, struct node *node);

/* -EXDEV when the new name would be covered by another policy than the file is. */
int assign_may_link(struct fs *fs, struct node *node, struct node *dir, const char *name);

/* What happened to files: assignments follow. */
void assign_file_unlinked(struct fs *fs, const struct handle *h, bool last_name);
void assign_file_replaced(struct fs *fs, const struct handle *old, const struct handle *by,
			  bool last_name);
void assign_file_closed(struct fs *fs, struct node *node);


/* Bring every disk up to its policy file's current version (SIGHUP). */
void assign_apply_all(struct fs *fs);

#endif
