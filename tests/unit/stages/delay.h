/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/stages/delay.h - a stage that makes reads, writes and flushes slow, as a disk is.
 *
 * Threads    any; each call sleeps in its own thread.
 */
#ifndef TESTS_UNIT_STAGES_DELAY_H
#define TESTS_UNIT_STAGES_DELAY_H

#include "base/stage.h"

/* An open stage above @next: @delay_ns before each read, write, flush and drain. */
int delay_new(uint64_t delay_ns, struct stage *next, struct stage **ret);
void delay_free(struct stage *st); /* does not end @next; accepts NULL */

#endif
