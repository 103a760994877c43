/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/trouble.h - the log says what to do when the machine is the reason that requests fail.
 *
 * The client gets its errno; this is for the administrator: no room, a quota, a medium that fails
 * or refuses writes, no descriptors, no memory.  One line for each of them, and then at most one a
 * minute, with how many requests it stands for: a guest that writes to a full datastore must not
 * fill the log as well.  What the kernel does itself (passthrough) is not seen here.
 *
 * Threads    any; no locks.
 */
#ifndef FS_TROUBLE_H
#define FS_TROUBLE_H

#include <stdint.h>

#define TROUBLES 8

struct trouble {
	struct {
		_Atomic int64_t said; /* seconds of CLOCK_MONOTONIC, never 0; 0: never */
		_Atomic uint32_t more; /* since then */
	} kind[TROUBLES];
};

/* A request of process @pid is answered with @r, of which most are nothing to talk about. */
void trouble_note(struct trouble *t, int r, int pid);

#endif
