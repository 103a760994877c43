/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/share.c - see fs/share.h.
 *
 * Who waits is counted before it looks at what runs, and who finishes is marked idle before it
 * looks at the count: so of two that meet, one sees the other.
 */
#include <string.h>

#include "base/cleanup.h"
#include "fs/abi.h"
#include "fs/share.h"
#include "fs/slate.h"

struct share {
	struct slate_request *_Atomic *slots;
	size_t n;
	unsigned most;
	_Atomic unsigned waiting;
	pthread_mutex_t lock; /* protects the list; nothing is taken under it */
	struct waiting *first, **last;
};

int share_new(struct slate_request *_Atomic *slots, size_t n, unsigned most, struct share **ret)
{
	struct share *s = calloc(1, sizeof *s);

	if (!s)
		return -ENOMEM;
	s->slots = slots;
	s->n = n;
	s->most = MAX(most, 1u);
	s->last = &s->first;
	pthread_mutex_init(&s->lock, NULL);
	*ret = s;
	return 0;
}

void share_free(struct share *s)
{
	if (!s)
		return;
	for (struct waiting *w; (w = s->first);) {
		s->first = w->next;
		free(w);
	}
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* Of what is in the gate's charge, or must not wait. */
static bool is_exempt(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_READ:
	case FUSE_WRITE:
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
	case FUSE_INIT:
	case FUSE_DESTROY:
		return true;
	}
	return false;
}

static bool works_on(const struct slate_request *q, uint64_t node)
{
	return q && q->state == SLATE_RUNNING &&
	       __atomic_load_n(&q->node, __ATOMIC_RELAXED) == node &&
	       !is_exempt(__atomic_load_n(&q->opcode, __ATOMIC_RELAXED));
}

static bool is_full(const struct share *s, uint64_t node, unsigned idle)
{
	unsigned limit = MIN(s->most, MAX(idle / 2, 1u)), n = 0;

	for (size_t i = 0; i < s->n && n < limit; i++)
		n += works_on(s->slots[i], node);
	return n >= limit;
}

static void serve(struct slate_request *mine, uint64_t node, uint32_t opcode)
{
	__atomic_store_n(&mine->node, node, __ATOMIC_RELAXED);
	__atomic_store_n(&mine->opcode, opcode, __ATOMIC_RELAXED);
	mine->state = SLATE_RUNNING;
}

static struct waiting *copy(const struct fuse_in_header *in, size_t size)
{
	struct waiting *w = malloc(sizeof *w + size);

	if (w) {
		*w = (struct waiting){.size = size, .node = in->nodeid};
		memcpy(w->message, in, size);
	}
	return w;
}

bool share_enter(struct share *s, const struct fuse_in_header *in, size_t size,
		 struct slate_request *mine, unsigned idle)
{
	struct waiting *w;

	if (is_exempt(in->opcode) || !(w = copy(in, size)))
		return true;
	LOCKED(&s->lock);
	s->waiting++;
	if (!is_full(s, in->nodeid, idle)) {
		s->waiting--;
		serve(mine, in->nodeid, in->opcode);
		free(w);
		return true;
	}
	*s->last = w;
	s->last = &w->next;
	return false;
}

bool share_waiting(struct share *s)
{
	return s->waiting;
}

static struct waiting *take(struct share *s, struct waiting **at)
{
	struct waiting *w = *at;

	*at = w->next;
	if (!*at)
		s->last = at;
	s->waiting--;
	return w;
}

/* Most of those that wait are of few nodes: of neighbours of one node the first decides. */
struct waiting *share_next(struct share *s, struct slate_request *mine, unsigned idle)
{
	uint64_t refused = 0;

	LOCKED(&s->lock);
	for (struct waiting **at = &s->first; *at; at = &(*at)->next) {
		struct waiting *w = *at;

		if (w->node == refused)
			continue;
		if (is_full(s, w->node, idle)) {
			refused = w->node;
			continue;
		}
		serve(mine, w->node, ((struct fuse_in_header *)w->message)->opcode);
		return take(s, at);
	}
	return NULL;
}
