/* SPDX-License-Identifier: GPL-2.0-or-later */
/* While the catalog cannot be written, ids that were given stay valid: their nodes stay in memory,
 * a second look finds the same ones.  When the slate is full new names go on without a promise: their
 * ids are good until the worker ends, and never given again.  What was promised is not lost. */
#include <pthread.h>
#include <stdatomic.h>

#include "tests/unit/nodes_rig.h"

#define MORE (SLATE_NODES + 3000)

static void promise_keeps_node(struct nodes_rig *rig)
{
	uint64_t id = nodes_rig_touch(rig, 10);
	struct node *node;

	nodes_forget(rig->nodes, id, 1);
	check(nodes_count(rig->nodes) == 2); /* nobody uses it, but it is promised */
	check(nodes_get(rig->nodes, id, &node) == 0 && node->id == id);
	node_unref(rig->nodes, node);
	check(nodes_rig_touch(rig, 10) == id);
	check(rig_no_node(rig->catalog, id));
}

struct finder {
	struct nodes_rig *rig;
	_Atomic uint64_t found;
	uint64_t first, ids[MORE];
};

static void *find_many(void *data)
{
	struct finder *f = data;

	for (uint64_t i = 0; i < MORE; i++) {
		f->ids[i] = nodes_rig_touch(f->rig, f->first + i);
		atomic_fetch_add(&f->found, 1);
	}
	return NULL;
}

/* Nobody waits for commits that do not work: what finds no slot is good until the worker ends. */
static void full_slate_gives_up(struct nodes_rig *rig)
{
	static struct finder f;
	pthread_t thread;
	uint64_t promised;

	f.rig = rig;
	f.first = 1000;
	promised = SLATE_NODES - (nodes_count(rig->nodes) - 1);
	check(!pthread_create(&thread, NULL, find_many, &f));
	check(!pthread_join(thread, NULL));
	check(nodes_rig_touch(rig, 1007) == f.ids[7]);

	nodes_rig_writes_fail(false);
	nodes_commit_now(rig->nodes);
	check(nodes_rig_shrinks_to(rig, 1));
	for (uint64_t i = 0; i < promised; i += 101)
		check(rig_is(rig->catalog, f.ids[i], 1000 + i));
	for (uint64_t i = 1; i < MORE; i++)
		check(f.ids[i] > f.ids[i - 1]);
	for (uint64_t i = promised; i < MORE; i++)
		check(nodes_rig_touch(rig, 1000 + i) != f.ids[i]); /* never that id again */
	nodes_commit_now(rig->nodes);
}

static void test(const char *dir)
{
	struct catalog_counts counts;
	struct nodes_rig rig;
	uint64_t kept;

	nodes_rig_begin(&rig, rig_create(dir));
	kept = nodes_rig_touch(&rig, 5); /* reserves the ids */
	nodes_commit_now(rig.nodes);
	check(nodes_count(rig.nodes) == 1);
	nodes_rig_writes_fail(true);
	promise_keeps_node(&rig);
	check(nodes_rig_touch(&rig, 5) == kept); /* reading goes on */
	full_slate_gives_up(&rig);
	nodes_rig_end(&rig);

	check(rig_check(dir, NULL) == 0);
	nodes_rig_begin(&rig, rig_open(dir));
	check(catalog_count(rig.catalog, &counts) == 0 && counts.nodes == MORE + 2);
	check(nodes_rig_touch(&rig, 5) == kept);
	nodes_rig_end(&rig);
}

int main(void)
{
	return scratch_run_in_memory(test);
}
