/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/chain.h - a descriptor with its extents and parents as one disk, a .vmx as one VM.
 *
 * Works on the facts of fs/recognise.h.  The names in them are written by guests and strangers:
 * each is resolved beneath the datastore only (fs/place.h), and a file that is found is never
 * opened for reading or writing here, only looked at by its attributes and, for parents, shown to
 * the confined helper.
 *
 * Refuses    absolute names, URLs, names that leave the datastore or enter .weir, symlinks on the
 *            way, everything that is no regular file; ".." in the name of an extent.  They are
 *            reported, never an error.
 * Bounded    chains of 64 disks, 4096 extents, 4096 members of a VM.
 * Threads    any; no state.  Makes system calls and may run the helper (up to five seconds):
 *            call without locks.  Only chain_parent is for hot paths.
 */
#ifndef FS_CHAIN_H
#define FS_CHAIN_H

#include <jansson.h>

#include "fs/fs.h"

#define CHAIN_MAX 64

/* The member "disk" of user.weir.status, a new reference; NULL: no memory, or no regular file.
 *
 *     "type" "capacity" "adapter" "grain" "signature"   as in the facts
 *     "extents"       the first 64: {"file", "type", "size", "state": ok|missing|refused, "why"}
 *     "extents_count" how many there are, when more
 *     "parent"        as written
 *     "chain"         its ancestors, nearest first, up to the base: the name of one that lies in
 *                     the same directory, else its path in the datastore
 *     "problem"       one sentence: the first thing that is wrong
 */
json_t *chain_describe(struct fs *fs, struct node *node);

/* The extents that are there, as handles; without the file itself.  *ret is malloc'ed.  0 with
 * *n == 0 for a file that has none. */
int chain_extent_handles(struct fs *fs, struct node *node, struct handle **ret, size_t *n);

/* The parent disk of @child by what is remembered of it.  -ENOENT: none, or not known. */
int chain_parent(struct fs *fs, const struct handle *child, struct handle *ret);

/* The node of a file that was known once, as members of a VM are.  -ENOENT */
int chain_node(struct fs *fs, const struct handle *h, struct node **ret);

/* What the .vmx or .vmsd @node names, as handles without doubles: files, disks, the ancestors of
 * the disks and all their extents, also those of the .vmsd beside a
 * .vmx.  *ret is malloc'ed.  -EINVAL: it is no such file. */
int vm_members(struct fs *fs, struct node *node, struct handle **ret, size_t *n);

/* {"name": ..., "disks": [names], "files": [names], "problem": ...}; at most 64 names each.  NULL:
 * no memory, or no .vmx or .vmsd. */
json_t *vm_describe(struct fs *fs, struct node *node);

#endif
