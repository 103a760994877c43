/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Percentiles of the histogram against those of the sorted values. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policies/histogram.h"
#include "tests/unit/check.h"

#define N 20000

static uint64_t values[N];
static struct histogram h;

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t state;

static uint64_t random_bits(void)
{
	state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return state >> 11;
}

static uint64_t uniform(void)
{
	return random_bits() % 1000000;
}

static uint64_t every_magnitude(void)
{
	return random_bits() >> (16 + random_bits() % 37);
}

static uint64_t small(void)
{
	return random_bits() % 40;
}

static uint64_t two_humps(void)
{
	return random_bits() % 100 < 97 ? 8000 + random_bits() % 500
					: 5000000 + random_bits() % 9000000;
}

static uint64_t constant(void)
{
	return 123456789;
}

static void close_to(uint64_t got, uint64_t want)
{
	uint64_t allowed = want / 64 + 1; /* half of a bucket */

	if (got + allowed < want || got > want + allowed)
		fprintf(stderr, "got %lu, want %lu\n", (unsigned long)got, (unsigned long)want);
	check(got + allowed >= want && got <= want + allowed);
}

static void compare(uint64_t (*next)(void), size_t n)
{
	struct histogram_summary s;
	uint64_t sum = 0;

	memset(&h, 0, sizeof h);
	for (size_t i = 0; i < n; i++) {
		values[i] = next();
		sum += values[i];
		histogram_add(&h, values[i]);
	}
	qsort(values, n, sizeof *values, by_value);
	histogram_summarise(&h, &s);
	check(s.count == n && s.mean_ns == sum / n && s.max_ns == values[n - 1]);
	close_to(s.p50_ns, values[(n * 500 + 999) / 1000 - 1]);
	close_to(s.p90_ns, values[(n * 900 + 999) / 1000 - 1]);
	close_to(s.p99_ns, values[(n * 990 + 999) / 1000 - 1]);
	close_to(s.p999_ns, values[(n * 999 + 999) / 1000 - 1]);
	check(s.p999_ns <= s.max_ns);
}

/* Buckets follow each other without a gap, and values far too large have one. */
static void buckets(void)
{
	unsigned last = 0;

	for (uint64_t ns = 0; ns < 1 << 20; ns++) {
		unsigned b = histogram_bucket(ns);

		check(b == last || b == last + 1);
		last = b;
	}
	for (unsigned shift = 0; shift < 64; shift++) {
		check(histogram_bucket((UINT64_C(1) << shift) - 1) <=
		      histogram_bucket(UINT64_C(1) << shift));
		check(histogram_bucket(UINT64_C(1) << shift) < HISTOGRAM_BUCKETS);
	}
	check(histogram_bucket(UINT64_MAX) == HISTOGRAM_BUCKETS - 1);
}

int main(void)
{
	uint64_t (*const all[])(void) = {uniform, every_magnitude, small, two_humps, constant};
	static const size_t counts[] = {1, 2, 3, 10, 99, 1000, 1001, N};
	struct histogram_summary s;

	buckets();
	histogram_summarise(&h, &s);
	check(s.count == 0 && s.p50_ns == 0 && s.max_ns == 0);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		for (size_t k = 0; k < ARRAY_SIZE(counts); k++)
			compare(all[i], counts[k]);
	return 0;
}
