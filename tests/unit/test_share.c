/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/test_share.c - one node gets its share of the threads, and nobody is forgotten. */
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "fs/abi.h"
#include "fs/share.h"
#include "fs/slate.h"
#include "tests/unit/check.h"

#define THREADS 6
#define ROUNDS  4000

static struct slate_request *_Atomic slots[THREADS + 2];
static struct slate_request requests[THREADS + 2];
static struct share *share;

static struct fuse_in_header message(uint64_t node, uint32_t opcode)
{
	return (struct fuse_in_header){.len = sizeof(struct fuse_in_header), .opcode = opcode,
				       .nodeid = node};
}

static bool enter(unsigned i, uint64_t node, uint32_t opcode, unsigned idle)
{
	struct fuse_in_header in = message(node, opcode);

	return share_enter(share, &in, sizeof in, slots[i], idle);
}

static void leave(unsigned i)
{
	requests[i].state = SLATE_IDLE;
}

static uint64_t next(unsigned i, unsigned idle)
{
	struct waiting *w = share_next(share, slots[i], idle);
	uint64_t node = w ? w->node : 0;

	free(w);
	return node;
}

static void as_many_as_it_says(void)
{
	check(enter(0, 5, FUSE_GETATTR, 8) && enter(1, 5, FUSE_FSYNC, 8));
	check(!share_waiting(share));
	check(!enter(2, 5, FUSE_GETATTR, 8) && share_waiting(share)); /* two is its share */
	check(enter(2, 6, FUSE_LOOKUP, 8));
	check(enter(3, 5, FUSE_WRITE, 8)); /* in the gate's charge */
	check(enter(3, 5, FUSE_FORGET, 8));
	check(requests[3].state == SLATE_IDLE); /* then it is not ours to say */
	check(!enter(3, 6, FUSE_LOOKUP, 2)); /* at most half of two */
	check(next(3, 8) == 6); /* now there are more, and 5 is full still */
	leave(2);
	leave(3);
	check(next(2, 8) == 0);
	leave(0);
	check(next(0, 8) == 5 && requests[0].state == SLATE_RUNNING && requests[0].node == 5);
	check(!share_waiting(share));
	leave(0);
	leave(1);
}

static void oldest_first(void)
{
	check(enter(0, 5, FUSE_GETATTR, 2));
	for (uint64_t i = 0; i < 10; i++)
		check(!enter(1, 5, (uint32_t)(i % 2 ? FUSE_OPEN : FUSE_RELEASE), 2));
	leave(0);
	for (uint64_t i = 0; i < 10; i++) {
		struct waiting *w = share_next(share, slots[0], 2);

		check(w && ((struct fuse_in_header *)w->message)->opcode ==
				   (i % 2 ? FUSE_OPEN : FUSE_RELEASE));
		check(requests[0].opcode == (i % 2 ? FUSE_OPEN : FUSE_RELEASE));
		free(w);
		leave(0);
	}
	check(!share_waiting(share));
}

static _Atomic unsigned inside[3], served;

static void serve(uint64_t node)
{
	check(++inside[node] <= 2);
	if (served % 16 == 0)
		sched_yield();
	inside[node]--;
	served++;
}

static void *client(void *data)
{
	unsigned i = (unsigned)(uintptr_t)data;
	struct waiting *w;

	for (unsigned n = 0; n < ROUNDS; n++) {
		uint64_t node = 1 + (n + i) % 2;

		if (!enter(i, node, FUSE_GETATTR, 8))
			continue;
		serve(node);
		leave(i);
		while (share_waiting(share) && (w = share_next(share, slots[i], 8))) {
			serve(w->node);
			leave(i);
			free(w);
		}
	}
	return NULL;
}

/* Whoever is last takes all that waits. */
static void nobody_is_forgotten(void)
{
	pthread_t threads[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		check(pthread_create(&threads[i], NULL, client, (void *)(uintptr_t)i) == 0);
	for (unsigned i = 0; i < THREADS; i++)
		check(pthread_join(threads[i], NULL) == 0);
	check(served == THREADS * ROUNDS && !share_waiting(share));
}

int main(void)
{
	for (unsigned i = 0; i < THREADS + 1; i++) /* the last has no slot yet */
		slots[i] = &requests[i];
	check(share_new(slots, THREADS + 2, 2, &share) == 0);
	as_many_as_it_says();
	oldest_first();
	nobody_is_forgotten();
	check(enter(0, 5, FUSE_GETATTR, 2) && !enter(1, 5, FUSE_GETATTR, 2));
	share_free(share); /* with somebody in it */
	return 0;
}
