/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/test_watchdog_due.c - a report at the limit, then at each doubling, and no other. */
#include "fs/watchdog.h"
#include "tests/unit/check.h"

int main(void)
{
	uint64_t next = 0, told[8] = {0};
	unsigned n = 0;

	for (uint64_t age = 0; age <= 500; age++)
		if (watchdog_due(age, 30, &next))
			told[n++] = age;
	check(n == 5);
	check(told[0] == 30 && told[1] == 60 && told[2] == 120 && told[3] == 240 && told[4] == 480);

	next = 0; /* the look came late */
	check(watchdog_due(100, 30, &next) && !watchdog_due(199, 30, &next));
	check(watchdog_due(200, 30, &next));
	return 0;
}
