/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/stage.c - see base/stage.h.
 *
 * A broken contract is a bug of the caller, not of its data, and stops the process: what comes
 * after it would be written to somebody's disk.
 */
#include <assert.h>
#include <inttypes.h>

#include "base/log.h"
#include "base/stage.h"

#define trace(st, r, format, ...) log_debug("%s: " format ": %d", (st)->ops->name, __VA_ARGS__, (r))

/* ---- where a thread is -------------------------------------------------------------------- */

static _Thread_local stage_mark running;

stage_mark *stage_mark_of_thread(void)
{
	return &running;
}

const char *stage_running(void)
{
	return atomic_load_explicit(&running, memory_order_relaxed);
}

const char *stage_enter(const char *name)
{
	const char *above = stage_running();

	atomic_store_explicit(&running, name, memory_order_relaxed);
	return above;
}

void stage_leave(const char *above)
{
	atomic_store_explicit(&running, above, memory_order_relaxed);
}

/* The call to a stage's own code, marked as its. */
#define call(st, operation, ...)                                                                   \
	({                                                                                         \
		const char *above_ = stage_enter((st)->ops->name);                                 \
		int r_ = (st)->ops->operation((st), ##__VA_ARGS__);                                \
		stage_leave(above_);                                                               \
		r_;                                                                                \
	})

/* ---- the contract ------------------------------------------------------------------------- */

/* Whole blocks, but the last one may be cut off by @size. */
static bool is_aligned(const struct stage *st, uint64_t off, uint64_t len, uint64_t size)
{
	uint64_t mask = st->block - 1;

	return (off & mask) == 0 && (((off + len) & mask) == 0 || off + len >= size);
}

static void check_range(struct stage *st, uint64_t off, uint64_t len)
{
	uint64_t size = stage_size(st);

	assert(off <= size && len <= size - off);
	assert(is_aligned(st, off, len, size));
}

static void check_seals(const struct stage *st, const struct seal *seals, size_t len)
{
	assert(len == 0 || (seals != NULL) == st->sealed);
}

/* The size never goes down here: of two writes that end behind it the farther one counts. */
static void grow_size(struct stage *st, uint64_t end)
{
	uint64_t size = stage_size(st);

	while (end > size && !atomic_compare_exchange_weak(&st->size, &size, end))
		;
}

int stage_read(struct stage *st, void *ret_buf, struct seal *ret_seals, uint64_t off, size_t len)
{
	int r;

	check_range(st, off, len);
	check_seals(st, ret_seals, len);

	r = call(st, read, ret_buf, ret_seals, off, len);
	assert(r <= 0);
	trace(st, r, "read off=%" PRIu64 " len=%zu", off, len);
	return r;
}

int stage_write(struct stage *st, const void *buf, const struct seal *seals, uint64_t off,
		size_t len, unsigned flags)
{
	int r;

	assert(off <= stage_size(st) && len <= UINT64_MAX - off);
	assert(is_aligned(st, off, len, stage_size(st)));
	check_seals(st, seals, len);
	assert((flags & ~(unsigned)STAGE_FUA) == 0);

	r = call(st, write, buf, seals, off, len, flags);
	assert(r <= 0);
	if (r == 0)
		grow_size(st, off + len);
	trace(st, r, "write off=%" PRIu64 " len=%zu flags=%u", off, len, flags);
	return r;
}

int stage_flush(struct stage *st)
{
	int r = call(st, flush);

	assert(r <= 0);
	trace(st, r, "%s", "flush");
	return r;
}

int stage_trim(struct stage *st, uint64_t off, uint64_t len)
{
	int r;

	check_range(st, off, len);

	r = call(st, trim, off, len);
	assert(r <= 0);
	trace(st, r, "trim off=%" PRIu64 " len=%" PRIu64, off, len);
	return r;
}

int stage_zero(struct stage *st, uint64_t off, uint64_t len)
{
	int r;

	check_range(st, off, len);

	r = call(st, zero, off, len);
	assert(r <= 0);
	trace(st, r, "zero off=%" PRIu64 " len=%" PRIu64, off, len);
	return r;
}

int stage_reserve(struct stage *st, uint64_t off, uint64_t len)
{
	int r;

	assert(len <= UINT64_MAX - off);

	r = call(st, reserve, off, len);
	assert(r <= 0);
	trace(st, r, "reserve off=%" PRIu64 " len=%" PRIu64, off, len);
	return r;
}

int stage_resize(struct stage *st, uint64_t size)
{
	int r = call(st, resize, size);

	assert(r <= 0);
	if (r == 0)
		atomic_store_explicit(&st->size, size, memory_order_release);
	trace(st, r, "resize size=%" PRIu64, size);
	return r;
}

int stage_extent(struct stage *st, uint64_t off, struct stage_extent *ret)
{
	int r;

	assert(off < stage_size(st));

	r = call(st, extent, off, ret);
	assert(r <= 0);
	assert(r < 0 || (ret->end > off && ret->end <= stage_size(st)));
	trace(st, r, "extent off=%" PRIu64, off);
	return r;
}

int stage_drain(struct stage *st)
{
	int r = call(st, drain);

	assert(r <= 0);
	trace(st, r, "%s", "drain");
	return r;
}

int stage_fwd_open(struct stage *st)
{
	return 0; /* st->next is open already */
}

int stage_fwd_read(struct stage *st, void *ret_buf, struct seal *ret_seals, uint64_t off,
		   size_t len)
{
	return stage_read(st->next, ret_buf, ret_seals, off, len);
}

int stage_fwd_write(struct stage *st, const void *buf, const struct seal *seals, uint64_t off,
		    size_t len, unsigned flags)
{
	return stage_write(st->next, buf, seals, off, len, flags);
}

int stage_fwd_flush(struct stage *st)
{
	return stage_flush(st->next);
}

int stage_fwd_trim(struct stage *st, uint64_t off, uint64_t len)
{
	return stage_trim(st->next, off, len);
}

int stage_fwd_zero(struct stage *st, uint64_t off, uint64_t len)
{
	return stage_zero(st->next, off, len);
}

int stage_fwd_reserve(struct stage *st, uint64_t off, uint64_t len)
{
	return stage_reserve(st->next, off, len);
}

int stage_fwd_resize(struct stage *st, uint64_t size)
{
	return stage_resize(st->next, size);
}

int stage_fwd_extent(struct stage *st, uint64_t off, struct stage_extent *ret)
{
	return stage_extent(st->next, off, ret);
}

int stage_fwd_drain(struct stage *st)
{
	return stage_drain(st->next);
}
