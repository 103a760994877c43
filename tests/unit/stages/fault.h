/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/stages/fault.h - a stage that fails the n-th call that passes it.
 *
 * Several stages may share one plan: then the calls of all of them count together, and a sweep
 * over @fail_at fails every call below each of them once (STYLE section 6).
 * Threads    any.
 */
#ifndef TESTS_UNIT_STAGES_FAULT_H
#define TESTS_UNIT_STAGES_FAULT_H

#include "base/stage.h"

enum fault_how {
	FAULT_BEFORE, /* nothing is done */
	FAULT_HALF,   /* the first half of a range is written, trimmed or zeroed, in whole blocks */
	FAULT_AFTER,  /* everything is done, but for resize and writes that extend */
};

struct fault {
	/* Set by the test. */
	unsigned long fail_at; /* 1: the first call; 0: none */
	enum fault_how how;
	int error; /* negative errno */

	/* Read by the test. */
	_Atomic unsigned long calls;
	_Atomic bool fired;
};

/* An open stage above @next.  @plan is borrowed.  All operations but open and close count. */
int fault_new(struct fault *plan, struct stage *next, struct stage **ret);
void fault_free(struct stage *st); /* does not end @next; accepts NULL */

#endif
