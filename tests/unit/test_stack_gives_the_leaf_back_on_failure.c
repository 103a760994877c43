/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whichever stage fails to be made or opened, those that are there are closed from the top down
 * and the leaf stays open and the caller's. */
#include <errno.h>
#include <string.h>

#include "base/stack.h"
#include "tests/unit/check.h"
#include "tests/unit/stages/memory.h"
#include "tests/unit/stages/trace.h"

static struct trace trace = TRACE_INIT;
static unsigned calls, fail_at;

static int fail_to_open(struct stage *st)
{
	return -EKEYREJECTED;
}

static int create(const void *settings, void *pool, struct stage *next, struct stage **ret)
{
	static struct stage_ops failing;
	int r;

	if (++calls == fail_at)
		return -ENOKEY;
	r = trace_new(&trace, settings, next, ret);
	if (r == 0 && ++calls == fail_at) {
		failing = *(*ret)->ops;
		failing.open = fail_to_open;
		(*ret)->ops = &failing;
	}
	return r;
}

static const struct stage_class upper = {.name = "upper", .rank = 10, .create = create};
static const struct stage_class lower = {.name = "lower", .rank = 30, .create = create};
const struct stage_class *const stage_classes[] = {&upper, &lower, NULL};

int main(void)
{
	static const struct {
		int r;
		const char *text;
	} expected[] = {
		{-ENOKEY, ""},
		{-EKEYREJECTED, "l close; "},
		{-ENOKEY, "l open; l close; "},
		{-EKEYREJECTED, "l open; u close; l close; "},
	};
	const struct stack_part parts[] = {{&upper, "u"}, {&lower, "l"}};
	char text[200];
	struct stage *leaf;
	struct stack *s;

	check(memory_new(4096, 1, &leaf) == 0);
	for (fail_at = 1; fail_at <= 4; fail_at++) {
		calls = 0;
		check(stack_new(leaf, parts, 2, &s) == expected[fail_at - 1].r);
		trace_take(&trace, text, sizeof text);
		check(strcmp(text, expected[fail_at - 1].text) == 0);
		check(stage_read(leaf, text, NULL, 0, 10) == 0);
	}
	calls = 0;
	check(stack_new(leaf, parts, 2, &s) == 0);
	stack_free(s);
	return 0;
}
