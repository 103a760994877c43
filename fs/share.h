/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/share.h - how many request threads one file or directory may hold.
 *
 * Reads and writes in the daemon's way are bounded by their disk's queue and the gate (fs/gate.h).
 * Everything else (fsync, fallocate, open, getattr, names in a directory...) runs in the thread
 * that received it, and when its backing store hangs, so does the thread.  While plenty of threads
 * have nothing to do that harms nobody, and nothing is looked at here.  When few are idle, a
 * request runs only while less than a share of the threads works on the same node; beyond that it
 * waits here, as memory, and who finishes any request takes it.
 *
 * The share is @most, but never more than half of the threads that are idle: several files that
 * hang, one after the other, leave threads for others, too.
 *
 * A waiting request has not begun: nothing of it is in the slate, and when the worker dies the
 * kernel sends it again.
 *
 * Never here   reads, writes, forgets, interrupts.
 * Invariant    a request waits only while another one of the same node is in service.
 * Threads      any; one lock inside.  share_waiting takes none.
 */
#ifndef FS_SHARE_H
#define FS_SHARE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fuse_in_header;
struct slate_request;

struct share;

/* A request that waited; the caller of share_next frees it. */
struct waiting {
	struct waiting *next;
	size_t size;
	uint64_t node;
	_Alignas(16) char message[];
};

/* @slots: of @n threads, an array that stays; a thread that has none yet has NULL there. */
int share_new(struct slate_request *_Atomic *slots, size_t n, unsigned most, struct share **ret);
void share_free(struct share *s); /* what waits is dropped: its sender is gone, or sends it again */

/* May @in be served by the thread of @mine now?  True: yes, and @mine says so (SLATE_RUNNING, its
 * node and operation).  False: it waits, as a copy.  @idle threads have nothing to do.  Without
 * memory the answer is yes. */
bool share_enter(struct share *s, const struct fuse_in_header *in, size_t size,
		 struct slate_request *mine, unsigned idle);

/* After a request: may any be waiting?  The caller's slot must not say SLATE_RUNNING any more. */
bool share_waiting(struct share *s);
/* One that may run now, the oldest first; @mine says so.  NULL: none. */
struct waiting *share_next(struct share *s, struct slate_request *mine, unsigned idle);

#endif
