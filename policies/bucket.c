/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policies/bucket.c - see policies/bucket.h. */
#include "base/cleanup.h"
#include "policies/bucket.h"

typedef unsigned __int128 wide;

static uint64_t add_saturating(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/* ceil(n * second / rate), at most BUCKET_COST_MAX_NS. */
uint64_t bucket_cost_ns(uint64_t rate, uint64_t n)
{
	uint64_t product;
	wide cost;

	if (rate == 0)
		return 0;

	/* The division of 128 bits is ten times slower, and hardly ever needed. */
	if (!__builtin_mul_overflow(n, BUCKET_SECOND_NS, &product) && product <= UINT64_MAX - rate)
		return MIN((product + rate - 1) / rate, BUCKET_COST_MAX_NS);

	cost = ((wide)n * BUCKET_SECOND_NS + rate - 1) / rate;
	return cost > BUCKET_COST_MAX_NS ? BUCKET_COST_MAX_NS : (uint64_t)cost;
}

uint64_t bucket_when(const struct bucket *b)
{
	if (b->rate == 0 || b->due_ns <= b->tolerance_ns)
		return 0;
	return b->due_ns - b->tolerance_ns;
}

uint64_t bucket_charge(struct bucket *b, uint64_t n, uint64_t now_ns)
{
	uint64_t cost = bucket_cost_ns(b->rate, n);

	if (b->rate)
		b->due_ns = add_saturating(MAX(b->due_ns, now_ns), cost);
	return cost;
}

void bucket_set(struct bucket *b, uint64_t rate, uint64_t tolerance_ns, uint64_t now_ns)
{
	uint64_t owed_ns = b->rate && b->due_ns > now_ns ? b->due_ns - now_ns : 0;
	wide owed = (wide)owed_ns * b->rate;

	if (rate == 0)
		owed = 0;
	else
		owed /= rate;

	b->due_ns = add_saturating(now_ns,
				   owed > BUCKET_COST_MAX_NS ? BUCKET_COST_MAX_NS : (uint64_t)owed);
	b->rate = rate;
	b->tolerance_ns = tolerance_ns;
}

/* A burst of @burst_ns at @burst uses up (burst - rate) * burst_ns more than the rate gives:
 * that much is what may be saved up. */
static uint64_t saved_ns(uint64_t rate, uint64_t burst, uint64_t burst_ns)
{
	wide saved;

	if (rate == 0 || burst <= rate)
		return BUCKET_SLACK_NS;

	saved = (wide)(burst - rate) * burst_ns / rate;
	if (saved > BUCKET_COST_MAX_NS)
		return BUCKET_COST_MAX_NS;
	return MAX((uint64_t)saved, BUCKET_SLACK_NS);
}

void meter_set(struct meter *m, const struct meter_conf *c, uint64_t now_ns)
{
	bucket_set(&m->iops, c->iops, saved_ns(c->iops, c->burst_iops, c->burst_ns), now_ns);
	bucket_set(&m->burst_iops, c->burst_iops, BUCKET_SLACK_NS, now_ns);
	bucket_set(&m->bandwidth, c->bandwidth,
		   saved_ns(c->bandwidth, c->burst_bandwidth, c->burst_ns), now_ns);
	bucket_set(&m->burst_bandwidth, c->burst_bandwidth, BUCKET_SLACK_NS, now_ns);
}

uint64_t meter_units(uint64_t bytes)
{
	return MAX(bytes / BUCKET_UNIT_BYTES + (bytes % BUCKET_UNIT_BYTES != 0), 1);
}

uint64_t meter_when(const struct meter *m)
{
	uint64_t iops = MAX(bucket_when(&m->iops), bucket_when(&m->burst_iops));
	uint64_t bandwidth = MAX(bucket_when(&m->bandwidth), bucket_when(&m->burst_bandwidth));

	return MAX(iops, bandwidth);
}

uint64_t meter_charge(struct meter *m, uint64_t bytes, uint64_t now_ns)
{
	uint64_t units = meter_units(bytes);
	uint64_t iops_ns = bucket_charge(&m->iops, units, now_ns);
	uint64_t bandwidth_ns = bucket_charge(&m->bandwidth, bytes, now_ns);

	bucket_charge(&m->burst_iops, units, now_ns);
	bucket_charge(&m->burst_bandwidth, bytes, now_ns);
	return MAX(iops_ns, bandwidth_ns);
}
