/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whatever keeps bytes or sends them away is refused above the sealing stage, and allowed below
 * it or where nothing is sealed.  Seals travel below it only. */
#include <errno.h>

#include "base/stack.h"
#include "tests/unit/check.h"
#include "tests/unit/stages/memory.h"
#include "tests/unit/stages/trace.h"

static struct trace trace = TRACE_INIT;
static struct stage *last[4]; /* the stages made, by the digit in their settings */

static int create(const void *settings, void *pool, struct stage *next, struct stage **ret)
{
	int r = trace_new(&trace, settings, next, ret);

	if (r == 0)
		last[*(const char *)settings - '0'] = *ret;
	return r;
}

#define CLASS(n, r, ...)                                                                           \
	{                                                                                          \
		.name = n, .rank = r, .create = create, __VA_ARGS__                                \
	}
static const struct stage_class plain = CLASS("plain", 10);
static const struct stage_class early_keeper = CLASS("early keeper", 20, .persists = true);
static const struct stage_class early_sender = CLASS("early sender", 30, .sends = true);
static const struct stage_class sealer = CLASS("sealer", 40, .seals = true);
static const struct stage_class keeper = CLASS("keeper", 50, .persists = true);
static const struct stage_class sender = CLASS("sender", 60, .sends = true);
static const struct stage_class sealer2 = CLASS("sealer2", 70, .seals = true);
static const struct stage_class same_rank = CLASS("same rank", 10);
const struct stage_class *const stage_classes[] = {NULL};

static int build(const struct stage_class *a, const struct stage_class *b,
		 const struct stage_class *c)
{
	const struct stack_part parts[] = {{c, "2"}, {b, "1"}, {a, "0"}};
	struct stack *s;
	struct stage *leaf;
	int r;

	check(memory_new(4096, 1, &leaf) == 0);
	r = stack_new(leaf, parts, 3, &s);
	if (r < 0) {
		memory_free(leaf);
		return r;
	}
	check(last[0]->sealed == (b->seals || c->seals ? false : leaf->sealed));
	check(leaf->sealed == (a->seals || b->seals || c->seals));
	if (b->seals)
		check(!last[1]->sealed && last[2]->sealed);
	check(stack_take_leaf(s) == leaf && !leaf->sealed);
	memory_free(leaf);
	return 0;
}

int main(void)
{
	check(build(&plain, &sealer, &keeper) == 0);
	check(build(&plain, &sealer, &sender) == 0);
	check(build(&plain, &keeper, &sender) == 0);
	check(build(&early_keeper, &early_sender, &keeper) == 0);
	check(build(&plain, &early_keeper, &sealer) == -EINVAL);
	check(build(&plain, &early_sender, &sealer) == -EINVAL);
	check(build(&early_keeper, &sealer, &keeper) == -EINVAL);
	check(build(&sealer, &keeper, &sealer2) == -EINVAL);
	check(build(&plain, &plain, &sealer) == -EINVAL);
	check(build(&plain, &same_rank, &sealer) == -EINVAL);
	return 0;
}
