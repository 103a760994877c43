/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Many threads find, get, forget and move the same files while the tables grow: one file has one
 * node and one id, and in the end nothing is left.  For TSan as well. */
#include <pthread.h>
#include <stdatomic.h>

#include "base/cleanup.h"
#include "tests/unit/nodes_rig.h"

#define THREADS 6
#define FILES	9000 /* more than the first tables hold, so that they grow */
#define ROUNDS	3
#define HOT_FILES 3
#define HOT_TURNS 30000

struct shared {
	struct nodes_rig rig;
	pthread_barrier_t barrier;
	_Atomic uint64_t id[FILES]; /* what the first one found; 0: nobody yet */
};

struct worker {
	struct shared *s;
	unsigned index;
};

/* All threads look for one new file at once. */
static void race_for_new_files(struct shared *s)
{
	for (uint64_t i = 0; i < 200; i++) {
		uint64_t none = 0, id;
		struct node *node;

		pthread_barrier_wait(&s->barrier);
		node = nodes_rig_find(&s->rig, 100000 + i);
		id = node->id;
		if (!atomic_compare_exchange_strong(&s->id[i], &none, id))
			check(none == id);
		node_unref(s->rig.nodes, node);
		pthread_barrier_wait(&s->barrier);
		atomic_store(&s->id[i], 0);
	}
	pthread_barrier_wait(&s->barrier);
}

static void same_id(struct shared *s, uint64_t file, uint64_t id)
{
	uint64_t none = 0;

	if (!atomic_compare_exchange_strong(&s->id[file], &none, id))
		check(none == id);
}

static void use_one(struct shared *s, uint64_t file, unsigned turn)
{
	struct node *node = nodes_rig_find(&s->rig, file + 10), *again;
	uint64_t id = node->id;
	char path[300];

	same_id(s, file, id);
	node_add_lookup(s->rig.nodes, node);
	if (turn % 701 == 0)
		node_moved(s->rig.nodes, node, NODE_ROOT, turn % 2 ? "here" : "there");
	if (turn % 11 == 0)
		node_path(s->rig.nodes, node, path, sizeof path);
	node_unref(s->rig.nodes, node);
	check(nodes_get(s->rig.nodes, id, &again) == 0);
	check(again->id == id);
	node_unref(s->rig.nodes, again);
	nodes_forget(s->rig.nodes, id, 1);
}

/* Few files, so that their last users go and come at the same moments. */
static void hot(struct shared *s, unsigned index)
{
	for (unsigned i = 0; i < HOT_TURNS; i++)
		use_one(s, (i + index) % HOT_FILES, i + index + 1);
}

static void *work(void *data)
{
	struct worker *w = data;
	struct shared *s = w->s;

	race_for_new_files(s);
	hot(s, w->index);
	for (unsigned round = 0; round < ROUNDS; round++)
		for (unsigned i = 0; i < FILES; i++) {
			/* each its own way through the files, so that they meet and part */
			uint64_t file = (i * (2 * w->index + 1) + w->index * 131) % FILES;

			use_one(s, file, i + w->index);
		}
	return NULL;
}

static void test(const char *dir)
{
	static struct shared s;
	struct worker worker[THREADS];
	pthread_t thread[THREADS];

	nodes_rig_begin(&s.rig, rig_create(dir));
	check(!pthread_barrier_init(&s.barrier, NULL, THREADS));
	for (unsigned i = 0; i < THREADS; i++) {
		worker[i] = (struct worker){&s, i};
		check(!pthread_create(&thread[i], NULL, work, &worker[i]));
	}
	for (unsigned i = 0; i < THREADS; i++)
		check(!pthread_join(thread[i], NULL));
	nodes_commit_now(s.rig.nodes);
	check(nodes_rig_shrinks_to(&s.rig, 1));
	check(slate_node_count(s.rig.slate) == 0);
	nodes_rig_end(&s.rig);
	check(rig_check(dir, NULL) == 0);
}

int main(void)
{
	return scratch_run_in_memory(test);
}
