/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/slate.h - what must outlive the worker's death, in fixed slots of one piece of memory.
 *
 * The kernel goes on where the worker stopped: it resends requests, holds node ids that no commit
 * has reached yet, and backing ids of files that are open.  All of that is written here before
 * the kernel is told.  The memory is a memfd that the holder keeps and each worker maps.  So
 * nothing in it is a pointer, every slot has a fixed size, and the header says version and layout
 * (docs/format.md).  There is no fsync: it outlives a process, not the machine.
 *
 * Stored
 *   requests  what each request thread works on; for a request that must not run twice its names,
 *             the handle found at each name before, and the outcome
 *   nodes     node ids that are promised to the kernel and not committed to the catalog
 *   opens     per open file: node, way, number of opens (the backing id is in the ledger)
 *   epitaphs  the last attributes of files that are gone but may be held by path
 *   blames    which file a worker died over, and how often (fs/blame.h)
 *   events    the newest lines of `weir events`
 *   init      the INIT exchange with the kernel
 *
 * Invariant  a node id that the kernel has seen is in a slot here or in the catalog.  An open
 *            that the kernel was told of is counted here before the reply.  A request that changed
 *            something by a step that cannot be done twice has its record here before the step,
 *            and until its reply is written.
 *            Each change of a slot is one store of eight bytes, or is invisible until one: a
 *            thread that is killed between any two instructions leaves the old state or the new.
 * Checks     every slot carries a sum; a slot whose sum is wrong is one that never was.
 * Refuses    another version or layout (-EPROTO), a header that is damaged (-EUCLEAN).
 * Threads    a thread writes only its own request slot; node and open slots are allocated under
 *            the slate's lock, which is the last but one of the lock order (base/queue's is
 *            last) and never held over a system call.
 */
#ifndef FS_SLATE_H
#define FS_SLATE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "base/catalog.h"

#define SLATE_MAGIC   0x3165746c73726977ull /* "wirslte1" */
#define SLATE_VERSION 2u

#define SLATE_THREADS  64    /* request threads of one worker */
#define SLATE_REQUESTS 512   /* theirs, and those that dead workers left */
#define SLATE_NODES    16384
#define SLATE_OPENS    65536
#define SLATE_EPITAPHS 4096
#define SLATE_BLAMES   256
#define SLATE_EVENTS   256
#define SLATE_STAGE    16    /* bytes of a stage's name */

struct slate;

/* @memfd: of the holder, which stays the caller's; -1: private memory, for tests.  An empty one is
 * made to a slate; *ret_resumed says whether it was one already. */
int slate_new(int memfd, struct slate **ret, bool *ret_resumed);
void slate_free(struct slate *s);
uint32_t slate_version(void);

/* ---- requests ---------------------------------------------------------------------------- */

enum slate_request_state { SLATE_IDLE, SLATE_RUNNING };

enum slate_phase {
	SLATE_NOTHING,
	SLATE_BEGUN, /* the step may have been made or not: look (fs/resume.h) */
	SLATE_DONE,  /* it was made, with the outcome */
};

/* What must not be done twice. */
struct slate_record {
	uint64_t begun_ns;	/* CLOCK_REALTIME_COARSE, as the backing filesystem stamps */
	uint64_t node, node2;	/* of the directories, or of what the operation says; 0: none */
	struct handle before, before2; /* len 0: the name was free, or was not asked */
	uint32_t links;		/* of what lay at the name that goes, before */
	uint32_t mode;		/* its type (S_IFMT), or that of what is made */
	uint32_t flags;		/* the operation's */
	uint32_t zero;
	char name[256], name2[256];
	uint64_t sum;		/* of all above; the verdict has its own */
};

/* A request in service.  unique == 0: the thread is idle. */
struct slate_request {
	_Atomic uint64_t unique; /* as the kernel gave it, without bit 63 */
	uint64_t since_ns;	 /* CLOCK_MONOTONIC_COARSE */
	uint64_t node;
	uint32_t opcode;
	_Atomic uint32_t state;	 /* enum slate_request_state */
	int32_t thread;		 /* its tid */
	_Atomic uint32_t fault;	 /* the signal that ended the worker in it; 0: none */
	char stage[SLATE_STAGE]; /* with fault: the stage that ran, "" when none did */

	_Atomic uint64_t verdict; /* of the record: phase and outcome in one word */
	_Atomic uint64_t count;	  /* a change of an open slot: which, and its phase */
	uint64_t count_before;	  /* that slot's counts before */
	struct slate_record record;
};

/* A slot for a request thread, until slate_request_put.  NULL: all are taken, which cannot be with
 * at most SLATE_THREADS threads. */
struct slate_request *slate_request_take(struct slate *s);
void slate_request_put(struct slate *s, struct slate_request *q);
struct slate_request *slate_request_at(struct slate *s, unsigned index); /* of SLATE_REQUESTS */

/* The kernel sends @unique again: the slot in which a dead worker left its record, now the caller's
 * as if taken; NULL: nothing irrevocable was done for it. */
struct slate_request *slate_adopt(struct slate *s, uint64_t unique);

/* The reply is written: nothing of it is needed any more. */
void slate_clear(struct slate_request *q);

/* A step that must not be made twice.  Note what it is about, then slate_begin, then make it, then
 * slate_outcome. */
void slate_names(struct slate_request *q, uint64_t dir, const char *name, uint64_t dir2,
		 const char *name2);
void slate_begin(struct slate_request *q);
void slate_outcome(struct slate_request *q, int r);
enum slate_phase slate_phase(const struct slate_request *q, int *ret_outcome);

/* ---- node ids ---------------------------------------------------------------------------- */

enum slate_node_state { SLATE_NODE_FREE, SLATE_NODE_NEW, SLATE_NODE_GONE };

struct slate_node {
	uint64_t sum;
	uint32_t state; /* enum slate_node_state */
	uint32_t zero;
	struct catalog_node node;
};

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

/* What a dead worker promised, in order; called once, before anything is put.  @node has a handle
 * of length 0 when it is to be removed. */
void slate_node_each(struct slate *s, void (*each)(void *data, const struct catalog_node *node),
		     void *data);

/* The newest promise of @id that is not committed.  False: there is none. */
bool slate_node_find(struct slate *s, uint64_t id, struct catalog_node *ret);

/* The range of ids that is reserved and not given out.  False: none is. */
bool slate_ids_get(struct slate *s, uint64_t *ret_next, uint64_t *ret_end);
void slate_ids_set(struct slate *s, uint64_t next, uint64_t end);

/* ---- open files -------------------------------------------------------------------------- */

enum open_way { WAY_CLOSED, WAY_PASSTHROUGH, WAY_DAEMON };

struct slate_open {
	uint64_t node; /* 0: the slot is free */
	uint32_t way;  /* enum open_way */
	uint32_t sum;  /* of node and way */
	_Atomic uint64_t counts;
};

struct slate_counts {
	uint32_t opens; /* that the kernel has not released */
	uint32_t writers;
};

/* A free open slot for @node, or -ENFILE.  Returned as an index; slots never move. */
int slate_open_new(struct slate *s, uint64_t node, enum open_way way, uint32_t *ret);
const struct slate_open *slate_open_at(struct slate *s, uint32_t index);
struct slate_counts slate_open_counts(struct slate *s, uint32_t index);
void slate_open_free(struct slate *s, uint32_t index);

/* Count opens and writers up or down, on behalf of the request @q (NULL: of none), so that it can
 * be told after a death whether it was done.  By the owner of the file's open state. */
void slate_open_count(struct slate *s, struct slate_request *q, uint32_t index, int opens,
		      int writers);
/* True: a dead worker has counted for this request, in slot *ret. */
bool slate_counted(const struct slate_request *q, uint32_t *ret);

/* Nodes of the slots in use into @nodes, at most @max; how many. */
size_t slate_open_list(struct slate *s, uint64_t *nodes, size_t max);

/* ---- epitaphs ---------------------------------------------------------------------------- */

/* The newest few thousand are kept. */
void slate_bury(struct slate *s, uint64_t node, const struct stat *st);
bool slate_epitaph(struct slate *s, uint64_t node, struct stat *ret);

/* ---- blames: fs/blame.c is alone in using them, under its own lock ------------------------- */

struct slate_blame {
	uint64_t node; /* 0: free */
	uint64_t last_ns; /* CLOCK_REALTIME */
	uint32_t count;
	uint32_t signal;
	uint32_t opcode;
	uint32_t quarantined;
	char stage[SLATE_STAGE];
};

struct slate_blame *slate_blame_at(struct slate *s, unsigned index); /* of SLATE_BLAMES */

/* ---- events ------------------------------------------------------------------------------ */

#define SLATE_EVENT_MAX 1000 /* bytes of text; longer ones are not kept */

/* Numbers grow by one, under the lock of fs/events.c. */
void slate_event_put(struct slate *s, uint64_t seq, const char *text);
/* The text of event @seq; NULL: not kept (any more). */
const char *slate_event(struct slate *s, uint64_t seq);
uint64_t slate_event_last(struct slate *s); /* the highest number kept, or 0 */

/* ---- INIT -------------------------------------------------------------------------------- */

#define SLATE_INIT_MAX 256

struct slate_init {
	uint32_t in_size, out_size; /* in_size 0: there was none yet */
	uint8_t in[SLATE_INIT_MAX];  /* the kernel's message, header included */
	uint8_t out[SLATE_INIT_MAX]; /* our reply, without its header */
};

/* False: none is recorded (or it is damaged, which only a second fault can do). */
bool slate_init_get(struct slate *s, struct slate_init *ret);
int slate_init_set(struct slate *s, const void *in, size_t in_size, const void *out,
		   size_t out_size); /* -EMSGSIZE */

#endif
