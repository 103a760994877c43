/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/blame.h - which file workers died over, and how often.
 *
 * A worker that dies of a fault leaves a mark in the slate (fs/fault.h).  The next one turns marks
 * into blames before it does anything else: a blame is one file, the number of faults, and what
 * the last one was.  A file with BLAME_LIMIT faults, none of them BLAME_WINDOW_NS after the one
 * before it, is in quarantine (fs/quarantine.h) until somebody lifts it or the mount ends.
 *
 * Stored     in the slate: it lives as long as the mount.
 * Invariant  a mark is taken away before it counts: a worker that is killed between counts a
 *            fault too few, never one too many.
 * Threads    any; one lock inside.  blame_any takes none.
 */
#ifndef FS_BLAME_H
#define FS_BLAME_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLAME_LIMIT	3u
#define BLAME_WINDOW_NS (600ull * 1000000000u)

struct slate;
struct slate_blame;
struct slate_request;

struct blames;

/* Collects the marks; before any slot of @s is taken.  @now_ns: CLOCK_REALTIME. */
int blames_new(struct slate *s, uint64_t now_ns, struct blames **ret);
void blames_free(struct blames *b);

/* Count the fault of a slot in @blame, which is its node's or free.  The whole decision. */
void blame_count(struct slate_blame *blame, const struct slate_request *fault, uint64_t now_ns);

/* Is any file in quarantine?  For the way of every request. */
bool blame_any(const struct blames *b);
/* True: @node is, and *ret (may be NULL) is why. */
bool blame_quarantined(struct blames *b, uint64_t node, struct slate_blame *ret);
/* Forget all about @node.  True: it was in quarantine. */
bool blame_lift(struct blames *b, uint64_t node);

/* Nodes in quarantine into @nodes, at most @max; how many. */
size_t blame_list(struct blames *b, uint64_t *nodes, size_t max);
/* Blames that this start has added to, at most @max; how many. */
size_t blame_fresh(struct blames *b, struct slate_blame *ret, size_t max);

#endif
