/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/stages/fault.c - see fault.h. */
#include "base/cleanup.h"
#include "tests/unit/stages/fault.h"

struct fault_stage {
	struct stage stage;
	struct fault *plan;
};

static struct fault *plan_of(struct stage *st)
{
	return container_of(st, struct fault_stage, stage)->plan;
}

/* Count the call.  True: it is the one to fail. */
static bool fails_now(struct stage *st)
{
	struct fault *plan = plan_of(st);

	if (++plan->calls != plan->fail_at)
		return false;
	plan->fired = true;
	return true;
}

/* How much of a range a failing call still does.  A failed write must not change the size. */
static uint64_t done_part(struct stage *st, uint64_t off, uint64_t len)
{
	uint64_t half = len / 2 & ~(uint64_t)(st->block - 1);

	if (off + len > stage_size(st))
		return 0;
	return plan_of(st)->how == FAULT_AFTER ? len : plan_of(st)->how == FAULT_HALF ? half : 0;
}

static int fault_read(struct stage *st, void *ret_buf, struct seal *ret_seals, uint64_t off,
		      size_t len)
{
	if (fails_now(st))
		return plan_of(st)->error;
	return stage_read(st->next, ret_buf, ret_seals, off, len);
}

static int fault_write(struct stage *st, const void *buf, const struct seal *seals, uint64_t off,
		       size_t len, unsigned flags)
{
	uint64_t part;

	if (!fails_now(st))
		return stage_write(st->next, buf, seals, off, len, flags);

	part = done_part(st, off, len);
	if (part > 0)
		stage_write(st->next, buf, seals, off, (size_t)part, flags);
	return plan_of(st)->error;
}

static int fault_flush(struct stage *st)
{
	return fails_now(st) ? plan_of(st)->error : stage_flush(st->next);
}

static int fault_trim(struct stage *st, uint64_t off, uint64_t len)
{
	if (!fails_now(st))
		return stage_trim(st->next, off, len);

	stage_trim(st->next, off, done_part(st, off, len));
	return plan_of(st)->error;
}

static int fault_zero(struct stage *st, uint64_t off, uint64_t len)
{
	if (!fails_now(st))
		return stage_zero(st->next, off, len);

	stage_zero(st->next, off, done_part(st, off, len));
	return plan_of(st)->error;
}

static int fault_reserve(struct stage *st, uint64_t off, uint64_t len)
{
	return fails_now(st) ? plan_of(st)->error : stage_reserve(st->next, off, len);
}

static int fault_resize(struct stage *st, uint64_t size)
{
	return fails_now(st) ? plan_of(st)->error : stage_resize(st->next, size);
}

static int fault_extent(struct stage *st, uint64_t off, struct stage_extent *ret)
{
	return fails_now(st) ? plan_of(st)->error : stage_extent(st->next, off, ret);
}

static int fault_drain(struct stage *st)
{
	return fails_now(st) ? plan_of(st)->error : stage_drain(st->next);
}

static void fault_close(struct stage *st)
{
	free(container_of(st, struct fault_stage, stage));
}

static const struct stage_ops fault_ops = {
	.name = "fault",
	.open = stage_fwd_open,
	.read = fault_read,
	.write = fault_write,
	.flush = fault_flush,
	.trim = fault_trim,
	.zero = fault_zero,
	.reserve = fault_reserve,
	.resize = fault_resize,
	.extent = fault_extent,
	.drain = fault_drain,
	.close = fault_close,
};

int fault_new(struct fault *plan, struct stage *next, struct stage **ret)
{
	struct fault_stage *f;

	f = calloc(1, sizeof *f);
	if (!f)
		return -ENOMEM;

	f->stage = (struct stage){
		.ops = &fault_ops,
		.next = next,
		.size = stage_size(next),
		.block = next->block,
	};
	f->plan = plan;
	*ret = &f->stage;
	return 0;
}

void fault_free(struct stage *st)
{
	if (st)
		st->ops->close(st);
}
