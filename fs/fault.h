/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/fault.h - a signal that ends the worker, and the file it was working on at that moment.
 *
 * SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT and SIGSYS of our own making mark the slate's slot of
 * the thread they hit: the signal, and the stage that ran.  Then the process dies of that signal,
 * as it would have.  The next worker reads the marks (fs/blame.h).
 *
 * A signal that somebody sent (kill, systemd's watchdog, OOM) marks nothing, and neither does one
 * outside of a request or a piece of background work.
 *
 * Report     a trace of the calls, appended to the file "faults" of the state directory, and to
 *            stderr in the foreground: addresses and names of functions, no data.
 * Threads    handlers run in the thread that failed, on a stack of its own, and use nothing that
 *            is not safe there; one second later the process is ended in any case.
 */
#ifndef FS_FAULT_H
#define FS_FAULT_H

#include <stdint.h>

struct fs;
struct slate_request;

/* For the whole process, once.  @report: a descriptor for traces, or -1; it must stay open. */
void fault_catch(int report);

/* In a thread that serves requests, at its start and end: the stack for its handlers. */
void fault_thread_begin(void);
void fault_thread_end(void);

/* What the thread does from here on is about @node, until the scope ends: within a request, whose
 * slot it changes, or in background work, which gets a slot for the time.
 *
 *     _fault_turn_ turn = fault_turn(fs, node->id); */
struct fault_turn {
	struct fs *fs;
	struct slate_request *slot;
	uint64_t before; /* what it was about */
	int borrowed;
};
struct fault_turn fault_turn(struct fs *fs, uint64_t node);
void fault_turn_end(struct fault_turn *turn);
#define _fault_turn_ _cleanup_(fault_turn_end) struct fault_turn

#endif
