/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stage counts what passed it, exactly, also from many threads; and changes nothing. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "base/cleanup.h"
#include "tests/unit/limit_rig.h"
#include "tests/unit/stages/delay.h"
#include "tests/unit/stages/fault.h"

static char buf[1 << 20];

static json_t *stats_of(struct stack *s)
{
	json_t *all = stack_stats(s);
	json_t *mine = json_incref(json_object_get(all, "inspect"));

	json_decref(all);
	check(mine);
	return mine;
}

/* The number at "read.latency_us.p50"; -1: there is none. */
static double number(json_t *json, const char *path)
{
	char key[32];

	while (json && *path) {
		size_t len = strcspn(path, ".");

		snprintf(key, sizeof key, "%.*s", (int)len, path);
		json = json_object_get(json, key);
		path += len + (path[len] == '.');
	}
	return json_is_number(json) ? json_number_value(json) : -1;
}

static void operations(void)
{
	struct stack *s = rig_disk("inspect", "", NULL);
	struct stage *top = stack_top(s);
	struct stage_extent extent;
	json_t *json;

	for (int i = 0; i < 10; i++)
		check(stage_write(top, buf, NULL, (uint64_t)i * 4096, 4096, 0) == 0);
	for (int i = 0; i < 5; i++)
		check(stage_read(top, buf, NULL, (uint64_t)(9 - i) * 65536, 65536) == 0);
	check(stage_read(top, buf, NULL, 0, 1) == 0);
	check(stage_read(top, buf, NULL, 0, 513) == 0);
	check(stage_flush(top) == 0 && stage_flush(top) == 0);
	check(stage_trim(top, 0, 8192) == 0);
	check(stage_zero(top, 4096, 100) == 0);
	check(stage_resize(top, RIG_BYTES + 1) == 0 && stage_size(top) == RIG_BYTES + 1);
	check(stage_reserve(top, 0, 1) == 0 && stage_extent(top, 0, &extent) == 0);
	check(stage_drain(top) == 0);

	json = stats_of(s);
	check(number(json, "write.ops") == 10 && number(json, "write.bytes") == 40960);
	check(number(json, "read.ops") == 7 && number(json, "read.bytes") == 5 * 65536 + 514);
	check(number(json, "flush.ops") == 2 && number(json, "flush.bytes") == -1);
	check(number(json, "trim.ops") == 1 && number(json, "trim.bytes") == 8192);
	check(number(json, "zero.ops") == 1 && number(json, "zero.bytes") == 100);
	check(number(json, "block_sizes.4096") == 10 && number(json, "block_sizes.65536") == 5);
	check(number(json, "block_sizes.512") == 1 && number(json, "block_sizes.1024") == 1);
	check(number(json, "sequential.write") == 0.9); /* the first one starts the run */
	check(number(json, "sequential.read") == 0);
	check(number(json, "read_share") == 7.0 / 17);
	check(number(json, "errors") == 0);
	check(number(json, "queue_depth.now") == 0 && number(json, "queue_depth.max") == 1 &&
	      number(json, "queue_depth.mean") == 1);
	check(json_string_length(json_object_get(json, "since")) == 20);
	json_decref(json);
	stack_free(s);
}

/* Up to eight runs at once are told apart; sixteen are noise. */
static void streams(void)
{
	static const unsigned counts[] = {1, 2, 8, 16};

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		struct stack *s = rig_disk("inspect", "", NULL);
		json_t *json;
		double got;

		for (unsigned k = 0; k < 50 * counts[i]; k++)
			check(stage_read(stack_top(s), buf, NULL,
					 k % counts[i] * 65536 + k / counts[i] * 512, 512) == 0);
		json = stats_of(s);
		got = number(json, "sequential.read");
		/* of each run all but the first are sequential */
		check(counts[i] <= 8 ? got == 0.98 : got == 0);
		json_decref(json);
		stack_free(s);
	}
}

static void latencies_and_errors(void)
{
	struct fault plan = {.fail_at = 3, .error = -EIO};
	struct stack_part part = {stage_class_find("inspect"), "", NULL};
	struct stage *leaf, *delay, *fault, *top;
	struct stack *s;
	json_t *json;

	check(memory_new(RIG_BYTES, 1, &leaf) == 0);
	check(delay_new(2000000, leaf, &delay) == 0);
	check(fault_new(&plan, delay, &fault) == 0);
	check(stack_new(fault, &part, 1, &s) == 0);
	top = stack_top(s);
	check(stage_read(top, buf, NULL, 0, 4096) == 0);
	check(stage_write(top, buf, NULL, 0, 4096, 0) == 0);
	check(stage_write(top, buf, NULL, 0, 4096, 0) == -EIO); /* not hidden, not invented */

	json = stats_of(s);
	check(number(json, "errors") == 1);
	check(number(json, "write.ops") == 2 && number(json, "write.bytes") == 4096);
	check(number(json, "read.latency_us.p50") >= 1950);
	check(number(json, "read.latency_us.max") >= 2000);
	check(number(json, "read.latency_us.mean") >= 2000);
	check(number(json, "read.latency_us.p999") <= number(json, "read.latency_us.max"));
	json_decref(json);

	check(stack_take_leaf(s) == fault);
	fault_free(fault);
	delay_free(delay);
	memory_free(leaf);
}

static void *many(void *data)
{
	rig_reads(data, 5000, 4096);
	return NULL;
}

static void threads(void)
{
	struct stack *s = rig_disk("inspect", "", NULL);
	pthread_t readers[4];
	json_t *json;

	for (int i = 0; i < 4; i++)
		check(pthread_create(&readers[i], NULL, many, s) == 0);
	for (int i = 0; i < 50; i++)
		json_decref(stats_of(s));
	for (int i = 0; i < 4; i++)
		check(pthread_join(readers[i], NULL) == 0);

	json = stats_of(s);
	check(number(json, "read.ops") == 20000 && number(json, "read.bytes") == 20000 * 4096.0);
	check(number(json, "block_sizes.4096") == 20000);
	check(number(json, "queue_depth.now") == 0 && number(json, "queue_depth.max") <= 4);
	json_decref(json);
	stack_free(s);
}

/* What was counted on one processor is not lost for a reader on another. */
static void processors(void)
{
	struct stack *s = rig_disk("inspect", "", NULL);
	cpu_set_t all, one;
	unsigned n = 0;
	json_t *json;

	check(sched_getaffinity(0, sizeof all, &all) == 0);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		check(sched_setaffinity(0, sizeof one, &one) == 0);
		rig_reads(s, ++n, 512);
	}
	check(sched_setaffinity(0, sizeof all, &all) == 0);

	json = stats_of(s);
	check(number(json, "read.ops") == n * (n + 1) / 2);
	check(number(json, "read.bytes") == n * (n + 1) / 2 * 512);
	check(number(json, "block_sizes.512") == n * (n + 1) / 2);
	check(number(json, "queue_depth.mean") == 1);
	json_decref(json);
	stack_free(s);
}

int main(void)
{
	operations();
	streams();
	latencies_and_errors();
	threads();
	processors();
	return 0;
}
