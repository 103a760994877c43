/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/interval.c - see base/interval.h.
 *
 * Invariant  a node sorts behind all of its left tree and before all of its right tree, by
 *            (off, seq), and no child has a higher priority.  The key holds the sequence number
 *            so that the requests of one hot block stand in order of age and a search among
 *            them stays logarithmic.
 */
#include <stddef.h>

#include "base/cleanup.h"
#include "base/interval.h"

/* Spread the bits, so that an order of arrival that follows the offsets gives no deep tree. The
 * address comes in because guests choose order and offsets, but not addresses. */
static uint32_t priority_of(const struct interval *i)
{
	uint64_t x = i->seq ^ (uintptr_t)i;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return (uint32_t)(x >> 32);
}

static bool sorts_before(const struct interval *a, const struct interval *b)
{
	return a->off != b->off ? a->off < b->off : a->seq < b->seq;
}

static void take_extremes(struct interval *i, const struct interval *child)
{
	if (!child)
		return;
	i->max_end = MAX(i->max_end, child->max_end);
	i->min_seq = MIN(i->min_seq, child->min_seq);
	i->max_seq = MAX(i->max_seq, child->max_seq);
	i->max_exclusive_seq = MAX(i->max_exclusive_seq, child->max_exclusive_seq);
}

static void update(struct interval *i)
{
	i->max_end = i->end;
	i->min_seq = i->max_seq = i->seq;
	i->max_exclusive_seq = i->exclusive ? i->seq : 0;
	take_extremes(i, i->left);
	take_extremes(i, i->right);
}

/* Cut @tree into what sorts before @at and what sorts behind it. */
static void split_tree(struct interval *tree, const struct interval *at, struct interval **left,
		       struct interval **right)
{
	if (!tree) {
		*left = *right = NULL;
	} else if (sorts_before(tree, at)) {
		split_tree(tree->right, at, &tree->right, right);
		update(tree);
		*left = tree;
	} else {
		split_tree(tree->left, at, left, &tree->left);
		update(tree);
		*right = tree;
	}
}

/* All of @a sorts before all of @b. */
static struct interval *join(struct interval *a, struct interval *b)
{
	if (!a || !b)
		return a ? a : b;

	if (a->priority >= b->priority) {
		a->right = join(a->right, b);
		update(a);
		return a;
	}
	b->left = join(a, b->left);
	update(b);
	return b;
}

static void insert_below(struct interval **tree, struct interval *i)
{
	if (!*tree || (*tree)->priority < i->priority) {
		split_tree(*tree, i, &i->left, &i->right);
		*tree = i;
	} else {
		insert_below(sorts_before(i, *tree) ? &(*tree)->left : &(*tree)->right, i);
	}
	update(*tree);
}

void interval_insert(struct interval **root, struct interval *i)
{
	i->priority = priority_of(i);
	insert_below(root, i);
}

void interval_remove(struct interval **root, struct interval *i)
{
	if (*root == i) {
		*root = join(i->left, i->right);
		return;
	}
	interval_remove(sorts_before(i, *root) ? &(*root)->left : &(*root)->right, i);
	update(*root);
}

static uint64_t youngest_below(const struct interval *tree, bool exclusive_only)
{
	return exclusive_only ? tree->max_exclusive_seq : tree->max_seq;
}

static bool stands_before(const struct interval *tree, const struct interval *i,
			  bool exclusive_only)
{
	return tree->seq < i->seq && tree->off < i->end && i->off < tree->end &&
	       tree->off < tree->end && i->off < i->end && (tree->exclusive || !exclusive_only);
}

/* *best is the best answer so far: skip every tree that cannot beat it. */
static void search(struct interval *tree, const struct interval *i, bool exclusive_only,
		   struct interval **best)
{
	struct interval *first, *second;

	if (!tree || tree->max_end <= i->off || tree->min_seq >= i->seq ||
	    youngest_below(tree, exclusive_only) <= (*best ? (*best)->seq : 0))
		return;

	if (stands_before(tree, i, exclusive_only) && (!*best || tree->seq > (*best)->seq))
		*best = tree;

	/* Behind a node that begins at or after our end nothing overlaps. */
	first = tree->off < i->end ? tree->right : NULL;
	second = tree->left;
	if (first && second &&
	    youngest_below(first, exclusive_only) < youngest_below(second, exclusive_only)) {
		first = tree->left;
		second = tree->right;
	}
	search(first, i, exclusive_only, best);
	search(second, i, exclusive_only, best);
}

struct interval *interval_youngest_before(struct interval *root, const struct interval *i,
					  bool exclusive_only)
{
	struct interval *best = NULL;

	search(root, i, exclusive_only, &best);
	return best;
}
