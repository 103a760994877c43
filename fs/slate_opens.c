/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/slate_opens.c - see fs/slate.h: open files and how often. */
#include "base/cleanup.h"
#include "fs/slate_memory.h"

/* Counts are one word, so that they change in one store: 24 bits of opens, 24 of writers, 16 of
 * check. */
#define COUNT_BITS 24
#define COUNT_MASK ((1u << COUNT_BITS) - 1)

static uint64_t counts_word(uint32_t index, struct slate_counts c)
{
	uint64_t word = (c.opens & COUNT_MASK) | (uint64_t)(c.writers & COUNT_MASK) << COUNT_BITS;

	return word | slate_sum(index, &word, sizeof word) >> 48 << 48;
}

static uint32_t slot_sum(uint32_t index, uint64_t node, uint32_t way)
{
	uint64_t words[2] = {node, way};

	return (uint32_t)(slate_sum(index, words, sizeof words) >> 16);
}

static struct slate_open *slot(struct slate *s, uint32_t index)
{
	return &s->memory->open[index];
}

const struct slate_open *slate_open_at(struct slate *s, uint32_t index)
{
	return slot(s, index);
}

struct slate_counts slate_open_counts(struct slate *s, uint32_t index)
{
	uint64_t word = slot(s, index)->counts;
	struct slate_counts c = {(uint32_t)word & COUNT_MASK,
				 (uint32_t)(word >> COUNT_BITS) & COUNT_MASK};

	return word == counts_word(index, c) ? c : (struct slate_counts){0};
}

int slate_open_new(struct slate *s, uint64_t node, enum open_way way, uint32_t *ret)
{
	LOCKED(&s->lock);
	for (uint32_t tried = 0; tried < SLATE_OPENS; tried++) {
		uint32_t i = (s->open_hint + tried) % SLATE_OPENS;
		struct slate_open *o = slot(s, i);

		if (o->node)
			continue;
		o->way = way;
		o->sum = slot_sum(i, node, way);
		o->counts = counts_word(i, (struct slate_counts){0});
		o->node = node;
		s->open_hint = i + 1;
		*ret = i;
		return 0;
	}
	return -ENFILE;
}

void slate_open_free(struct slate *s, uint32_t index)
{
	LOCKED(&s->lock);
	slot(s, index)->counts = counts_word(index, (struct slate_counts){0});
	slot(s, index)->node = 0;
	s->open_hint = index;
}

size_t slate_open_list(struct slate *s, uint64_t *nodes, size_t max)
{
	size_t n = 0;

	LOCKED(&s->lock);
	for (uint32_t i = 0; i < SLATE_OPENS && n < max; i++) {
		const struct slate_open *o = slot(s, i);

		if (o->node && o->sum == slot_sum(i, o->node, o->way))
			nodes[n++] = o->node;
	}
	return n;
}

/* ---- counting ---------------------------------------------------------------------------- */

enum { COUNT_BEGUN = 1, COUNT_DONE = 2 }; /* above them the slot's index */

static uint64_t count_word(uint32_t index, unsigned phase)
{
	return (uint64_t)index << 8 | phase;
}

void slate_open_count(struct slate *s, struct slate_request *q, uint32_t index, int opens,
		      int writers)
{
	struct slate_open *o = slot(s, index);
	struct slate_counts c = slate_open_counts(s, index);

	c.opens = (uint32_t)((int64_t)c.opens + opens);
	c.writers = (uint32_t)((int64_t)c.writers + writers);
	if (q) {
		q->count_before = o->counts;
		q->count = count_word(index, COUNT_BEGUN);
	}
	o->counts = counts_word(index, c);
	if (q)
		q->count = count_word(index, COUNT_DONE);
}

bool slate_counted(const struct slate_request *q, uint32_t *ret)
{
	uint64_t word = q->count;

	if ((word & 0xff) != COUNT_DONE || word >> 8 >= SLATE_OPENS)
		return false;
	if (ret)
		*ret = (uint32_t)(word >> 8);
	return true;
}

/* The owner of a file's open state was alone in changing its counts, and is dead. */
void slate_settle_counts(struct slate *s)
{
	for (unsigned i = 0; i < SLATE_REQUESTS; i++) {
		struct slate_request *q = slate_request_at(s, i);
		uint64_t index = q->count >> 8;

		if ((q->count & 0xff) != COUNT_BEGUN)
			continue;
		if (index < SLATE_OPENS && slot(s, (uint32_t)index)->counts != q->count_before)
			q->count = count_word((uint32_t)index, COUNT_DONE);
		else
			q->count = 0;
	}
}
