/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/stage.h - the contract between the stages of one disk's stack.
 *
 * Bytes flow down: the splitter (base/split.h) calls the top stage, each stage calls st->next,
 * and the leaf (next == NULL, base/leaf.h) owns the backing file.
 *
 * Units      offsets and lengths are bytes.
 * Alignment  a stage with block > 1 sees only whole blocks: off is a multiple of st->block, and
 *            so is off + len unless it is the end of the file (of the new one, for a write that
 *            extends it).  The last block may be short.
 * Range      reads, trim and zero stay inside [0, size).  A write starts at or before size and
 *            may end past it: then it extends the file, in one step with its data.  resize is
 *            for the rest (growing over a hole, shrinking).
 * Seals      above the sealing stage there are none and the pointer is NULL; below it there is
 *            one for each block of the range, in order.
 * Result     0, or a negative errno.  All bytes or an error: no short counts.  After a failed
 *            write the range holds, block by block, the old bytes or the new ones, and the size
 *            is the old one.
 * Threads    calls block, and come from any number of threads at once, but: a write, trim, zero
 *            or reserve overlaps nothing in flight, reads may overlap reads, a resize, drain or
 *            write past the size runs alone, and a flush begins when everything older is done.
 *            base/queue.h promises that to the top, each stage to its st->next.  So stages need
 *            no range locks.
 * Order      flush returns 0 only when every write that returned 0 before the flush began would
 *            survive a power cut.
 * Failures   are seen by the stages above, never by those below.
 *
 * Callers never touch st->ops: the wrappers below check the contract, keep st->size, note which
 * stage the thread is in, and trace.
 * Nothing is forwarded implicitly: a stage that adds nothing to an operation says
 * .trim = stage_fwd_trim.  base/stack.c refuses a table with an empty member.
 */
#ifndef BASE_STAGE_H
#define BASE_STAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STAGE_BLOCK 4096u /* the block of DESIGN section 1 */

/* What travels with a sealed block: session 8, counter 6, epoch and state 2, tag 16. */
struct seal {
	uint8_t bytes[32];
};

enum stage_write_flags {
	STAGE_FUA = 1, /* this write alone is durable when the call returns 0 */
};

enum stage_extent_kind { STAGE_DATA, STAGE_HOLE };

struct stage_extent {
	uint64_t end; /* first byte behind the run; at most the size */
	enum stage_extent_kind kind;
};

struct stage;

struct stage_ops { /* every member is required */
	const char *name;

	/* st->next is open already, st->size is its size. */
	int (*open)(struct stage *st);

	int (*read)(struct stage *st, void *ret_buf, struct seal *ret_seals, uint64_t off,
		    size_t len);
	int (*write)(struct stage *st, const void *buf, const struct seal *seals, uint64_t off,
		     size_t len, unsigned flags);
	int (*flush)(struct stage *st);

	/* The bytes of the range become unimportant to their owner; they read as zeros. */
	int (*trim)(struct stage *st, uint64_t off, uint64_t len);
	/* The bytes of the range become zeros, their space may stay allocated. */
	int (*zero)(struct stage *st, uint64_t off, uint64_t len);
	/* No byte changes, but later writes to the range will not lack space.  Any range: it
	 * may go past the size, which stays, and need not be whole blocks. */
	int (*reserve)(struct stage *st, uint64_t off, uint64_t len);
	/* Bytes behind a larger size read as zeros, those behind a smaller one are gone. */
	int (*resize)(struct stage *st, uint64_t size);
	/* The kind of the byte at @off < size and how far that kind goes at least. */
	int (*extent)(struct stage *st, uint64_t off, struct stage_extent *ret);

	/* Everything the stage owes to those below is there and durable when it returns 0: the
	 * stack can be taken apart.  It pays its own debts first, then drains st->next. */
	int (*drain)(struct stage *st);
	/* st->next is open still.  Frees the stage, also one that failed to open or was never
	 * asked to. */
	void (*close)(struct stage *st);
};

struct stage { /* embed it first in your own struct */
	const struct stage_ops *ops;
	struct stage *next;    /* borrowed; base/stack.c owns it */
	_Atomic uint64_t size; /* bytes; kept by the wrappers after resize and extending writes */
	uint32_t block;        /* bytes, a power of two, at least that of next; 1: any range */
	bool sealed;           /* seals come with its blocks; set by base/stack.c */
};

int stage_read(struct stage *st, void *ret_buf, struct seal *ret_seals, uint64_t off, size_t len);
int stage_write(struct stage *st, const void *buf, const struct seal *seals, uint64_t off,
		size_t len, unsigned flags);
int stage_flush(struct stage *st);
int stage_trim(struct stage *st, uint64_t off, uint64_t len);
int stage_zero(struct stage *st, uint64_t off, uint64_t len);
int stage_reserve(struct stage *st, uint64_t off, uint64_t len);
int stage_resize(struct stage *st, uint64_t size);
int stage_extent(struct stage *st, uint64_t off, struct stage_extent *ret);
int stage_drain(struct stage *st);

static inline uint64_t stage_size(struct stage *st)
{
	return atomic_load_explicit(&st->size, memory_order_acquire);
}

/* Which stage a thread is in at this moment: what a watchdog and a handler of a fatal signal tell
 * of it.  The name is a stage class's, which is never freed; NULL: the thread is in none. */
typedef _Atomic(const char *) stage_mark;

/* The calling thread's mark, which other threads may read for as long as it lives. */
stage_mark *stage_mark_of_thread(void);
const char *stage_running(void); /* may be called in a signal handler */

/* For code of a stage that is not called by the wrappers (base/stack.c): what stage_enter returns
 * goes to stage_leave. */
const char *stage_enter(const char *name);
void stage_leave(const char *above);

/* For a stage that adds nothing to an operation: hand it to st->next as it is. */
int stage_fwd_open(struct stage *st);
int stage_fwd_read(struct stage *st, void *ret_buf, struct seal *ret_seals, uint64_t off,
		   size_t len);
int stage_fwd_write(struct stage *st, const void *buf, const struct seal *seals, uint64_t off,
		    size_t len, unsigned flags);
int stage_fwd_flush(struct stage *st);
int stage_fwd_trim(struct stage *st, uint64_t off, uint64_t len);
int stage_fwd_zero(struct stage *st, uint64_t off, uint64_t len);
int stage_fwd_reserve(struct stage *st, uint64_t off, uint64_t len);
int stage_fwd_resize(struct stage *st, uint64_t size);
int stage_fwd_extent(struct stage *st, uint64_t off, struct stage_extent *ret);
int stage_fwd_drain(struct stage *st);

#endif
