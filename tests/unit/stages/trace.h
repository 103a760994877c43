/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/stages/trace.h - a stage that writes down every call that passes it.
 *
 * Several stages may share one log; each writes its own name, so the order between stages shows:
 *     "top write 4096+512; bottom write 4096+512; top flush; bottom flush; "
 * A call is written down before it is handed on.
 * Threads    any.
 */
#ifndef TESTS_UNIT_STAGES_TRACE_H
#define TESTS_UNIT_STAGES_TRACE_H

#include <pthread.h>

#include "base/stage.h"

struct trace {
	pthread_mutex_t lock; /* protects text */
	char text[4096];      /* what no longer fits is left out */
};

#define TRACE_INIT                                                                                 \
	{                                                                                          \
		.lock = PTHREAD_MUTEX_INITIALIZER                                                  \
	}

/* A closed stage above @next.  @log and @name are borrowed.  For a stage in no stack call
 * stage->ops->open and close as the builder would. */
int trace_new(struct trace *log, const char *name, struct stage *next, struct stage **ret);

/* What was written down so far, and forget it. */
void trace_take(struct trace *log, char *ret_text, size_t size);

#endif
