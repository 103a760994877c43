/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policies/histogram.h - a latency histogram with 3% wide buckets, written without locks.
 *
 * Each power of two is cut into 32 equal buckets; values below 32 have a bucket each.  A
 * percentile is the middle of its bucket: at most 1.6% off, and never above the largest value.
 *
 * Units      nanoseconds; values above HISTOGRAM_MAX_NS count in the last bucket.
 * Threads    histogram_add from any; readers see each counter right and their sums nearly so.
 */
#ifndef POLICIES_HISTOGRAM_H
#define POLICIES_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#define HISTOGRAM_BITS    5u /* log2 of the buckets in a power of two */
#define HISTOGRAM_MAX_NS  ((UINT64_C(1) << 37) - 1) /* 137 seconds */
#define HISTOGRAM_BUCKETS ((37u - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS)

struct histogram {
	_Atomic uint64_t sum_ns, max_ns;
	_Atomic uint64_t counts[HISTOGRAM_BUCKETS];
};

static inline unsigned histogram_bucket(uint64_t ns)
{
	unsigned shift;

	if (ns > HISTOGRAM_MAX_NS)
		ns = HISTOGRAM_MAX_NS;
	if (ns < (1u << HISTOGRAM_BITS))
		return (unsigned)ns;

	/* The leading bit and the five behind it. */
	shift = 63 - HISTOGRAM_BITS - (unsigned)__builtin_clzll(ns);
	return (shift << HISTOGRAM_BITS) + (unsigned)(ns >> shift);
}

static inline void histogram_add(struct histogram *h, uint64_t ns)
{
	uint64_t max = atomic_load_explicit(&h->max_ns, memory_order_relaxed);

	atomic_fetch_add_explicit(&h->counts[histogram_bucket(ns)], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->sum_ns, ns, memory_order_relaxed);
	while (ns > max && !atomic_compare_exchange_weak_explicit(
				   &h->max_ns, &max, ns, memory_order_relaxed, memory_order_relaxed))
		;
}

/* What is known at one moment. */
struct histogram_summary {
	uint64_t count, mean_ns, max_ns;
	uint64_t p50_ns, p90_ns, p99_ns, p999_ns;
};
void histogram_merge(struct histogram *into, const struct histogram *from);
void histogram_summarise(const struct histogram *h, struct histogram_summary *ret);

#endif
