/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a stage costs each I/O: reads of 512 bytes of a disk in memory, with it and without.
 * Processor time, so that a busy machine does not matter much.
 *
 *     meson test -C build --benchmark -v stage_cost
 */
#include <pthread.h>

#include "base/cleanup.h"
#include "tests/unit/limit_rig.h"

#define READS  1000000u
#define ROUNDS 5

static struct limit_settings wide = {.iops = (char *)"1000000000", .bandwidth = (char *)"1T"};
static struct limit_settings bursting = {
	.iops = (char *)"100000000",
	.bandwidth = (char *)"512G",
	.burst = &(struct limit_burst_settings){.iops = (char *)"1000000000",
						.bandwidth = (char *)"1T"},
};

static struct stack *disk(const struct stack_part *parts, size_t n)
{
	struct stage *leaf;
	struct stack *s;

	check(memory_new(RIG_BYTES, 1, &leaf) == 0);
	check(stack_new(leaf, parts, n, &s) == 0);
	return s;
}

static void *reader(void *data)
{
	rig_reads(data, READS, 512);
	return NULL;
}

static double processor_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Nanoseconds of one read, the best of some rounds, with @threads at once. */
static double cost(const struct stack_part *parts, size_t n, unsigned threads)
{
	double best = 1e9;

	for (int round = 0; round < ROUNDS; round++) {
		struct stack *s = disk(parts, n);
		pthread_t t[8];
		double since = processor_seconds();

		for (unsigned i = 0; i < threads; i++)
			check(pthread_create(&t[i], NULL, reader, s) == 0);
		for (unsigned i = 0; i < threads; i++)
			check(pthread_join(t[i], NULL) == 0);
		best = MIN(best, (processor_seconds() - since) / READS / threads * 1e9);
		stack_free(s);
	}
	return best;
}

int main(void)
{
	const struct stack_part inspect = {stage_class_find("inspect"), "", NULL};
	const struct stack_part limit = {stage_class_find("limit"), &wide, NULL};
	const struct stack_part burst = {stage_class_find("limit"), &bursting, NULL};
	const struct stack_part both[] = {inspect, limit};

	for (unsigned threads = 1; threads <= 2; threads++) {
		double none = cost(NULL, 0, threads);

		printf("%u thread(s): no stage %.0f ns; inspect +%.0f, limit +%.0f, limit with "
		       "burst +%.0f, inspect and limit +%.0f\n",
		       threads, none, cost(&inspect, 1, threads) - none,
		       cost(&limit, 1, threads) - none, cost(&burst, 1, threads) - none,
		       cost(both, 2, threads) - none);
	}
	return 0;
}
