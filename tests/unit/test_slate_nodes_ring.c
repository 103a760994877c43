/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Node slots: taken in the order of the promises, free only after the commit, and who finds none
 * waits until there is one, or there is no hope of it. */
#include <pthread.h>
#include <stdatomic.h>

#include "base/cleanup.h"
#include "tests/unit/catalog_rig.h"
#include "fs/slate.h"

#define BATCH 5000

static struct catalog_node rows[SLATE_NODES + 1];
static uint32_t slots[SLATE_NODES + 1];

static bool never(void *data)
{
	check(!"the slate was full");
	return false;
}

static void put(struct slate *s, uint64_t id, bool gone)
{
	struct catalog_node n = rig_node(id, id);

	check(slate_node_put(s, &n, gone, never, NULL));
}

static size_t take(struct slate *s, size_t max)
{
	size_t n;

	slate_node_take(s, rows, slots, max, &n);
	return n;
}

static void order_and_content(struct slate *s)
{
	struct catalog_node want = rig_node(7, 7);

	check(take(s, 10) == 0);
	put(s, 7, false);
	put(s, 8, false);
	put(s, 7, true);
	check(slate_node_count(s) == 3);
	check(take(s, 2) == 2 && rows[0].id == 7 && rows[1].id == 8 && slots[0] != slots[1]);
	check(handle_equal(&rows[0].handle, &want.handle) && rows[0].parent == want.parent);
	check(!strcmp(rows[0].name, want.name));
	check(slate_node_count(s) == 1);
	slate_node_committed(s, slots, 2);
	check(take(s, 2) == 1 && rows[0].id == 7 && rows[0].handle.len == 0); /* gone */
	check(take(s, 2) == 0 && slate_node_count(s) == 0);
	slate_node_committed(s, slots, 1);
}

/* Several times around the ring, with what is taken and what is committed apart. */
static void around(struct slate *s)
{
	uint64_t in = 1, out = 1;

	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < BATCH; i++)
			put(s, in++, false);
		check(take(s, SLATE_NODES) == BATCH);
		for (int i = 0; i < BATCH; i++)
			check(rows[i].id == out++);
		slate_node_committed(s, slots, BATCH);
	}
}

struct waiter {
	struct slate *slate;
	_Atomic int full, done;
};

static bool count_full(void *data)
{
	struct waiter *w = data;

	slate_node_count(w->slate); /* called without the lock, or this never returns */
	atomic_fetch_add(&w->full, 1);
	return true;
}

static void *put_one_more(void *data)
{
	struct waiter *w = data;
	struct catalog_node n = rig_node(1000000, 5);

	check(slate_node_put(w->slate, &n, false, count_full, w));
	atomic_store(&w->done, 1);
	return NULL;
}

static void wait_a_little(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
}

static bool no_hope(void *data)
{
	return false;
}

static void full(struct slate *s)
{
	struct waiter w = {.slate = s};
	pthread_t thread;

	for (uint64_t i = 1; i <= SLATE_NODES; i++)
		put(s, i, false);
	check(slate_node_count(s) == SLATE_NODES);
	check(!slate_node_put(s, &rows[0], false, no_hope, NULL));
	check(slate_node_count(s) == SLATE_NODES);
	check(!pthread_create(&thread, NULL, put_one_more, &w));
	wait_a_little();
	check(w.full == 1 && !w.done);
	check(take(s, 10) == 10);
	wait_a_little();
	check(!w.done); /* taken is not committed: a worker may die in between */
	slate_node_committed(s, slots, 10);
	check(!pthread_join(thread, NULL));
	check(w.full == 1 && w.done);

	check(take(s, SLATE_NODES) == SLATE_NODES - 9 && rows[0].id == 11);
	check(rows[SLATE_NODES - 10].id == 1000000);
	slate_node_committed(s, slots, SLATE_NODES - 9);
}

int main(void)
{
	struct slate *s;

	check(slate_new(-1, &s, NULL) == 0);
	order_and_content(s);
	around(s);
	full(s);
	slate_free(s);
	slate_free(NULL);
	return 0;
}
