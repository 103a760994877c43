/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/blame.c - see fs/blame.h. */
#include <string.h>

#include "base/cleanup.h"
#include "fs/blame.h"
#include "fs/slate.h"

struct blames {
	struct slate *slate;
	pthread_mutex_t lock; /* protects the slate's blames; a leaf */
	_Atomic unsigned quarantined;
	bool fresh[SLATE_BLAMES]; /* counted by this worker's start */
};

void blame_count(struct slate_blame *blame, const struct slate_request *fault, uint64_t now_ns)
{
	bool recent = blame->node == fault->node && now_ns >= blame->last_ns &&
		      now_ns - blame->last_ns <= BLAME_WINDOW_NS;

	if (blame->node != fault->node)
		*blame = (struct slate_blame){0}; /* and not its node's until all is written */
	blame->count = recent || blame->quarantined ? blame->count + 1 : 1;
	blame->last_ns = now_ns;
	blame->signal = fault->fault;
	blame->opcode = fault->opcode;
	memcpy(blame->stage, fault->stage, SLATE_STAGE);
	blame->stage[SLATE_STAGE - 1] = 0;
	if (blame->count >= BLAME_LIMIT)
		blame->quarantined = 1;
	__atomic_store_n(&blame->node, fault->node, __ATOMIC_RELEASE);
}

/* That of @node, else a free one, else the one whose last fault is longest ago: quarantines last.
 */
static struct slate_blame *place_for(struct blames *b, uint64_t node)
{
	struct slate_blame *best = slate_blame_at(b->slate, 0);

	for (unsigned i = 0; i < SLATE_BLAMES; i++) {
		struct slate_blame *at = slate_blame_at(b->slate, i);

		if (at->node == node)
			return at;
		if (best->node && (!at->node || at->quarantined < best->quarantined ||
				   (at->quarantined == best->quarantined &&
				    at->last_ns < best->last_ns)))
			best = at;
	}
	return best;
}

/* Counts once what several threads of one death say of one file. */
static void collect_one(struct blames *b, struct slate_request *q, uint64_t now_ns)
{
	struct slate_request fault = {.node = q->node, .opcode = q->opcode, .fault = q->fault};
	struct slate_blame *at;

	memcpy(fault.stage, q->stage, SLATE_STAGE);
	q->fault = 0;
	if (!fault.node)
		return;
	at = place_for(b, fault.node);
	if (at->node == fault.node && b->fresh[at - slate_blame_at(b->slate, 0)])
		return;
	blame_count(at, &fault, now_ns);
	b->fresh[at - slate_blame_at(b->slate, 0)] = true;
}

static void count_quarantined(struct blames *b)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SLATE_BLAMES; i++) {
		struct slate_blame *at = slate_blame_at(b->slate, i);

		n += at->node && at->quarantined;
	}
	b->quarantined = n;
}

int blames_new(struct slate *s, uint64_t now_ns, struct blames **ret)
{
	struct blames *b = calloc(1, sizeof *b);

	if (!b)
		return -ENOMEM;
	b->slate = s;
	pthread_mutex_init(&b->lock, NULL);
	for (unsigned i = 0; i < SLATE_REQUESTS; i++)
		if (slate_request_at(s, i)->fault)
			collect_one(b, slate_request_at(s, i), now_ns);
	count_quarantined(b);
	*ret = b;
	return 0;
}

void blames_free(struct blames *b)
{
	if (!b)
		return;
	pthread_mutex_destroy(&b->lock);
	free(b);
}

bool blame_any(const struct blames *b)
{
	return atomic_load_explicit(&b->quarantined, memory_order_relaxed);
}

/* Under the lock. */
static struct slate_blame *find(struct blames *b, uint64_t node)
{
	for (unsigned i = 0; node && i < SLATE_BLAMES; i++)
		if (slate_blame_at(b->slate, i)->node == node)
			return slate_blame_at(b->slate, i);
	return NULL;
}

bool blame_quarantined(struct blames *b, uint64_t node, struct slate_blame *ret)
{
	struct slate_blame *at;

	if (!blame_any(b))
		return false;
	LOCKED(&b->lock);
	at = find(b, node);
	if (!at || !at->quarantined)
		return false;
	if (ret)
		*ret = *at;
	return true;
}

bool blame_lift(struct blames *b, uint64_t node)
{
	struct slate_blame *at;
	bool was;

	LOCKED(&b->lock);
	at = find(b, node);
	if (!at)
		return false;
	was = at->quarantined;
	at->node = 0; /* one store: whatever happens, it is forgotten or not */
	count_quarantined(b);
	return was;
}

size_t blame_list(struct blames *b, uint64_t *nodes, size_t max)
{
	size_t n = 0;

	LOCKED(&b->lock);
	for (unsigned i = 0; n < max && i < SLATE_BLAMES; i++) {
		struct slate_blame *at = slate_blame_at(b->slate, i);

		if (at->node && at->quarantined)
			nodes[n++] = at->node;
	}
	return n;
}

size_t blame_fresh(struct blames *b, struct slate_blame *ret, size_t max)
{
	size_t n = 0;

	LOCKED(&b->lock);
	for (unsigned i = 0; n < max && i < SLATE_BLAMES; i++)
		if (b->fresh[i])
			ret[n++] = *slate_blame_at(b->slate, i);
	return n;
}
