/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/queue.c - see base/queue.h.
 *
 * A request that has entered is in one of these states:
 *     held      behind one that runs alone: nobody looks at it until that one is finished
 *     blocked   active, and hangs on the youngest active request that stands in its way (a
 *               flush: in the list of flushes; one that runs alone: in q->alone)
 *     ready     active, nothing stands in its way, but all service places are taken
 *     served    active, in service
 * When a request leaves, only those that hang on it are looked at again: each hangs on the next
 * obstacle or becomes ready.  An obstacle is always older, so chains end, and it is always active:
 * what is behind an alone one is not active, and an alone one has no younger active ones.
 */
#include <assert.h>
#include <time.h>

#include "base/queue.h"

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now); /* milliseconds will do, and it is free */
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void queue_init(struct queue *q, unsigned limit)
{
	assert(limit > 0);

	*q = (struct queue){.limit = limit};
	pthread_mutex_init(&q->lock, NULL);
	list_init(&q->active);
	list_init(&q->held);
	list_init(&q->writes);
	list_init(&q->flushes);
}

void queue_done(struct queue *q)
{
	assert(list_empty(&q->active));

	pthread_mutex_destroy(&q->lock);
}

/* Two heaps become one: the younger top becomes the first child of the older. */
static struct io *heap_join(struct io *a, struct io *b)
{
	if (!a || !b)
		return a ? a : b;

	if (b->span.seq < a->span.seq) {
		struct io *older = b;

		b = a;
		a = older;
	}
	b->next = a->child;
	a->child = b;
	return a;
}

static void heap_push(struct io **heap, struct io *io)
{
	io->child = io->next = NULL;
	*heap = heap_join(*heap, io);
}

/* Take the oldest.  Its children are joined in pairs, then the pairs from the last to the first:
 * that is what makes a pairing heap logarithmic. */
static struct io *heap_pop(struct io **heap)
{
	struct io *top = *heap, *rest = top->child, *pairs = NULL;

	while (rest) {
		struct io *a = rest, *b = a->next, *pair;

		rest = b ? b->next : NULL;
		pair = heap_join(a, b);
		pair->next = pairs;
		pairs = pair;
	}
	*heap = NULL;
	while (pairs) {
		struct io *next = pairs->next;

		*heap = heap_join(*heap, pairs);
		pairs = next;
	}
	return top;
}

static struct io *io_of_order(struct list *l)
{
	return list_entry(l, struct io, order);
}

static bool older(const struct io *a, const struct io *b)
{
	return a->span.seq < b->span.seq;
}

/* True: a request stands in the way of @io, which hangs on it now. */
static bool hang_on_obstacle(struct queue *q, struct io *io)
{
	struct interval *span;
	struct io *obstacle;

	span = interval_youngest_before(q->spans, &io->span, io->kind == IO_READ);
	if (!span)
		return false;

	obstacle = container_of(span, struct io, span);
	io->next = obstacle->blocked;
	obstacle->blocked = io;
	return true;
}

/* Is a write older than this flush unfinished? */
static bool flush_must_wait(struct queue *q, struct io *flush)
{
	return !list_empty(&q->writes) && older(io_of_order(q->writes.next), flush);
}

/* @io becomes active, as the youngest.  True: it is ready. */
static bool activate(struct queue *q, struct io *io)
{
	bool blocked;

	list_append(&q->active, &io->link);
	switch (io->kind) {
	case IO_READ:
	case IO_WRITE:
		blocked = hang_on_obstacle(q, io);
		interval_insert(&q->spans, &io->span);
		if (io->kind == IO_WRITE)
			list_append(&q->writes, &io->order);
		return !blocked;
	case IO_FLUSH:
		blocked = flush_must_wait(q, io);
		if (blocked)
			list_append(&q->flushes, &io->order);
		return !blocked;
	case IO_ALONE:
		q->alone = io;
		return q->active.next == &io->link;
	}
	__builtin_unreachable();
}

static void serve(struct queue *q, struct io *io)
{
	assert(q->in_service < q->limit);

	q->in_service++;
	io->served = true;
}

/* The common case touches neither the heap nor the list of held ones: while nothing is unfinished
 * this costs a clock and a lock. */
static bool enter(struct queue *q, struct io *io)
{
	io->span.off = io->off;
	io->span.end = io->end;
	io->span.seq = ++q->seq;
	io->span.exclusive = io->kind == IO_WRITE;
	io->served = false;
	io->blocked = io->next = NULL;

	if (q->alone) {
		list_append(&q->held, &io->link);
	} else if (activate(q, io)) {
		/* A free place means that no older one is ready. */
		if (q->in_service < q->limit) {
			serve(q, io);
			return true;
		}
		heap_push(&q->ready, io);
	}
	q->waiters++;
	return false;
}

bool queue_enter(struct queue *q, struct io *io)
{
	io->wake = NULL;
	io->since_ns = now_ns();

	LOCKED(&q->lock);
	return enter(q, io);
}

/* One that ran alone is gone: those behind it become active, up to the next of its kind. */
static void release_held(struct queue *q)
{
	while (!q->alone && !list_empty(&q->held)) {
		struct io *io = list_entry(q->held.next, struct io, link);

		list_remove(&io->link);
		if (activate(q, io))
			heap_push(&q->ready, io);
	}
}

static void release_blocked(struct queue *q, struct io *io)
{
	while (io) {
		struct io *next = io->next;

		if (!hang_on_obstacle(q, io))
			heap_push(&q->ready, io);
		io = next;
	}
}

static void release_flushes(struct queue *q)
{
	while (!list_empty(&q->flushes)) {
		struct io *flush = io_of_order(q->flushes.next);

		if (flush_must_wait(q, flush))
			return;
		list_remove(&flush->order);
		heap_push(&q->ready, flush);
	}
}

/* Undo activate, and make ready what waited for nothing but @io. */
static void deactivate(struct queue *q, struct io *io)
{
	list_remove(&io->link);
	if (io->kind == IO_ALONE) {
		q->alone = NULL;
		release_held(q);
		return;
	}

	if (io->kind != IO_FLUSH)
		interval_remove(&q->spans, &io->span);
	if (io->kind == IO_WRITE)
		list_remove(&io->order);
	release_blocked(q, io->blocked);
	release_flushes(q);
	if (q->alone && q->active.next == &q->alone->link)
		heap_push(&q->ready, q->alone);
}

/* Fill the free places.  A sleeping thread takes its own request. */
static struct io *admit(struct queue *q)
{
	struct io *first = NULL, **end = &first;

	while (q->ready && q->in_service < q->limit) {
		struct io *io = heap_pop(&q->ready);

		q->waiters--;
		io->next = NULL;
		serve(q, io);
		if (io->wake) {
			pthread_cond_signal(io->wake);
		} else {
			*end = io;
			end = &io->next;
		}
	}
	return first;
}

struct io *queue_leave(struct queue *q, struct io *io)
{
	LOCKED(&q->lock);

	assert(io->served);
	io->served = false;
	q->in_service--;
	deactivate(q, io);
	return admit(q);
}

void queue_wait_alone(struct queue *q, struct io *io)
{
	pthread_cond_t wake = PTHREAD_COND_INITIALIZER;

	io->kind = IO_ALONE;
	io->wake = &wake;
	io->since_ns = now_ns();

	pthread_mutex_lock(&q->lock);
	if (!enter(q, io))
		while (!io->served)
			pthread_cond_wait(&wake, &q->lock);
	pthread_mutex_unlock(&q->lock);
	pthread_cond_destroy(&wake);
}

bool queue_idle(struct queue *q)
{
	LOCKED(&q->lock);

	return list_empty(&q->active);
}

uint64_t queue_oldest_ns(struct queue *q)
{
	uint64_t since, now;

	LOCKED(&q->lock);
	if (list_empty(&q->active))
		return 0;

	/* Clocks are read outside the lock: a younger one may have read its own earlier. */
	since = list_entry(q->active.next, struct io, link)->since_ns;
	now = now_ns();
	return now > since ? now - since : 0;
}
