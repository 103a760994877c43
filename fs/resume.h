/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/resume.h - a request that the kernel sends again: was it done already?
 *
 * A worker that dies leaves the requests it had not answered, and the next one gets them again.
 * Most can be run twice: a lookup, a read, a write to the same place.  One that makes, moves or
 * removes a name cannot: the second run would say EEXIST or ENOENT of its own first run.  Its
 * record (fs/slate.h) says how far it came:
 *
 *     nothing   it did not begin                               run it
 *     done      it was made, with this outcome                 answer that
 *     begun     nobody knows: the worker died around the call  look at the names
 *
 * Looking decides, because the kernel lets no other request change the name before this one is
 * answered (it holds the directory), and because the record has the handle that lay at the name
 * before: unlink and rmdir are done when that handle is not there any more, rename when it is at
 * the new name and not at the old, link when the name has the file's handle, and create, mkdir,
 * mknod and symlink when the name has a file of that kind that was born since.
 *
 * Assumes    that nobody makes the same name behind our back within the same moment.
 */
#ifndef FS_RESUME_H
#define FS_RESUME_H

#include <stdbool.h>

#include "fs/fs.h"

/* At the top of an operation that must not run twice, in its request thread.  True: it was done,
 * and *ret is what it came to: skip the step, go on with what follows it.  False: run it. */
bool resume_done(struct fs *fs, int *ret);

/* The record's second half, for those that look for themselves (fs/xattr.c). */
bool resume_begun(void);

/* Bring back what a dead worker had in memory and the slate has kept; before requests are served.
 * An error is for a moment (no memory, the catalog cannot be read): start anew. */
int resume_restore(struct fs *fs);

#endif
