/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Twenty thousand waiting requests cost about as much each as a few: whether they are random, all
 * on one block, sequential, or behind one that runs alone.  With lists that are scanned this test
 * takes minutes; with the queue's tree well under a second. */
#include <time.h>

#include "base/queue.h"
#include "tests/unit/check.h"
#include "tests/unit/random.h"

#define DEPTH 20000u

static struct io ios[DEPTH];

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static unsigned drain(struct queue *q, struct io *todo)
{
	unsigned n = 0;

	while (todo) {
		struct io *after = todo->next, *more = queue_leave(q, todo), *end = more;

		n++;
		while (end && end->next)
			end = end->next;
		if (end)
			end->next = after;
		todo = more ? more : after;
	}
	return n;
}

/* Nanoseconds for each request. */
static uint64_t measure(unsigned depth, enum io_kind first, enum io_kind kind, uint64_t spread)
{
	struct io *todo = NULL, **end = &todo;
	uint64_t seed = 20261122, since;
	struct queue q;

	queue_init(&q, 16);
	since = now_ns();
	for (unsigned i = 0; i < depth; i++) {
		ios[i].kind = i ? kind : first;
		ios[i].off = spread == 1 ? i : random_below(&seed, spread / 2 + 1);
		ios[i].end = ios[i].off + 1;
		if (queue_enter(&q, &ios[i])) {
			*end = &ios[i];
			end = &ios[i].next;
			*end = NULL;
		}
	}
	check(drain(&q, todo) == depth);
	since = now_ns() - since;
	queue_done(&q);
	return since / depth;
}

int main(void)
{
	static const struct {
		const char *what;
		enum io_kind first, kind;
		uint64_t spread; /* of the offsets; 0: one block; 1: sequential */
	} cases[] = {
		{"random writes", IO_WRITE, IO_WRITE, 1u << 20},
		{"writes to 100 blocks", IO_WRITE, IO_WRITE, 200},
		{"writes to one block", IO_WRITE, IO_WRITE, 0},
		{"sequential writes", IO_WRITE, IO_WRITE, 1},
		{"reads behind a write", IO_WRITE, IO_READ, 0},
		{"flushes behind a write", IO_WRITE, IO_FLUSH, 0},
		{"random writes behind a resize", IO_ALONE, IO_WRITE, 1u << 20},
		{"resizes", IO_ALONE, IO_ALONE, 0},
	};

	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint64_t idle = measure(1, cases[i].first, cases[i].kind, cases[i].spread);
		uint64_t few = measure(64, cases[i].first, cases[i].kind, cases[i].spread);
		uint64_t many = measure(DEPTH, cases[i].first, cases[i].kind, cases[i].spread);

		printf("%-30s %5ju ns alone, %5ju ns at depth 64, %5ju ns at depth %u\n",
		       cases[i].what, (uintmax_t)idle, (uintmax_t)few, (uintmax_t)many, DEPTH);
		check(many < 60 * MAX(few, 100)); /* the square would be 300 times */
	}
	return 0;
}
