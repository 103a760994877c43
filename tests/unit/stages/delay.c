/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/stages/delay.c - see delay.h. */
#include <time.h>

#include "base/cleanup.h"
#include "tests/unit/stages/delay.h"

struct delay {
	struct stage stage;
	struct timespec time;
};

static void wait_for(struct stage *st)
{
	nanosleep(&container_of(st, struct delay, stage)->time, NULL);
}

static int delay_read(struct stage *st, void *ret_buf, struct seal *ret_seals, uint64_t off,
		      size_t len)
{
	wait_for(st);
	return stage_read(st->next, ret_buf, ret_seals, off, len);
}

static int delay_write(struct stage *st, const void *buf, const struct seal *seals, uint64_t off,
		       size_t len, unsigned flags)
{
	wait_for(st);
	return stage_write(st->next, buf, seals, off, len, flags);
}

static int delay_flush(struct stage *st)
{
	wait_for(st);
	return stage_flush(st->next);
}

static int delay_drain(struct stage *st)
{
	wait_for(st);
	return stage_drain(st->next);
}

static void delay_close(struct stage *st)
{
	free(container_of(st, struct delay, stage));
}

static const struct stage_ops delay_ops = {
	.name = "delay",
	.open = stage_fwd_open,
	.read = delay_read,
	.write = delay_write,
	.flush = delay_flush,
	.trim = stage_fwd_trim,
	.zero = stage_fwd_zero,
	.reserve = stage_fwd_reserve,
	.resize = stage_fwd_resize,
	.extent = stage_fwd_extent,
	.drain = delay_drain,
	.close = delay_close,
};

int delay_new(uint64_t delay_ns, struct stage *next, struct stage **ret)
{
	struct delay *d;

	d = calloc(1, sizeof *d);
	if (!d)
		return -ENOMEM;

	d->stage = (struct stage){
		.ops = &delay_ops,
		.next = next,
		.size = stage_size(next),
		.block = next->block,
	};
	d->time.tv_sec = (time_t)(delay_ns / 1000000000u);
	d->time.tv_nsec = (long)(delay_ns % 1000000000u);
	*ret = &d->stage;
	return 0;
}

void delay_free(struct stage *st)
{
	if (st)
		st->ops->close(st);
}
