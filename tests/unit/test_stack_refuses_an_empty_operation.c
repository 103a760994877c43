/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A table of operations with any member empty is refused, and so is a stage that takes smaller
 * blocks than the one below it; the leaf stays the caller's. */
#include <errno.h>
#include <string.h>

#include "base/stack.h"
#include "tests/unit/check.h"
#include "tests/unit/stages/memory.h"

static struct stage_ops ops;
static struct stage stage;
static unsigned closed;

static void close_it(struct stage *st)
{
	closed++;
}

static const struct stage_ops complete = {
	.name = "complete",
	.open = stage_fwd_open,
	.read = stage_fwd_read,
	.write = stage_fwd_write,
	.flush = stage_fwd_flush,
	.trim = stage_fwd_trim,
	.zero = stage_fwd_zero,
	.reserve = stage_fwd_reserve,
	.resize = stage_fwd_resize,
	.extent = stage_fwd_extent,
	.drain = stage_fwd_drain,
	.close = close_it,
};

static int create(const void *settings, void *pool, struct stage *next, struct stage **ret)
{
	stage = (struct stage){.ops = &ops, .next = next, .block = *(const uint32_t *)settings};
	*ret = &stage;
	return 0;
}

static const struct stage_class class = {.name = "any", .rank = 1, .create = create};
const struct stage_class *const stage_classes[] = {&class, NULL};

int main(void)
{
	const uint32_t block = 4096, small = 512;
	const struct stack_part part = {&class, &block}, small_part = {&class, &small};
	struct stage *leaf;
	struct stack *s;

	check(memory_new(4096, 4096, &leaf) == 0);
	for (size_t i = 0; i < sizeof ops / sizeof(void *); i++) {
		ops = complete;
		memset((void **)&ops + i, 0, sizeof(void *));
		s = (void *)&ops;
		check(stack_new(leaf, &part, 1, &s) == -ENOSYS);
		check(s == (void *)&ops); /* untouched */
	}
	check(closed == sizeof ops / sizeof(void *) - 1); /* but for the one without close */

	ops = complete;
	check(stack_new(leaf, &small_part, 1, &s) == -EINVAL);
	check(stack_new(leaf, &part, 1, &s) == 0);
	stack_free(s);
	return 0;
}
