/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A stack is in the order of ranks whatever the order of the parts; it opens from the leaf to the
 * top, closes from the top to the leaf, and every operation passes from the top down. */
#include <errno.h>
#include <string.h>

#include "base/stack.h"
#include "tests/unit/check.h"
#include "tests/unit/stages/memory.h"
#include "tests/unit/stages/trace.h"

static struct trace trace = TRACE_INIT;

/* The settings of these classes are the name to write down. */
static int create(const void *settings, void *pool, struct stage *next, struct stage **ret)
{
	return trace_new(&trace, settings, next, ret);
}

static const struct stage_class upper = {.name = "upper", .rank = 10, .create = create};
static const struct stage_class middle = {.name = "middle", .rank = 20, .create = create};
static const struct stage_class lower = {.name = "lower", .rank = 30, .create = create};
const struct stage_class *const stage_classes[] = {&upper, &middle, &lower, NULL};

static bool traced(const char *expected)
{
	char text[sizeof trace.text];

	trace_take(&trace, text, sizeof text);
	if (strcmp(text, expected))
		fprintf(stderr, "traced:   %s\nexpected: %s\n", text, expected);
	return strcmp(text, expected) == 0;
}

int main(void)
{
	const struct stack_part parts[] = {{&middle, "m"}, {&lower, "l"}, {&upper, "u"}};
	struct stack *s;
	struct stage *leaf;

	check(stage_class_find("middle") == &middle && stage_class_find("none") == NULL);
	check(memory_new(8192, 1, &leaf) == 0);

	check(stack_new(leaf, parts, 3, &s) == 0);
	check(traced("l open; m open; u open; "));
	check(stack_depth(s) == 3 && stage_size(stack_top(s)) == 8192);

	check(stage_write(stack_top(s), "x", NULL, 8192, 1, STAGE_FUA) == 0);
	check(traced("u write-fua 8192+1; m write-fua 8192+1; l write-fua 8192+1; "));
	check(stage_size(stack_top(s)) == 8193 && stage_size(leaf) == 8193);

	check(stack_drain(s) == 0);
	check(traced("u drain; m drain; l drain; "));

	stack_note_size(s, 5000);
	check(stage_size(stack_top(s)) == 5000 && stage_size(leaf) == 5000);

	check(stack_take_leaf(s) == leaf);
	check(traced("u close; m close; l close; "));

	check(stack_new(leaf, NULL, 0, &s) == 0);
	check(stack_top(s) == leaf && stack_depth(s) == 0);
	stack_free(s);
	stack_free(NULL);
	return 0;
}
