/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policies/bucket.h - when may the next I/O start?  The arithmetic of rate limits.
 *
 * A bucket is the generic cell rate algorithm: one number, the time at which everything admitted
 * so far would be over at exactly the allowed rate.  An I/O may start when that time is at most
 * the tolerance away, and then moves it on by its own cost, however large it is.  So a single
 * huge I/O never waits for ever; those after it pay.
 *
 * A meter is the four buckets of one limit: operations and bytes, each at its sustained rate
 * (tolerance: what may be saved up for a burst) and at its burst rate (tolerance: a slack that
 * hides the scheduler's lateness).  An I/O starts when all four agree.
 *
 * Pure: the time is an argument, nothing is stored elsewhere, nothing blocks.
 *
 * Units      nanoseconds of any one clock; operations of 32 KiB; bytes.
 * Rounding   costs are rounded up, so the rate is never exceeded; the error is below one
 *            nanosecond an I/O.
 * Overflow   sums saturate; a cost is at most BUCKET_COST_MAX_NS, whatever the settings.
 * Threads    callers serialise calls on one object.
 */
#ifndef POLICIES_BUCKET_H
#define POLICIES_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

#define BUCKET_SECOND_NS   UINT64_C(1000000000)
#define BUCKET_SLACK_NS    UINT64_C(20000000)   /* of every bucket: 20 ms */
#define BUCKET_COST_MAX_NS (UINT64_C(1) << 50)  /* about 13 days */
#define BUCKET_UNIT_BYTES  UINT64_C(32768)      /* of one normalised I/O */

struct bucket {
	uint64_t rate;         /* a second; 0: no limit */
	uint64_t tolerance_ns; /* how far ahead of the rate it may be */
	uint64_t due_ns;       /* when all that was admitted is over at @rate */
};

/* Time that @n take at @rate. */
uint64_t bucket_cost_ns(uint64_t rate, uint64_t n);

/* The start of the next I/O is allowed from this time on (0: always). */
uint64_t bucket_when(const struct bucket *b);
/* Admit @n at @now_ns; returns their cost. */
uint64_t bucket_charge(struct bucket *b, uint64_t n, uint64_t now_ns);

/* A new rate: what is owed stays owed, as a number of I/Os and not as a time. */
void bucket_set(struct bucket *b, uint64_t rate, uint64_t tolerance_ns, uint64_t now_ns);

struct meter_conf { /* 0: no limit */
	uint64_t iops, burst_iops;           /* normalised I/Os a second */
	uint64_t bandwidth, burst_bandwidth; /* bytes a second */
	uint64_t burst_ns;                   /* how long a burst lasts at its full rate */
};

struct meter {
	struct bucket iops, burst_iops, bandwidth, burst_bandwidth;
};

/* A zeroed meter admits everything; the first meter_set starts it with a full burst saved. */
void meter_set(struct meter *m, const struct meter_conf *conf, uint64_t now_ns);

/* An I/O of @bytes, as many normalised ones: max(1, ceil(bytes / 32 KiB)). */
uint64_t meter_units(uint64_t bytes);

uint64_t meter_when(const struct meter *m);
/* Admit an I/O of @bytes; returns its cost at the sustained rates, the dearer of the two. */
uint64_t meter_charge(struct meter *m, uint64_t bytes, uint64_t now_ns);

#endif
