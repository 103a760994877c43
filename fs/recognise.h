/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/recognise.h - what a file is, by its content: asked once and remembered.
 *
 * The bytes are parsed by the confined helper weir-recognise (fs/helper.h), never in this process.
 * Its answer, the *facts*, is the JSON object that the top of ctl/recognise.h describes; the
 * catalog keeps it under the file's handle.
 *
 * What is decided once   whether a file is raw.  A guest owns the bytes of its raw disk and may
 *            write the header of another format into it (CVE-2026-24708), so a file that was once
 *            seen as raw, or as something else that has no structure of ours, stays that until it
 *            is emptied.  A file of some format keeps its format; what is inside (parent, extents)
 *            is read anew when the file changed.  Descriptors, .vmx and .vmsd are text that no
 *            guest writes: read anew whenever they changed.
 * Not remembered   "empty" and "unknown", and what was seen of a file while it was written
 *            (a program that makes a disk may write something else there first).
 * Fails as   facts: {"type": "unknown", "problem": "recognition of this file failed: ..."}, which
 *            stand for ten seconds.  A guest never gets an error from here.
 * Threads    any.  At most one helper at a time looks at one file; others wait for it.  Takes up
 *            to five seconds when a helper hangs.  Call without locks.
 */
#ifndef FS_RECOGNISE_H
#define FS_RECOGNISE_H

#include <jansson.h>

#include "base/list.h"
#include "fs/fs.h"

struct recogniser;

int recogniser_new(struct recogniser **ret);
void recogniser_free(struct recogniser *r); /* accepts NULL; nobody may be inside */

/* Facts about a regular file; a new reference.
 *
 * -EINVAL  no regular file
 * -ESTALE, -ENOENT  it is gone
 * -ENOMEM */
int recognise(struct fs *fs, struct node *node, json_t **ret);

/* The same for a file that may have no node. */
int recognise_handle(struct fs *fs, const struct handle *h, json_t **ret);

/* Only what the catalog knows, without a look at the file.  -ENOENT: nothing. */
int recognise_remembered(struct fs *fs, const struct handle *h, json_t **ret);

/* A file that somebody wrote is closed: look at it in the background, if it may be a disk, and
 * emit the event disk-recognised or disk-problem. */
void recognise_later(struct fs *fs, struct node *node);

/* Before a file is opened for writing: what it is is decided now, unless it is remembered.  Costs
 * one test of a flag for a file that was looked at before. */
void recognise_before_write(struct fs *fs, struct node *node);

/* The file was truncated to nothing by its owner: what it becomes is decided anew. */
void recognise_emptied(struct fs *fs, struct node *node);

/* No helper has the file open, and none starts: while a lease on it is asked for. */
struct recognise_hold {
	struct list link;
	struct recogniser *of;
	const struct handle *handle;
};
void recognise_hold_begin(struct recognise_hold *hold); /* may wait for a helper */
void recognise_hold_end(struct recognise_hold *hold);

#endif
