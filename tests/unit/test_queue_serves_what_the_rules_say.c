/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random requests against a model that looks at every pair: after each step the queue serves
 * exactly those that base/queue.h's table of what stands in the way admits, oldest first. */
#include <string.h>

#include "base/queue.h"
#include "tests/unit/check.h"
#include "tests/unit/random.h"

#define REQUESTS 64

enum state { FREE, WAITS, SERVED };

struct request {
	struct io io;
	enum state state;
	unsigned long age; /* order of entry */
};

static struct request requests[REQUESTS];
static unsigned long entered;

static bool overlap(const struct io *a, const struct io *b)
{
	for (uint64_t i = a->off; i < a->end; i++)
		if (i >= b->off && i < b->end)
			return true;
	return false;
}

/* The table of base/queue.h, word by word. */
static bool stands_in_the_way(const struct request *old, const struct request *young)
{
	if (old->io.kind == IO_ALONE || young->io.kind == IO_ALONE)
		return true;
	switch (young->io.kind) {
	case IO_READ:
		return old->io.kind == IO_WRITE && overlap(&old->io, &young->io);
	case IO_WRITE:
		return old->io.kind != IO_FLUSH && overlap(&old->io, &young->io);
	default:
		return old->io.kind == IO_WRITE;
	}
}

static bool may_run(const struct request *r)
{
	for (unsigned i = 0; i < REQUESTS; i++)
		if (requests[i].state != FREE && requests[i].age < r->age &&
		    stands_in_the_way(&requests[i], r))
			return false;
	return true;
}

static unsigned count(enum state state)
{
	unsigned n = 0;

	for (unsigned i = 0; i < REQUESTS; i++)
		n += requests[i].state == state;
	return n;
}

/* What the model serves next; NULL when it serves no more. */
static struct request *next_to_serve(unsigned limit)
{
	struct request *best = NULL;

	if (count(SERVED) >= limit)
		return NULL;
	for (unsigned i = 0; i < REQUESTS; i++)
		if (requests[i].state == WAITS && (!best || requests[i].age < best->age) &&
		    may_run(&requests[i]))
			best = &requests[i];
	return best;
}

static void enter(struct queue *q, struct request *r, uint64_t *seed, unsigned limit)
{
	unsigned kind = (unsigned)random_below(seed, 40);

	memset(&r->io, 0xa5, sizeof r->io); /* the queue needs no start values */
	r->io.kind = kind == 0 ? IO_ALONE : kind < 4 ? IO_FLUSH : kind < 20 ? IO_READ : IO_WRITE;
	r->io.off = random_below(seed, 40);
	r->io.end = r->io.off + random_below(seed, 10);
	r->state = WAITS;
	r->age = ++entered;
	if (queue_enter(q, &r->io)) {
		check(next_to_serve(limit) == r);
		r->state = SERVED;
	}
	check(next_to_serve(limit) == NULL);
}

static void leave(struct queue *q, struct request *r, unsigned limit)
{
	struct io *next = queue_leave(q, &r->io);

	r->state = FREE;
	memset(&r->io, 0x5a, sizeof r->io); /* and does not look at it again */
	for (struct io *io = next; io; io = io->next) {
		struct request *expected = next_to_serve(limit);

		check(expected && io == &expected->io);
		expected->state = SERVED;
	}
	check(next_to_serve(limit) == NULL);
}

static void step(struct queue *q, uint64_t *seed, unsigned limit, unsigned most)
{
	struct request *r = &requests[random_below(seed, REQUESTS)];

	if (r->state == FREE && REQUESTS - count(FREE) < most)
		enter(q, r, seed, limit);
	else if (r->state == SERVED)
		leave(q, r, limit);
	check(q->waiters == count(WAITS) && q->in_service == count(SERVED));
	check(queue_idle(q) == (count(FREE) == REQUESTS));
}

static void run(uint64_t seed, unsigned limit, unsigned most)
{
	struct queue q;

	queue_init(&q, limit);
	for (unsigned i = 0; i < 1500; i++)
		step(&q, &seed, limit, most);
	while (count(FREE) < REQUESTS)
		step(&q, &seed, limit, 0);
	check(queue_oldest_ns(&q) == 0);
	queue_done(&q);
}

int main(void)
{
	for (uint64_t seed = 1; seed <= 300; seed++)
		run(seed * 7919, 1 + (unsigned)(seed % 9), 4 + (unsigned)(seed * 3 % 60));
	return 0;
}
