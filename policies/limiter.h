/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policies/limiter.h - whose I/O is next, and when: one limit, shared by any number of disks.
 *
 * Each disk is a flow with shares; its waiting I/Os stand in a line.  Between the flows start-time
 * fair queueing decides: a flow's start tag moves on by cost / shares with each of its I/Os, and
 * the smallest tag of those that wait is served next.  So flows that always want more than they
 * get divide the limit as their shares say, what one flow leaves is the others', and a flow that
 * comes back from idleness starts level with the others: nothing saved up, nothing owed.  When the
 * next I/O may start is the meter's business (policies/bucket.h).
 *
 * Invariant  a flow is in the active list exactly while its line is not empty; virtual_ns is the
 *            largest start tag served so far; no flow's start tag is below it while it waits.
 * Pure: the time is an argument; who waits, and how, is the caller's (policies/limit.c).
 *
 * Threads    callers serialise calls on one limiter and its flows.
 */
#ifndef POLICIES_LIMITER_H
#define POLICIES_LIMITER_H

#include "base/list.h"
#include "policies/bucket.h"

#define LIMITER_SHARES_MAX 100000u

struct limiter_wait { /* one I/O; embedded in the caller's */
	struct list link; /* the limiter's */
	uint64_t bytes;
};

struct limiter_flow {
	struct list link;    /* in limiter.flows */
	struct list active;  /* in limiter.active, while its line is not empty */
	struct list line;    /* of limiter_wait, oldest first */
	uint64_t start_ns;   /* virtual: tag of its next I/O */
	uint64_t shares;     /* 1 to LIMITER_SHARES_MAX */
};

struct limiter {
	struct meter meter;
	struct list flows, active;
	uint64_t virtual_ns;
	uint64_t waiting; /* I/Os in all lines */
};

void limiter_init(struct limiter *l);
void limiter_set(struct limiter *l, const struct meter_conf *conf, uint64_t now_ns);

void limiter_add(struct limiter *l, struct limiter_flow *f, uint64_t shares);
void limiter_remove(struct limiter *l, struct limiter_flow *f); /* its line is empty */
void limiter_set_shares(struct limiter_flow *f, uint64_t shares);

/* True: nobody waits, the I/O may start now and is charged. */
bool limiter_try(struct limiter *l, struct limiter_flow *f, uint64_t bytes, uint64_t now_ns);

/* @w stands in the line of @f and must stay in memory until limiter_next or limiter_release
 * returns it. */
void limiter_wait(struct limiter *l, struct limiter_flow *f, struct limiter_wait *w);

/* The I/O that is next, or NULL when nobody waits. */
struct limiter_wait *limiter_head(struct limiter *l);

/* The I/O that is next, charged and out of its line, when it may start now; NULL otherwise, with
 * the time at which the head may start in *ret_when (UINT64_MAX: nobody waits). */
struct limiter_wait *limiter_next(struct limiter *l, uint64_t now_ns, uint64_t *ret_when);

/* The oldest I/O of @f, charged and out of its line whatever the limit says; NULL: none. */
struct limiter_wait *limiter_release(struct limiter *l, struct limiter_flow *f, uint64_t now_ns);

#endif
