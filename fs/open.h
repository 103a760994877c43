/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/open.h - open files, and which way their bytes go.
 *
 *     passthrough  the kernel reads and writes the backing inode itself (FUSE passthrough).  All
 *                  opens of a file share one backing id; it is closed with the last of them.
 *     daemon       READ and WRITE come to us and pass the disk's stack (fs/disk.h).
 *
 * The first open of a file decides, all others follow until the last is closed: the kernel
 * refuses two backing ids for one inode, and a passthrough open beside one that is not.
 *
 * Stored     in the slate: node, way, number of opens and of writers; in the ledger the backing id.
 * Invariant  a node has an open slot exactly while the kernel has opens of it that it did not
 *            release.  With way == WAY_DAEMON its disk exists while somebody owns the state: after
 *            a restart the first owner makes it.  An unlinked file with an open slot lies in
 *            .weir/orphans.
 * Threads    open_begin/open_end make one thread at a time the owner of a node's open state: not
 *            a lock (owners make system calls), but a mark that others wait for.  The order of
 *            marks is that of node ids where two are taken.
 */
#ifndef FS_OPEN_H
#define FS_OPEN_H

#include "fs/fs.h"

struct opens;

/* What is known of an open file; all zero when it is not open. */
struct open_info {
	enum open_way way;
	int32_t backing_id; /* 0: none */
	uint32_t opens;	    /* that the kernel has not released */
	uint32_t writers;
};

int opens_new(struct opens **ret);
void opens_free(struct opens *o);

/* After a worker that died, before requests are served: its open files are ours.  opens_finish
 * ends what it had begun to close. */
int opens_restore(struct fs *fs);
void opens_finish(struct fs *fs);

void open_begin(struct fs *fs, struct node *node);
void open_end(struct fs *fs, struct node *node);

/* Owner only. */
struct open_info open_state(struct fs *fs, struct node *node);
/* Anybody: a glance that may be old when it returns. */
struct open_info open_glance(struct fs *fs, struct node *node);

/* The disk of an open file that the daemon serves, made if a restart has left it to be made.  NULL
 * in *ret: the file goes another way. */
struct disk;
int open_disk(struct fs *fs, struct node *node, struct disk **ret);

/* One more open, with the caller's flags; *ret is the reply.  -ENFILE: the slate is full. */
int open_acquire(struct fs *fs, struct node *node, int flags, struct weir_open_out *ret);
void open_release(struct fs *fs, struct node *node, uint64_t fh);

/* The node of an open file by the handle the kernel holds: no table is asked.  It stays for as long
 * as the file is open, which is longer than any request on it.  NULL: ask the table. */
struct node *open_node(struct fs *fs, uint64_t fh, uint64_t id);

/* All open files, for whoever must look at each: ids into @ids (at most @max), returns how many. */
size_t open_list(struct fs *fs, uint64_t *ids, size_t max);

#endif
