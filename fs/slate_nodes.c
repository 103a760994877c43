/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/slate_nodes.c - see fs/slate.h: promised node ids.
 *
 * Node slots form a ring: [tail, head) are in use, in the order of their promises, so the order
 * of two changes of one node is kept.  [tail, taken) are being committed.
 */
#include <time.h>

#include "base/cleanup.h"
#include "fs/slate_memory.h"

static struct slate_node *node_slot(struct slate *s, uint64_t n)
{
	return &s->memory->node[n % SLATE_NODES];
}

static uint64_t node_sum(uint64_t position, const struct slate_node *n)
{
	return slate_sum(position, &n->state, sizeof *n - offsetof(struct slate_node, state));
}

/* Under the lock, which is let go meanwhile.  False: give up. */
static bool wait_for_space(struct slate *s, bool (*full)(void *data), void *data)
{
	struct timespec until;
	bool hope;

	pthread_mutex_unlock(&s->lock);
	hope = full(data);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec++;
	pthread_mutex_lock(&s->lock);
	if (hope && s->memory->head - s->memory->tail == SLATE_NODES)
		pthread_cond_timedwait(&s->space, &s->lock, &until);
	return hope;
}

bool slate_node_put(struct slate *s, const struct catalog_node *node, bool gone,
		    bool (*full)(void *data), void *data)
{
	struct slate_memory *m = s->memory;
	struct slate_node *slot;

	LOCKED(&s->lock);
	while (m->head - m->tail == SLATE_NODES)
		if (!wait_for_space(s, full, data))
			return false;
	slot = node_slot(s, m->head);
	slot->node = *node;
	if (gone)
		slot->node.handle.len = 0;
	slot->state = gone ? SLATE_NODE_GONE : SLATE_NODE_NEW;
	slot->sum = node_sum(m->head, slot);
	m->head++; /* from here on it counts */
	return true;
}

void slate_node_take(struct slate *s, struct catalog_node *nodes, uint32_t *slots, size_t max,
		     size_t *ret_n)
{
	size_t n = 0;

	LOCKED(&s->lock);
	while (n < max && s->taken < s->memory->head) {
		nodes[n] = node_slot(s, s->taken)->node;
		slots[n] = (uint32_t)(s->taken % SLATE_NODES);
		s->taken++;
		n++;
	}
	*ret_n = n;
}

void slate_node_committed(struct slate *s, const uint32_t *slots, size_t n)
{
	LOCKED(&s->lock);
	for (size_t i = 0; i < n; i++)
		s->memory->node[slots[i]].state = SLATE_NODE_FREE;
	s->memory->tail += n; /* one committer, so they are the oldest */
	pthread_cond_broadcast(&s->space);
}

size_t slate_node_count(struct slate *s)
{
	LOCKED(&s->lock);
	return s->memory->head - s->taken;
}

/* After a dead worker: those that were committed although the tail has not passed them go, and
 * what is damaged is made to say nothing: there is no node 2 (base/catalog.h). */
void slate_settle_nodes(struct slate *s)
{
	struct slate_memory *m = s->memory;

	while (m->tail < m->head && node_slot(s, m->tail)->state == SLATE_NODE_FREE)
		m->tail++;
	for (uint64_t n = m->tail; n < m->head; n++) {
		struct slate_node *slot = node_slot(s, n);

		if (slot->sum == node_sum(n, slot))
			continue;
		*slot = (struct slate_node){.state = SLATE_NODE_GONE, .node.id = 2};
		slot->sum = node_sum(n, slot);
	}
	s->taken = m->tail;
}

void slate_node_each(struct slate *s, void (*each)(void *data, const struct catalog_node *node),
		     void *data)
{
	struct slate_memory *m = s->memory;

	for (uint64_t n = m->tail; n < m->head; n++)
		each(data, &node_slot(s, n)->node);
}

bool slate_node_find(struct slate *s, uint64_t id, struct catalog_node *ret)
{
	struct slate_memory *m = s->memory;

	LOCKED(&s->lock);
	for (uint64_t n = m->head; n > m->tail; n--) {
		const struct slate_node *slot = node_slot(s, n - 1);

		if (slot->state != SLATE_NODE_NEW || slot->node.id != id)
			continue;
		*ret = slot->node;
		return true;
	}
	return false;
}

/* ---- the range of ids -------------------------------------------------------------------- */

static uint64_t ids_sum(uint64_t next, uint64_t end)
{
	uint64_t words[2] = {next, end};

	return slate_sum(4, words, sizeof words);
}

bool slate_ids_get(struct slate *s, uint64_t *ret_next, uint64_t *ret_end)
{
	const struct slate_memory *m = s->memory;

	if (m->ids_sum != ids_sum(m->ids_next, m->ids_end))
		return false; /* none, or killed between two of the stores: a new range then */
	*ret_next = m->ids_next;
	*ret_end = m->ids_end;
	return true;
}

void slate_ids_set(struct slate *s, uint64_t next, uint64_t end)
{
	struct slate_memory *m = s->memory;

	m->ids_sum = 0;
	atomic_signal_fence(memory_order_seq_cst); /* in this order, whenever we are killed */
	m->ids_next = next;
	m->ids_end = end;
	atomic_signal_fence(memory_order_seq_cst);
	m->ids_sum = ids_sum(next, end);
}
