/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/quarantine.h - what a file in quarantine (fs/blame.h) may still be asked.
 *
 * Whatever reads, writes or opens its bytes answers EIO, and so does the operation that workers
 * died in; the answer is given before anything of the request is looked at.  The file stays known:
 * it is listed, found, removed and renamed, and its status says why.  Of a directory only the
 * operation that workers died in is refused.
 *
 * A file that passes through the kernel is read and written without us, also in quarantine, for as
 * long as it is open.
 */
#ifndef FS_QUARANTINE_H
#define FS_QUARANTINE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "fs/blame.h"
#include "fs/fs.h"

/* Is this message of @size bytes to be answered with EIO? */
bool quarantine_refuses(struct fs *fs, const struct fuse_in_header *in, size_t size);

/* True: what @node is must not be looked into either: workers died of that, and not of its I/O. */
bool quarantine_is_blind(struct fs *fs, const struct node *node);

/* Why @node is in quarantine, a new object; NULL: it is not.  The datastore: NULL. */
json_t *quarantine_json(struct fs *fs, struct node *node);
/* Paths of all files in quarantine, a new array. */
json_t *quarantine_list(struct fs *fs);

/* End the quarantine of a file, and of a disk's extents; of the datastore's directory: of all.
 * Returns how many. */
size_t quarantine_lift(struct fs *fs, struct node *node);

/* Events and log lines for the faults that ended the worker before this one; once. */
void quarantine_tell(struct fs *fs);

#endif
