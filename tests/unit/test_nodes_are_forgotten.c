/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A node's memory goes with its last user: the kernel's lookups, references, promises. */
#include "tests/unit/nodes_rig.h"

#define MANY 20000

static void kernel_counts(struct nodes_rig *rig)
{
	struct node *node = nodes_rig_find(rig, 10);
	uint64_t id = node->id;

	for (int i = 0; i < 3; i++)
		node_add_lookup(rig->nodes, node);
	node_unref(rig->nodes, node);
	nodes_commit_now(rig->nodes);
	check(nodes_count(rig->nodes) == 2);
	nodes_forget(rig->nodes, id, 2);
	check(nodes_count(rig->nodes) == 2);
	nodes_forget(rig->nodes, id, 1);
	check(nodes_count(rig->nodes) == 1);
	nodes_forget(rig->nodes, id, 1); /* nobody knows it: no harm */
}

/* The kernel's count is a hint: too many forgets take nothing from those who hold references. */
static void forgotten_while_used(struct nodes_rig *rig)
{
	struct node *node = nodes_rig_find(rig, 10);

	node_add_lookup(rig->nodes, node);
	nodes_forget(rig->nodes, node->id, 1000);
	check(nodes_count(rig->nodes) == 2);
	check(node_ref(rig->nodes, node) == node);
	node_unref(rig->nodes, node);
	check(nodes_count(rig->nodes) == 2);
	node_unref(rig->nodes, node);
	check(nodes_count(rig->nodes) == 1);
}

static void many(struct nodes_rig *rig)
{
	static uint64_t ids[MANY];

	for (uint64_t i = 0; i < MANY; i++) {
		struct node *node = nodes_rig_find(rig, 1000 + i);

		ids[i] = node->id;
		node_add_lookup(rig->nodes, node);
		node_unref(rig->nodes, node);
	}
	nodes_commit_now(rig->nodes);
	check(nodes_count(rig->nodes) == 1 + MANY);
	for (uint64_t i = 0; i < MANY; i++)
		check(nodes_rig_touch(rig, 1000 + i) == ids[i]); /* through every growth */
	for (uint64_t i = 0; i < MANY; i++)
		nodes_forget(rig->nodes, ids[i], 1);
	check(nodes_count(rig->nodes) == 1);
	for (uint64_t i = 0; i < MANY; i += 997)
		check(nodes_rig_touch(rig, 1000 + i) == ids[i]);
	check(nodes_count(rig->nodes) == 1);
}

static void test(const char *dir)
{
	struct nodes_rig rig;

	nodes_rig_begin(&rig, rig_create(dir));
	check(nodes_count(rig.nodes) == 1);
	kernel_counts(&rig);
	forgotten_while_used(&rig);
	many(&rig);
	nodes_rig_end(&rig);
	check(rig_check(dir, NULL) == 0);
}

int main(void)
{
	return scratch_run_in_memory(test);
}
