/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rates, bursts and absurd settings: what the buckets admit, as tables. */
#include <string.h>

#include "base/cleanup.h"
#include "policies/bucket.h"
#include "tests/unit/check.h"

#define S BUCKET_SECOND_NS

static void costs(void)
{
	static const struct {
		uint64_t rate, n, cost;
	} cases[] = {
		{0, 1, 0}, /* no limit */
		{0, UINT64_MAX, 0},
		{1, 1, S},
		{2000, 1, 500000},
		{3, 1, 333333334}, /* rounded up: the rate is never exceeded */
		{3, 3, S},
		{S, 1, 1},
		{10 * S, 1, 1}, /* still not free */
		{UINT64_MAX, 1, 1},
		{UINT64_MAX, UINT64_MAX, S},
		{209715200, 4096, 19532}, /* 200M: 19531.25 */
		{1, UINT64_MAX, BUCKET_COST_MAX_NS},
		{1, 1125900, BUCKET_COST_MAX_NS}, /* 2^50 ns are 1125899.9 seconds */
		{1, 1125899, 1125899 * S},
		{7, 1, 142857143},
		{1, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(bucket_cost_ns(cases[i].rate, cases[i].n) == cases[i].cost);
}

static void units(void)
{
	static const struct {
		uint64_t bytes, units;
	} cases[] = {
		{0, 1},	    {1, 1},	{512, 1},   {4096, 1},	   {32768, 1},
		{32769, 2}, {65536, 2}, {65537, 3}, {1 << 20, 32}, {UINT64_MAX, UINT64_C(1) << 49},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(meter_units(cases[i].bytes) == cases[i].units);
}

/* How many I/Os of @bytes start in [from, to), by somebody who always wants more. */
static uint64_t greedy(struct meter *m, uint64_t bytes, uint64_t from, uint64_t to)
{
	uint64_t now = from, n = 0;

	for (;;) {
		now = MAX(now, meter_when(m));
		if (now >= to)
			return n;
		meter_charge(m, bytes, now);
		n++;
	}
}

/* What starts in the first second of work, in the 10 after it, and in 1 after 100 idle ones.  The
 * slack of 20 ms is in each first number. */
static void rates(void)
{
	static const struct {
		const char *what;
		struct meter_conf conf;
		uint64_t bytes, first, next, later;
	} cases[] = {
		{"iops", {.iops = 1000}, 4096, 1020, 10000, 1020},
		{"iops, large I/O counts twice", {.iops = 1000}, 65536, 510, 5000, 510},
		{"iops, 512 bytes count once", {.iops = 1000}, 512, 1020, 10000, 1020},
		{"one a second", {.iops = 1}, 4096, 2, 10, 2},
		{"bandwidth", {.bandwidth = 1 << 20}, 32768, 33, 320, 33},
		{"the lower of the two: iops",
		 {.iops = 100, .bandwidth = 1 << 30},
		 4096,
		 102,
		 1000,
		 102},
		{"the lower of the two: bandwidth",
		 {.iops = 1000, .bandwidth = 1 << 20},
		 65536,
		 17,
		 160,
		 17},
		/* 10 s at 200 take 1000 more than the rate of 100 gives */
		{"burst",
		 {.iops = 100, .burst_iops = 200, .burst_ns = 10 * S},
		 4096,
		 204,
		 1796 + 100,
		 204},
		{"burst of bandwidth",
		 {.bandwidth = 100 * 32768, .burst_bandwidth = 200 * 32768, .burst_ns = 10 * S},
		 32768,
		 204,
		 1796 + 100,
		 204},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct meter m = {0};
		uint64_t first, next, later, t = 123 * S;

		meter_set(&m, &cases[i].conf, t);
		first = greedy(&m, cases[i].bytes, t, t + S);
		next = greedy(&m, cases[i].bytes, t + S, t + 11 * S);
		later = greedy(&m, cases[i].bytes, t + 111 * S, t + 112 * S);
		if (first != cases[i].first || next != cases[i].next || later != cases[i].later)
			fprintf(stderr, "%s: %lu %lu %lu\n", cases[i].what, (unsigned long)first,
				(unsigned long)next, (unsigned long)later);
		check(first == cases[i].first && next == cases[i].next && later == cases[i].later);
	}
}

/* A million I/Os later the rate is still exact. */
static void no_drift(void)
{
	struct meter_conf conf = {.iops = 3};
	struct meter m = {0};
	uint64_t n;

	meter_set(&m, &conf, 0);
	n = greedy(&m, 4096, 0, 300000 * S);
	check(n >= 899999 && n <= 900001);
}

/* One I/O larger than everything allowed starts at once; the next one pays for it. */
static void huge_io(void)
{
	struct meter_conf conf = {.bandwidth = 1 << 20};
	struct meter m = {0};

	meter_set(&m, &conf, 5 * S);
	check(meter_when(&m) <= 5 * S);
	meter_charge(&m, 100 << 20, 5 * S);
	check(meter_when(&m) == 105 * S - BUCKET_SLACK_NS);
}

/* New settings: what is owed stays owed as I/Os; nothing is owed to no limit. */
static void new_settings(void)
{
	struct meter_conf slow = {.iops = 1}, fast = {.iops = 1000}, none = {0};
	struct meter m = {0};

	meter_set(&m, &slow, 0);
	for (int i = 0; i < 10; i++)
		meter_charge(&m, 4096, 0); /* owes 10 seconds */
	check(meter_when(&m) == 10 * S - BUCKET_SLACK_NS);
	meter_set(&m, &fast, 0);
	check(m.iops.due_ns == 10 * S / 1000);
	meter_set(&m, &slow, 0);
	check(m.iops.due_ns == 10 * S);
	meter_set(&m, &none, 0);
	check(meter_when(&m) == 0);
	meter_set(&m, &slow, 0);
	check(meter_when(&m) == 0);
}

/* Nothing overflows: the time only ever goes on, and a wait ends. */
static void absurd(void)
{
	static const uint64_t values[] = {
		0, 1, 2, S, UINT64_C(1) << 40, UINT64_MAX / 2, UINT64_MAX - 1, UINT64_MAX};
	const size_t n = ARRAY_SIZE(values);

	for (size_t i = 0; i < n * n * n * n * n; i++) {
		struct meter_conf conf = {
			.iops = values[i % n],
			.burst_iops = values[i / n % n],
			.bandwidth = values[i / n / n % n],
			.burst_bandwidth = values[i / n / n % n],
			.burst_ns = values[i / n / n / n % n],
		};
		uint64_t bytes = values[i / n / n / n / n % n], now = bytes, when;
		struct meter m = {0};

		meter_set(&m, &conf, now);
		check(meter_when(&m) <= now);
		for (int k = 0; k < 3; k++) {
			uint64_t cost = meter_charge(&m, bytes, now);

			check(cost <= BUCKET_COST_MAX_NS);
			when = meter_when(&m);
			check(when >= now || when == 0 || now - when <= BUCKET_COST_MAX_NS);
			check(when <= now || when - now <= 3 * BUCKET_COST_MAX_NS);
		}
	}
}

int main(void)
{
	costs();
	units();
	rates();
	no_drift();
	huge_io();
	new_settings();
	absurd();
	return 0;
}
