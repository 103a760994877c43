/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/rates.c - see ctl/rates.h; policies/inspect.c writes the counters. */
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "ctl/attributes.h"
#include "ctl/rates.h"

static const char *const counters[][2] = {
	{"read", "ops"},
	{"write", "ops"},
	{"read", "bytes"},
	{"write", "bytes"},
};

#define COUNTERS ARRAY_SIZE(counters)

/* Seconds since 1970 of "2026-11-22T05:28:27Z"; 0: unknown. */
static double since(const json_t *inspect)
{
	const char *text = member_text(inspect, "since", "");
	struct tm tm = {0};

	return strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) ? (double)timegm(&tm) : 0;
}

static void remember(json_t *memory, const char *key, const uint64_t value[COUNTERS], double now)
{
	json_object_set_new(memory, key,
			    json_pack("[I,I,I,I,f]", (json_int_t)value[0], (json_int_t)value[1],
				      (json_int_t)value[2], (json_int_t)value[3], now));
}

/* What to count from: the last reading, unless the counters began again since. */
static double recall(const json_t *memory, const char *key, const uint64_t value[COUNTERS],
		     double now, uint64_t before[COUNTERS])
{
	const json_t *last = json_object_get(memory, key);

	if (!last)
		return 0;
	for (size_t i = 0; i < COUNTERS; i++) {
		before[i] = (uint64_t)json_integer_value(json_array_get(last, i));
		if (before[i] > value[i]) {
			memset(before, 0, COUNTERS * sizeof *before);
			return 0;
		}
	}
	return now - json_real_value(json_array_get(last, COUNTERS));
}

bool rates_take(const json_t *status, const char *key, double now, double wall, json_t *memory,
		struct rates *ret)
{
	const json_t *inspect = json_object_get(json_object_get(status, "stats"), "inspect");
	uint64_t value[COUNTERS], before[COUNTERS] = {0};
	double seconds;

	if (!json_is_object(inspect))
		return false;
	for (size_t i = 0; i < COUNTERS; i++)
		value[i] = member_number(json_object_get(inspect, counters[i][0]), counters[i][1]);

	seconds = recall(memory, key, value, now, before);
	if (seconds <= 0)
		seconds = since(inspect) > 0 ? MAX(wall - since(inspect), 1.0) : 0;
	remember(memory, key, value, now);
	if (seconds <= 0)
		return false;

	ret->reads = (double)(value[0] - before[0]) / seconds;
	ret->writes = (double)(value[1] - before[1]) / seconds;
	ret->read_bytes = (double)(value[2] - before[2]) / seconds;
	ret->written_bytes = (double)(value[3] - before[3]) / seconds;
	return true;
}
