/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/test_rates.c - averages at first, then what happened between two readings. */
#include "check.h"
#include "ctl/rates.h"

#define STATUS(r, rb, w, wb)                                                                       \
	"{s:{s:{s:{s:i,s:i},s:{s:i,s:i},s:s}}}", "stats", "inspect", "read", "ops", r, "bytes",    \
		rb, "write", "ops", w, "bytes", wb, "since", "2026-11-22T05:00:00Z"

#define SINCE 1795323600.0 /* the same moment */

static bool take(json_t *memory, double now, struct rates *ret, json_t *status)
{
	bool any = rates_take(status, "a", now, SINCE + now, memory, ret);

	json_decref(status);
	return any;
}

int main(void)
{
	json_t *memory = json_object();
	struct rates r;

	check(!take(memory, 1, &r, json_pack("{s:{}}", "stats")));
	check(!take(memory, 1, &r, json_object()));

	check(take(memory, 10, &r, json_pack(STATUS(100, 4096, 20, 8192))));
	check(r.reads > 9.99 && r.reads < 10.01 && r.writes > 1.99 && r.writes < 2.01);
	check(r.written_bytes > 819 && r.written_bytes < 820);

	check(take(memory, 12, &r, json_pack(STATUS(100, 4096, 30, 12288))));
	check(r.reads == 0 && r.writes == 5 && r.written_bytes == 2048);

	/* The stack was built anew: its counters began again. */
	check(take(memory, 13, &r, json_pack(STATUS(13, 4096, 0, 0))));
	check(r.reads > 0.99 && r.reads < 1.01 && r.writes == 0);

	json_decref(memory);
	return 0;
}
