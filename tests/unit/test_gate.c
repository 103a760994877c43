/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/test_gate.c - never more inside than the limit, nobody is lost, oldest first. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/queue.h"
#include "fs/gate.h"
#include "tests/unit/check.h"

#define THREADS 6
#define ROUNDS  20000
#define LIMIT   3

static struct gate *gate;
static _Atomic int inside, done;

static void oldest_first(void)
{
	struct io io[4] = {0};
	struct gate *g;

	check(gate_new(1, &g) == 0);
	check(gate_enter(g, &io[0]));
	check(!gate_enter(g, &io[1]) && !gate_enter(g, &io[2]));
	check(gate_next(g, &io[3]) == &io[1]); /* the younger waits behind those who do */
	check(gate_leave(g) == &io[2]);
	check(gate_leave(g) == &io[3]);
	check(gate_leave(g) == NULL);
	check(gate_enter(g, &io[0]) && gate_leave(g) == NULL);
	gate_free(g);
}

static void serve(struct io *io)
{
	while (io) {
		check(++inside <= LIMIT);
		if (done % 64 == 0)
			sched_yield();
		inside--;
		done++;
		io = gate_leave(gate);
	}
}

static void *client(void *data)
{
	struct io *io = data;

	for (int i = 0; i < ROUNDS; i++)
		if (gate_enter(gate, &io[i]))
			serve(&io[i]);
	return NULL;
}

int main(void)
{
	static struct io io[THREADS][ROUNDS];
	pthread_t threads[THREADS];

	oldest_first();
	check(gate_new(LIMIT, &gate) == 0);
	for (int i = 0; i < THREADS; i++)
		check(pthread_create(&threads[i], NULL, client, io[i]) == 0);
	for (int i = 0; i < THREADS; i++)
		check(pthread_join(threads[i], NULL) == 0);
	check(done == THREADS * ROUNDS && inside == 0);
	gate_free(gate);
	return 0;
}
