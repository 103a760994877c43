/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/stack.c - see base/stack.h. */
#include <assert.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/stack.h"

struct layer {
	const struct stage_class *class;
	struct stage *stage; /* NULL: not created yet */
};

struct stack {
	struct stage *leaf;
	size_t depth;
	struct layer layers[]; /* by rank, the top first */
};

const struct stage_class *stage_class_find(const char *name)
{
	for (const struct stage_class *const *c = stage_classes; *c; c++)
		if (strcmp((*c)->name, name) == 0)
			return *c;
	return NULL;
}

static int by_rank(const void *a, const void *b)
{
	const struct stack_part *x = a, *y = b;

	return (x->class->rank > y->class->rank) - (x->class->rank < y->class->rank);
}

/* @parts are in order.  Whatever keeps or sends bytes above the trust line would do so with
 * plaintext. */
static int check_order(const struct stack_part *parts, size_t n)
{
	bool sealed_below = false;

	for (size_t i = n; i-- > 0;) {
		const struct stage_class *c = parts[i].class;

		if (i > 0 && (parts[i - 1].class == c || parts[i - 1].class->rank == c->rank))
			return -EINVAL;
		if (sealed_below && (c->persists || c->sends || c->seals))
			return -EINVAL;
		sealed_below = sealed_below || c->seals;
	}
	return 0;
}

/* A table is a name and pointers to functions and nothing else, so a member that is added later
 * is looked at here without anybody thinking of it. */
static bool is_complete(const struct stage_ops *ops)
{
	void *members[sizeof *ops / sizeof(void *)];

	static_assert(sizeof members == sizeof *ops, "a table holds nothing but pointers");
	memcpy(members, ops, sizeof members);
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (!members[i])
			return false;
	return true;
}

static void close_stage(struct stage *st)
{
	const char *above;

	if (!st || !st->ops->close)
		return; /* only a table that is_complete refused has none */
	above = stage_enter(st->ops->name);
	st->ops->close(st);
	stage_leave(above);
}

static int create_stage(const struct stack_part *part, struct stage *next, struct stage **ret)
{
	const char *above = stage_enter(part->class->name);
	int r = part->class->create(part->settings, part->pool, next, ret);

	stage_leave(above);
	return r;
}

static int open_stage(struct stage *st)
{
	const char *above = stage_enter(st->ops->name);
	int r = st->ops->open(st);

	stage_leave(above);
	return r;
}

static int add_layer(struct layer *layer, const struct stack_part *part, struct stage *next)
{
	struct stage *st = NULL;
	int r;

	r = create_stage(part, next, &st);
	if (r < 0)
		return r;

	layer->class = part->class;
	layer->stage = st;
	if (!is_complete(st->ops))
		return -ENOSYS;
	if (st->block < next->block)
		return -EINVAL;

	st->next = next;
	st->sealed = next->sealed && !part->class->seals;
	st->size = stage_size(next);
	return open_stage(st);
}

static struct stack *stack_alloc(struct stage *leaf, size_t n)
{
	struct stack *s = calloc(1, sizeof *s + n * sizeof s->layers[0]);

	if (s) {
		s->leaf = leaf;
		s->depth = n;
	}
	return s;
}

static bool has_trust_line(const struct stack_part *parts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (parts[i].class->seals)
			return true;
	return false;
}

int stack_new(struct stage *leaf, const struct stack_part *parts, size_t n, struct stack **ret)
{
	_cleanup_(freep) struct stack_part *order = NULL;
	struct stack *s;
	int r = 0;

	order = calloc(n + 1, sizeof *order);
	if (!order)
		return -ENOMEM;
	if (n > 0)
		memcpy(order, parts, n * sizeof *order);
	qsort(order, n, sizeof *order, by_rank);
	r = check_order(order, n);
	if (r < 0)
		return r;

	s = stack_alloc(leaf, n);
	if (!s)
		return -ENOMEM;

	leaf->sealed = has_trust_line(order, n);
	for (size_t i = n; i-- > 0 && r == 0;)
		r = add_layer(&s->layers[i], &order[i], i + 1 < n ? s->layers[i + 1].stage : leaf);
	if (r < 0) {
		stack_take_leaf(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct stage *stack_take_leaf(struct stack *s)
{
	struct stage *leaf = s->leaf;

	for (size_t i = 0; i < s->depth; i++)
		close_stage(s->layers[i].stage);
	leaf->sealed = false;
	free(s);
	return leaf;
}

void stack_free(struct stack *s)
{
	if (s)
		close_stage(stack_take_leaf(s));
}

struct stage *stack_top(struct stack *s)
{
	return s->depth > 0 ? s->layers[0].stage : s->leaf;
}

size_t stack_depth(struct stack *s)
{
	return s->depth;
}

int stack_drain(struct stack *s)
{
	return stage_drain(stack_top(s));
}

void stack_note_size(struct stack *s, uint64_t size)
{
	atomic_store_explicit(&s->leaf->size, size, memory_order_release);
	for (size_t i = s->depth; i-- > 0;)
		atomic_store_explicit(&s->layers[i].stage->size, size, memory_order_release);
}

json_t *stack_stats(struct stack *s)
{
	json_t *all = json_object();

	for (size_t i = 0; i < s->depth; i++) {
		const struct layer *l = &s->layers[i];

		if (l->class->stats)
			json_object_set_new(all, l->class->name, l->class->stats(l->stage));
	}
	return all;
}

void stack_hurry(struct stack *s)
{
	for (size_t i = 0; i < s->depth; i++)
		if (s->layers[i].class->hurry)
			s->layers[i].class->hurry(s->layers[i].stage);
}

int stack_update(struct stack *s, const struct stack_part *part)
{
	for (size_t i = 0; i < s->depth; i++) {
		struct layer *l = &s->layers[i];

		if (l->class == part->class)
			return l->class->update ? l->class->update(l->stage, part->settings)
						: -ENOTSUP;
	}
	return -ENOTSUP;
}
