/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/cover.h - which assignment covers a file.
 *
 * The first that holds:
 *     its own
 *     that of the disk it belongs to: whose extent or snapshot it is by what recognition saw, or,
 *         before a descriptor says so, by its name (-000001, -flat, ...: fs/family.h)
 *     that of its VM: the .vmx that names it, or one in the same directory whose stem its name
 *         begins with, or the only one there with an assignment
 *     that of the nearest directory above
 *
 * No state.  Called without locks; makes system calls.
 */
#ifndef FS_COVER_H
#define FS_COVER_H

#include "fs/assign.h"

struct cover { /* all empty when nothing covers the file */
	struct applied *applied; /* a reference; NULL although found: its copy cannot be read */
	struct assigned by;
	bool found;
	bool inherited; /* not the file's own */
	bool waits;	/* stages, but somebody else has the file open: no lease (see assign.h) */
};
void cover_done(struct cover *c);

int cover_find(struct fs *fs, struct node *node, struct cover *ret);

/* What a stack is to be built of: nothing while the cover waits. */
const struct stack_part *cover_parts(const struct cover *c);
size_t cover_depth(const struct cover *c);

/* cover_find, and for a file that is about to be served through stages the lease: ->waits when
 * anybody has the file open outside of us.  For the owner of the open state. */
int cover_claim(struct fs *fs, struct node *node, struct cover *ret);

/* True when the file is closed as far as we know and yet open somewhere: a mapping that outlived
 * its passthrough open, a process in the backing directory.  Takes the open state itself. */
bool cover_is_held(struct fs *fs, struct node *node);

/* True when an open must not pass through: stages, passthrough: never, or a disk or VM with a
 * policy beside it whose family the file is of. */
bool cover_needs_daemon(struct fs *fs, struct node *node);
bool cover_has_stages(struct fs *fs, struct node *node);

/* -EXDEV when the new name would be covered by another policy than the file is.  Looks for the file
 * when it is not where it was last seen. */
int cover_may_link(struct fs *fs, struct node *node, struct node *dir, const char *name);

#endif
