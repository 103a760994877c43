/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/confine.h - give up what a process does not need, for good.
 *
 * For programs that parse what guests and strangers wrote.  Each step stands alone, so that a
 * program can take those that fit it; confine_reader takes them all, in the one order that works.
 *
 * Invariant  no step can be undone: no_new_privs is set before anything else, and a process that
 *            returned 0 from a step keeps what the step promises until it ends.
 * Refuses    to go on half confined: a step the kernel has and denies is an error.  Only Landlock
 *            is skipped where the kernel lacks it.
 * Threads    call with one thread; the steps bind the calling thread.
 */
#ifndef BASE_CONFINE_H
#define BASE_CONFINE_H

#include <stdint.h>

struct confine_limits {
	unsigned cpu_seconds;	/* SIGXCPU at this, SIGKILL one later */
	uint64_t address_space; /* bytes; malloc fails beyond */
};

/* No new descriptors, no processes, no core file, and @limits. */
int confine_resources(const struct confine_limits *limits);

/* No new privileges, not dumpable (no ptrace by the same user, no core), no capability in any
 * set; with uid 0 the process becomes nobody:nogroup without supplementary groups, as far as
 * its capabilities allow that. */
int confine_privileges(void);

/* No file can be opened, made, renamed or removed by name.  Descriptors open already stay.  0
 * also where the kernel has no Landlock. */
int confine_names(void);

/* System calls: pread64 on descriptor 0, write on descriptors 1 and 2, anonymous memory that is
 * never executable, exit.  Any other kills the process with SIGSYS. */
int confine_calls_of_reader(void);

/* All of it, and every descriptor but 0, 1 and 2 is closed first.  0 or a negative errno; after
 * an error end the process. */
int confine_reader(const struct confine_limits *limits);

#endif
