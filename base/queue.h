/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/queue.h - which requests of one disk may run now, and which wait.
 *
 * Whoever receives a request asks the queue of its disk.  When fewer than @limit are in service
 * and nothing in its way is unfinished, it runs at once in the asking thread; otherwise it waits
 * here, as memory and not as a thread, and whoever finishes one is given what may run next.
 *
 * In the way of a request stand, among the older ones that are not finished:
 *     read       writes that overlap it, and whatever runs alone
 *     write      reads and writes that overlap it, flushes no, and whatever runs alone
 *     flush      every older write and whatever runs alone (younger requests pass it)
 *     alone      everything; and nothing younger passes it (resize, drain, change of stack)
 * Of those that nothing stands in the way of, the oldest is served first.
 *
 * A write that ends behind the size runs alone: see split_write.
 *
 * Invariant  no two requests in service conflict; of two that conflict the older is served first;
 *            in_service <= limit.  Nothing waits for a younger one, so nothing starves.
 * Cost       logarithmic in the number of unfinished requests, and no allocation.
 * Threads    any.  One lock inside, never held over a callback or a system call.  It is the last
 *            lock of the lock order.
 */
#ifndef BASE_QUEUE_H
#define BASE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/interval.h"
#include "base/list.h"

enum io_kind { IO_READ, IO_WRITE, IO_FLUSH, IO_ALONE };

/* Embedded in the caller's request, which must stay in memory until queue_leave. */
struct io {
	enum io_kind kind;
	uint64_t off, end; /* rounded out to the stack's blocks; flush and alone ignore them */
	uint64_t since_ns; /* when it entered (CLOCK_MONOTONIC) */
	struct io *next;   /* in the list that queue_leave returns */

	/* The queue's own; nothing in it needs a start value. */
	bool served;
	struct list link;     /* in active or held */
	struct list order;    /* in writes or flushes */
	struct interval span; /* of a read or write, with the request's sequence number */
	struct io *blocked;   /* those that wait for this one, linked by ->next */
	struct io *child;     /* in the heap; siblings are linked by ->next */
	pthread_cond_t *wake; /* of a thread in queue_wait_alone */
};

struct queue {
	pthread_mutex_t lock;   /* protects everything below and what is the queue's in its ios */
	struct list active;     /* unfinished, in order of entry, up to the first that runs alone */
	struct list held;       /* behind that one, in order of entry */
	struct list writes;     /* of the active ones, in order of entry */
	struct list flushes;    /* that wait for older writes, in order of entry */
	struct interval *spans; /* of active reads and writes */
	struct io *ready;       /* heap, oldest on top: only in_service >= limit keeps them */
	struct io *alone;       /* the last active one, if it is to run alone */
	uint64_t seq;
	unsigned in_service, limit;
	unsigned waiters; /* entered, not in service */
};

void queue_init(struct queue *q, unsigned limit);
void queue_done(struct queue *q); /* nothing may be in it */

/* True: run it now.  False: it waits, and some queue_leave will return it. */
bool queue_enter(struct queue *q, struct io *io);

/* @io is finished.  Returns those that may run now, linked by ->next in order of age, already in
 * service; the caller runs the first and hands the rest on.  NULL: none. */
struct io *queue_leave(struct queue *q, struct io *io);

/* Enter as IO_ALONE from a thread that may wait: returns when it is alone.  What queue_leave
 * gives at the end must be run as always. */
void queue_wait_alone(struct queue *q, struct io *io);

/* True: nothing is in service or waiting (a hint unless the caller keeps others out). */
bool queue_idle(struct queue *q);

/* Age of the oldest unfinished request in nanoseconds, 0 when there is none. */
uint64_t queue_oldest_ns(struct queue *q);

#endif
