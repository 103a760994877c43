/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/gate.c - see fs/gate.h. */
#include <stdatomic.h>

#include "base/cleanup.h"
#include "base/queue.h"
#include "fs/gate.h"

struct gate {
	unsigned limit;
	_Atomic unsigned running;
	_Atomic unsigned waiting; /* so that nobody takes the lock for an empty list */
	pthread_mutex_t lock;	  /* protects the list */
	struct io *first, **last;
};

int gate_new(unsigned limit, struct gate **ret)
{
	struct gate *g = calloc(1, sizeof *g);

	if (!g)
		return -ENOMEM;
	g->limit = MAX(limit, 1u);
	g->last = &g->first;
	pthread_mutex_init(&g->lock, NULL);
	*ret = g;
	return 0;
}

void gate_free(struct gate *g)
{
	if (!g)
		return;
	pthread_mutex_destroy(&g->lock);
	free(g);
}

static bool try_enter(struct gate *g)
{
	unsigned n = g->running;

	while (n < g->limit)
		if (atomic_compare_exchange_weak(&g->running, &n, n + 1))
			return true;
	return false;
}

static struct io *take_first(struct gate *g)
{
	struct io *io = g->first;

	if (!io)
		return NULL;
	g->first = io->next;
	if (!g->first)
		g->last = &g->first;
	io->next = NULL;
	g->waiting--;
	return io;
}

static void append(struct gate *g, struct io *io)
{
	io->next = NULL;
	*g->last = io;
	g->last = &io->next;
}

bool gate_enter(struct gate *g, struct io *io)
{
	if (!g->waiting && try_enter(g))
		return true;
	LOCKED(&g->lock);
	/* Under the lock a leaver either sees @io in the list or has left before this look. */
	g->waiting++;
	if (!g->first && try_enter(g)) {
		g->waiting--;
		return true;
	}
	append(g, io);
	return false;
}

struct io *gate_next(struct gate *g, struct io *io)
{
	if (!g->waiting)
		return io;
	LOCKED(&g->lock);
	g->waiting++;
	append(g, io);
	return take_first(g);
}

struct io *gate_leave(struct gate *g)
{
	g->running--;
	if (!g->waiting)
		return NULL;
	LOCKED(&g->lock);
	return g->first && try_enter(g) ? take_first(g) : NULL;
}
