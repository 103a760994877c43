/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policies/histogram.c - see policies/histogram.h. */
#include "base/cleanup.h"
#include "policies/histogram.h"

static uint64_t read_relaxed(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	uint64_t max = read_relaxed(&from->max_ns);

	atomic_fetch_add_explicit(&into->sum_ns, read_relaxed(&from->sum_ns), memory_order_relaxed);
	if (max > read_relaxed(&into->max_ns))
		atomic_store_explicit(&into->max_ns, max, memory_order_relaxed);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		atomic_fetch_add_explicit(&into->counts[i], read_relaxed(&from->counts[i]),
					  memory_order_relaxed);
}

static uint64_t bucket_middle(unsigned bucket)
{
	unsigned shift;
	uint64_t low;

	if (bucket < (2u << HISTOGRAM_BITS))
		return bucket;

	shift = (bucket >> HISTOGRAM_BITS) - 1;
	low = (uint64_t)(bucket - (shift << HISTOGRAM_BITS)) << shift;
	return low + (UINT64_C(1) << shift) / 2;
}

/* The smallest rank that is at least @per_mille of @count, from 1. */
static uint64_t rank(uint64_t count, unsigned per_mille)
{
	return count / 1000 * per_mille + (count % 1000 * per_mille + 999) / 1000;
}

void histogram_summarise(const struct histogram *h, struct histogram_summary *ret)
{
	struct {
		unsigned per_mille;
		uint64_t *value;
	} wanted[] = {
		{500, &ret->p50_ns},
		{900, &ret->p90_ns},
		{990, &ret->p99_ns},
		{999, &ret->p999_ns},
	};
	uint64_t counts[HISTOGRAM_BUCKETS], seen = 0;
	size_t next = 0;

	*ret = (struct histogram_summary){.max_ns = read_relaxed(&h->max_ns)};
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		ret->count += counts[i] = read_relaxed(&h->counts[i]);
	if (ret->count == 0)
		return;
	ret->mean_ns = read_relaxed(&h->sum_ns) / ret->count;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS && next < ARRAY_SIZE(wanted); i++) {
		seen += counts[i];
		while (next < ARRAY_SIZE(wanted) &&
		       seen >= rank(ret->count, wanted[next].per_mille))
			*wanted[next++].value = MIN(bucket_middle(i), ret->max_ns);
	}
}
