/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/limit_rig.h - disks in memory behind the stage "limit", and a stopwatch. */
#ifndef TESTS_UNIT_LIMIT_RIG_H
#define TESTS_UNIT_LIMIT_RIG_H

#include <time.h>

#include "base/stack.h"
#include "policies/limit.h"
#include "tests/unit/check.h"
#include "tests/unit/stages/memory.h"

#define RIG_BYTES (1u << 20)

static inline double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline void pause_seconds(double s)
{
	struct timespec t = {.tv_sec = (time_t)s, .tv_nsec = (long)((s - (double)(time_t)s) * 1e9)};

	nanosleep(&t, NULL);
}

/* A disk of 1 MiB with one stage; @pool may be NULL. */
static inline struct stack *rig_disk(const char *class, const void *settings, void *pool)
{
	struct stack_part part = {stage_class_find(class), settings, pool};
	struct stage *leaf;
	struct stack *s;

	check(memory_new(RIG_BYTES, 1, &leaf) == 0);
	check(stack_new(leaf, &part, 1, &s) == 0);
	return s;
}

static inline void rig_update(struct stack *s, const char *class, const void *settings)
{
	struct stack_part part = {stage_class_find(class), settings, NULL};

	check(stack_update(s, &part) == 0);
}

/* Read @n times @len bytes. */
static inline void rig_reads(struct stack *s, unsigned n, size_t len)
{
	static char buf[16][RIG_BYTES];
	static _Atomic unsigned next;
	static _Thread_local unsigned mine = -1u;

	if (mine == -1u)
		mine = next++ % 16;
	while (n--)
		check(stage_read(stack_top(s), buf[mine], NULL, 0, len) == 0);
}

static inline json_int_t rig_count(struct stack *s, const char *class, const char *key)
{
	json_t *stats = stack_stats(s);
	json_int_t n = json_integer_value(json_object_get(json_object_get(stats, class), key));

	json_decref(stats);
	return n;
}

#endif
