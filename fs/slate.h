/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/slate.h - what must outlive the worker's death, in fixed slots of one piece of memory.
 *
 * The kernel goes on where the worker stopped: it resends requests, holds node ids that no commit
 * has reached yet, and backing ids of files that are open.  All of that is written here before
 * the kernel is told.  Today the memory is private to the worker; with a holder it is a memfd that
 * the next worker maps.  So nothing in it is a pointer, every slot has a fixed size, and the
 * header says version and layout.
 *
 * Stored
 *   threads   what each request thread works on, and for a request that must not run twice its
 *             names, the handle found at each name before, and the outcome
 *   nodes     node ids that are promised to the kernel and not committed to the catalog
 *   opens     per open file: node, way, backing id, number of opens
 *
 * Invariant  a node id that the kernel has seen is in a slot here or in the catalog.  An open
 *            that the kernel was told of is counted here before the reply.
 * Threads    a thread writes only its own thread slot; node and open slots are allocated under
 *            the slate's lock, which is the last but one of the lock order (base/queue's is
 *            last) and never held over a system call.
 */
#ifndef FS_SLATE_H
#define FS_SLATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/catalog.h"

#define SLATE_MAGIC   0x3165746c73726977ull /* "wirslte1" */
#define SLATE_VERSION 1u

#define SLATE_THREADS 64
#define SLATE_NODES   16384
#define SLATE_OPENS   65536

/* A request in service.  unique == 0: the thread is idle. */
struct slate_thread {
	uint64_t unique; /* as the kernel gave it, without bit 63 */
	uint64_t since_ns;
	uint64_t node, node2; /* 0: none */
	uint32_t opcode;
	uint32_t state; /* enum slate_request_state */
	int32_t outcome; /* of a finished one: 0 or a negative errno */
	uint32_t zero;
	struct handle before, before2; /* len 0: the name was free, or was not asked */
	char name[256], name2[256];
};

enum slate_request_state { SLATE_IDLE, SLATE_RUNNING, SLATE_DONE };

enum slate_node_state { SLATE_NODE_FREE, SLATE_NODE_NEW, SLATE_NODE_GONE };

struct slate_node {
	uint32_t state; /* enum slate_node_state */
	uint32_t zero;
	struct catalog_node node;
};

enum open_way { WAY_CLOSED, WAY_PASSTHROUGH, WAY_DAEMON };

struct slate_open {
	uint64_t node; /* 0: the slot is free */
	int32_t backing_id;
	uint32_t way;   /* enum open_way */
	uint32_t opens; /* opens that the kernel has not released */
	uint32_t writers;
};

struct slate;

int slate_new(struct slate **ret); /* -ENOMEM */
void slate_free(struct slate *s);

/* The slot of request thread @index. */
struct slate_thread *slate_thread(struct slate *s, unsigned index);

/* A request that must not run twice: note its names before it runs (NULL: it has none), and what
 * it came to before the reply. */
void slate_begin(struct slate_thread *t, uint64_t dir, const char *name, uint64_t dir2,
		 const char *name2);
void slate_outcome(struct slate_thread *t, int r);

/* Note a node that is to be committed (or, with @gone, removed).  Waits while all slots are taken;
 * @full is called, without locks, before the first wait and every second, to hurry the commit.
 * It says whether there is hope: false makes this one false too, and nothing is noted. */
bool slate_node_put(struct slate *s, const struct catalog_node *node, bool gone,
		    bool (*full)(void *data), void *data);

/* Take the oldest @max waiting nodes for a commit: *ret_n of them into @nodes and their slots into
 * @slots.  They stay in the slate until slate_node_committed. */
void slate_node_take(struct slate *s, struct catalog_node *nodes, uint32_t *slots, size_t max,
		     size_t *ret_n);
void slate_node_committed(struct slate *s, const uint32_t *slots, size_t n);
size_t slate_node_count(struct slate *s);

/* A free open slot for @node, or -ENFILE.  Returned as an index; slots never move. */
int slate_open_new(struct slate *s, uint64_t node, uint32_t *ret);
struct slate_open *slate_open_at(struct slate *s, uint32_t index);
void slate_open_free(struct slate *s, uint32_t index);
/* Nodes of the slots in use into @nodes, at most @max; how many. */
size_t slate_open_list(struct slate *s, uint64_t *nodes, size_t max);

#endif
