/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stack_stats collects the counters of the stages that have some; stack_update reaches the stage
 * of the class, or says that the stack has to be rebuilt. */
#include <errno.h>
#include <string.h>

#include "base/stack.h"
#include "tests/unit/check.h"
#include "tests/unit/stages/memory.h"
#include "tests/unit/stages/trace.h"

static struct trace trace = TRACE_INIT;
static struct stage *updated;
static const void *update_settings;

static int create(const void *settings, void *pool, struct stage *next, struct stage **ret)
{
	return trace_new(&trace, settings, next, ret);
}

static int update(struct stage *st, const void *settings)
{
	updated = st;
	update_settings = settings;
	return 0;
}

static json_t *stats(struct stage *st)
{
	return json_pack("{s:I}", "size", (json_int_t)stage_size(st));
}

static const struct stage_class counts = {
	.name = "counts", .rank = 1, .create = create, .update = update, .stats = stats};
static const struct stage_class silent = {.name = "silent", .rank = 2, .create = create};
static const struct stage_class absent = {
	.name = "absent", .rank = 3, .create = create, .update = update};
const struct stage_class *const stage_classes[] = {NULL};

int main(void)
{
	const struct stack_part parts[] = {{&counts, "c"}, {&silent, "s"}};
	const struct stack_part other = {&absent, "a"}, again = {&counts, "new"};
	struct stage *leaf;
	struct stack *s;
	json_t *all;

	check(memory_new(4096, 1, &leaf) == 0);
	check(stack_new(leaf, parts, 2, &s) == 0);

	all = stack_stats(s);
	check(json_object_size(all) == 1);
	check(json_integer_value(json_object_get(json_object_get(all, "counts"), "size")) == 4096);
	json_decref(all);

	check(stack_update(s, &again) == 0);
	check(updated == stack_top(s) && strcmp(update_settings, "new") == 0);
	check(stack_update(s, &parts[1]) == -ENOTSUP);
	check(stack_update(s, &other) == -ENOTSUP);
	stack_free(s);
	return 0;
}
