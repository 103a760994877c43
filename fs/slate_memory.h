/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/slate_memory.h - the layout of the slate; for fs/slate*.c alone. */
#ifndef FS_SLATE_MEMORY_H
#define FS_SLATE_MEMORY_H

#include <pthread.h>

#include "fs/slate.h"

/* Only fixed-size fields; docs/format.md names every byte. */
struct slate_memory {
	uint64_t magic;
	uint32_t version;
	uint32_t requests, nodes, opens, epitaphs, blames, events; /* slots of each */
	uint32_t zero;
	uint64_t size;
	uint64_t sum; /* of all above */

	uint64_t ids_next, ids_end, ids_sum;
	_Atomic uint64_t head, tail; /* of the ring of nodes: those in [tail, head) are in use */

	uint64_t init_sum;
	struct slate_init init;
	struct slate_blame blame[SLATE_BLAMES];
	struct slate_request request[SLATE_REQUESTS];
	struct slate_open open[SLATE_OPENS];
	struct slate_epitaph {
		uint64_t node, sum;
		struct stat st;
	} epitaph[SLATE_EPITAPHS];
	struct slate_event {
		uint64_t seq, sum;
		char text[SLATE_EVENT_MAX + 8];
	} event[SLATE_EVENTS];
	struct slate_node node[SLATE_NODES];
};

/* Another layout is another version. */
_Static_assert(sizeof(struct slate_request) == 736 && sizeof(struct slate_node) == 336 &&
		       sizeof(struct slate_open) == 24 && sizeof(struct slate_blame) == 48 &&
		       sizeof(struct slate_memory) == 8385136 && SLATE_VERSION == 2,
	       "docs/format.md has every byte of this");

struct slate {
	struct slate_memory *memory;
	pthread_mutex_t lock; /* protects all below, and allocation of slots */
	pthread_cond_t space;
	uint64_t taken;	    /* of the ring: [tail, taken) are being committed */
	uint32_t open_hint; /* where to look for a free open slot first */
	bool in_use[SLATE_REQUESTS]; /* by a thread of this worker */
	unsigned leftovers; /* records that dead workers left and nobody has adopted */
};

/* Not for secrets: tells a slot that was written whole from anything else. */
uint64_t slate_sum(uint64_t seed, const void *data, size_t size);

/* After a dead worker: whether its changes of counts were made; what of its promises is left. */
void slate_settle_counts(struct slate *s);
void slate_settle_nodes(struct slate *s);

#endif
