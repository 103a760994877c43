/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/disk.h - a file that the daemon serves: its queue and its stack of stages.
 *
 * A disk exists while its file is open in the daemon's way, or an operation on the closed file
 * needs the stack.  The stack is built from the policy that covers the file (fs/assign.h) and has
 * only the leaf when none does.
 *
 * Invariant  every request to the stack runs inside the disk's queue.  The stack changes only
 *            while a request that runs alone is in service.
 * Ownership  disk_get and disk_put are called by the owner of the node's open state (fs/open.h),
 *            except where said.
 */
#ifndef FS_DISK_H
#define FS_DISK_H

#include "base/queue.h"
#include "base/stack.h"
#include "fs/fs.h"

struct applied;

struct disk {
	struct queue queue;
	struct stack *stack; /* looked at only inside the queue */
	struct stage *leaf;  /* at its bottom; the same one through all changes of the stack */
	_Atomic uint32_t block; /* what the stack asks for, for those who enter the queue */
	_Atomic uint32_t depth; /* stages above the leaf, likewise */
	struct applied *applied; /* whose stages the stack has; NULL: the leaf alone */
	bool waits;	       /* its policy has stages, but there was no lease */
	unsigned references;
	struct list link;      /* in the list of disks in use */
	struct node *node;
};

/* Disks in use, for whoever watches them. */
struct disk_list;
int disk_list_new(struct disk_list **ret);
void disk_list_free(struct disk_list *l);

struct disk_view {
	uint64_t node;
	uint64_t oldest_ns; /* age of its oldest unfinished request; 0: there is none */
};
/* The disks whose oldest request is older than @age_ns, at most @max; how many. */
size_t disk_list_old(struct disk_list *l, uint64_t age_ns, struct disk_view *ret, size_t max);

int disk_get(struct fs *fs, struct node *node);
void disk_put(struct fs *fs, struct node *node);

/* Build the stack anew from the policy that covers the file now, under a drain; the old one stays
 * when that fails.  Does nothing when the file has no disk. */
int disk_restack(struct fs *fs, struct node *node);

/* truncate(2), whatever way the file goes.  Not for the owner: takes ownership itself. */
int disk_resize(struct fs *fs, struct node *node, uint64_t size);

/* Attributes that are not the backing file's while a disk is in use. */
void disk_show_attributes(struct node *node, struct stat *st);

/* The backing file of an open node has @size now.  When that is not what its stack thinks, somebody
 * changed it behind us: the stack takes it over, in the background, when nothing is in flight. */
void disk_notice_size(struct fs *fs, struct node *node, uint64_t size);

/* A drained end: let what waited run on. */
void disk_let_go(struct fs *fs, struct disk *d, struct io *io);

#endif
