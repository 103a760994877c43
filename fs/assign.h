/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/assign.h - which policy is attached to what.
 *
 * An assignment binds a policy to a disk or file, to a VM (its .vmx) or to a directory.  Its true
 * place is the disk header (base/header.h), found by the mark on the backing inode; the catalog
 * has a copy, and all assignments are in memory here.  Which assignment covers a file is decided
 * in fs/cover.h.
 *
 * Invariant  memory follows the header: a change is durable there before it is seen here.
 * Locks      one inside, the first of the lock order; not held over system calls.  Changes to
 *            assignments are made one at a time (a second lock, held over them, before all).
 */
#ifndef FS_ASSIGN_H
#define FS_ASSIGN_H

#include <jansson.h>

#include "base/header.h"
#include "fs/applied.h"
#include "fs/fs.h"

struct assignments;

/* One assignment, as it was when it was asked for. */
struct assigned {
	struct disk_id id;
	struct handle handle;
	uint64_t node;      /* of the object; 0: unknown */
	uint64_t dir;       /* where it lies; 0: unknown */
	uint32_t flags;     /* enum catalog_disk_flags */
	uint64_t version;
	uint8_t digest[32];
	char policy[64];
};

int assignments_new(struct fs *fs, struct assignments **ret); /* reads the catalog's copies */
void assignments_free(struct assignments *a);

/* Where policies are looked for, ended by NULL. */
const char *const *assign_directories(struct fs *fs);
struct applied_set *assign_applied(struct fs *fs);

/* The object's own assignment.  False: it has none. */
bool assign_find(struct fs *fs, const struct handle *h, struct assigned *ret);

struct assign_counts {
	size_t directories, vms, files;
};
struct assign_counts assign_count(struct fs *fs);

/* The assignments of .vmx files in directory @dir: a copy (malloc'ed); how many. */
size_t assign_vms_in(struct fs *fs, uint64_t dir, struct assigned **ret);

/* True when a file or VM with an assignment lies in directory @dir (or, by chance of a hash, in
 * another one): then a new file there does not pass through, so that it can be given a policy. */
bool assign_beside(struct fs *fs, uint64_t dir);

/* What recognition saw: the descriptor that has @part as an extent, or with @vm the VM that names
 * it.  False: none with an assignment is known. */
bool assign_owner(struct fs *fs, const struct handle *part, bool vm, struct assigned *ret);

/* A copy of all of them (malloc'ed); how many. */
size_t assign_all(struct fs *fs, struct assigned **ret);

/* Attach the policy @name, replacing what is attached; NULL: clear.
 *
 * -ENOENT, -EINVAL  no such policy, or a wrong one: *ret_why says it
 * -ENOTSUP          the backing filesystem has no trusted xattrs
 * or what the backing filesystem said */
int assign_set(struct fs *fs, struct node *node, const char *name, uid_t uid, char **ret_why);

/* Bring the assignment of @node up to its policy file; for a directory, those below as well. */
int assign_apply(struct fs *fs, struct node *node, char **ret_why);
void assign_apply_all(struct fs *fs); /* SIGHUP */

/* Somebody saw that the file of @a's policy has changed: an event, once for each change. */
void assign_tell_out_of_date(struct fs *fs, struct node *node, const struct assigned *a);

/* The last sentence about a refused change to this object; NULL: none.  malloc'ed. */
char *assign_refusal(struct fs *fs, uint64_t node);
void assign_note_refusal(struct fs *fs, uint64_t node, const char *why);

/* Rebuild the stacks of all open files that something changed for. */
void assign_refresh_open(struct fs *fs);

/* What happened to files: assignments follow. */
void assign_file_unlinked(struct fs *fs, const struct handle *h, bool last_name);
void assign_file_replaced(struct fs *fs, const struct handle *old, const struct handle *by,
			  bool last_name);
/* The last close; @passed: of a file that was open in passthrough. */
void assign_file_closed(struct fs *fs, struct node *node, bool passed);
void assign_file_moved(struct fs *fs, struct node *node);

#endif
