/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/interval.h - a set of byte ranges that finds those which overlap another one.
 *
 * A treap ordered by offset whose nodes live in their owners; each node also knows the extremes
 * of the tree below it, so a search looks only where an answer can be.  Insertion, removal and
 * search take logarithmic time for ranges of similar length.
 *
 * Ranges have a sequence number, unique and larger than 0, that says which is older.
 * Threads    none of its own: the owner locks.
 */
#ifndef BASE_INTERVAL_H
#define BASE_INTERVAL_H

#include <stdbool.h>
#include <stdint.h>

struct interval {
	uint64_t off, end; /* an empty range overlaps nothing */
	uint64_t seq;
	bool exclusive; /* a write, for the queue */

	/* The tree's own. */
	struct interval *left, *right;
	uint32_t priority;
	uint64_t max_end, min_seq, max_seq, max_exclusive_seq; /* of the tree below, itself too */
};

void interval_insert(struct interval **root, struct interval *i);
void interval_remove(struct interval **root, struct interval *i);

/* The youngest range older than @i that overlaps it, exclusive ones only if asked; or NULL.
 * @i may be in the tree or not. */
struct interval *interval_youngest_before(struct interval *root, const struct interval *i,
					  bool exclusive_only);

#endif
