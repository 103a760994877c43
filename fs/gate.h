/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/gate.h - how many threads reads and writes may hold together.
 *
 * A disk holds only its share of the request threads (base/queue.h), but many slow or limited
 * disks together would hold them all, and then nobody could look up a name.  So some threads are
 * kept for requests that are not I/O of a disk: I/O beyond the rest waits here, as memory, in
 * the order it came.
 *
 * Invariant  running <= limit; who leaves takes the oldest that waits.
 * Threads    any; one lock inside, taken only when somebody has to wait.
 */
#ifndef FS_GATE_H
#define FS_GATE_H

#include <stdbool.h>

struct gate;
struct io;

int gate_new(unsigned limit, struct gate **ret);
void gate_free(struct gate *g);

/* True: run it.  False: it waits, and a gate_leave will return it. */
bool gate_enter(struct gate *g, struct io *io);
/* Somebody inside has @io to run next: it goes to the end of those who wait, and the oldest of them
 * is returned.  @io itself when nobody waits. */
struct io *gate_next(struct gate *g, struct io *io);
/* One less runs, unless another is returned: then that one has entered. */
struct io *gate_leave(struct gate *g);

#endif
