/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/nodes_rig.h - a node table over a real catalog, without a mount.
 *
 * Files are stood in for by made-up handles (catalog_rig.h).  A committer that cannot write is
 * made with RLIMIT_FSIZE: every write to a file then fails with EFBIG, for the whole process and
 * until it is taken away, and nothing in the product knows of it.
 */
#ifndef TESTS_UNIT_NODES_RIG_H
#define TESTS_UNIT_NODES_RIG_H

#include <signal.h>
#include <sys/resource.h>

#include "fs/nodes.h"
#include "tests/unit/catalog_rig.h"

struct nodes_rig {
	struct catalog *catalog;
	struct slate *slate;
	struct nodes *nodes;
};

static inline void nodes_rig_begin(struct nodes_rig *rig, struct catalog *catalog)
{
	rig->catalog = catalog;
	check(slate_new(-1, &rig->slate, NULL) == 0);
	check(nodes_new(catalog, rig->slate, &rig_who.root, 2, false, &rig->nodes) == 0);
}

/* As a worker that ends; what was promised is committed. */
static inline void nodes_rig_end(struct nodes_rig *rig)
{
	nodes_free(rig->nodes);
	slate_free(rig->slate);
	catalog_close(rig->catalog);
}

static inline struct node *nodes_rig_find(struct nodes_rig *rig, uint64_t inode)
{
	struct handle h = rig_handle(inode);
	struct node *node = NULL;
	char name[64];

	snprintf(name, sizeof name, "file-%llu.vmdk", (unsigned long long)inode);
	check(nodes_find(rig->nodes, &h, inode, false, NODE_ROOT, name, &node) == 0);
	check(node && handle_equal(&node->handle, &h));
	return node;
}

/* Find the file and let go of it again; its id. */
static inline uint64_t nodes_rig_touch(struct nodes_rig *rig, uint64_t inode)
{
	struct node *node = nodes_rig_find(rig, inode);
	uint64_t id = node->id;

	node_unref(rig->nodes, node);
	return id;
}

static inline void nodes_rig_writes_fail(bool fail)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	check(getrlimit(RLIMIT_FSIZE, &limit) == 0);
	limit.rlim_cur = fail ? 0 : limit.rlim_max;
	check(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

/* True as soon as the table holds @count nodes; false after some seconds. */
static inline bool nodes_rig_shrinks_to(struct nodes_rig *rig, size_t count)
{
	for (int i = 0; i < 1000 && nodes_count(rig->nodes) != count; i++)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	return nodes_count(rig->nodes) == count;
}

#endif
