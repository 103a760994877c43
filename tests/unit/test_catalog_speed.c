/* SPDX-License-Identifier: GPL-2.0-or-later */
/* 100,000 nodes are put, found and checked in the time a mount has for it.
 *
 * The limits are loose: they tell a mistake (a commit for each row, a transaction for each lookup)
 * from a busy machine.  The numbers are printed.
 */
#include "base/cleanup.h"
#include "tests/unit/catalog_rig.h"

#define NODES 100000

static void shuffle(uint64_t *inode, size_t n)
{
	for (size_t i = n - 1; i > 0; i--) {
		size_t j = random() % (i + 1);
		uint64_t t = inode[i];

		inode[i] = inode[j];
		inode[j] = t;
	}
}

static void lookups(struct catalog *c, uint64_t first, const uint64_t *inode)
{
	double start = rig_seconds(CLOCK_PROCESS_CPUTIME_ID), middle, end;
	struct catalog_node n;
	uint64_t id;

	for (size_t i = 0; i < NODES; i++) {
		struct handle h = rig_handle(inode[i]);

		check(catalog_find_handle(c, &h, &id) == 0 && id == first + i);
	}
	middle = rig_seconds(CLOCK_PROCESS_CPUTIME_ID);
	for (size_t i = 0; i < NODES; i++)
		check(catalog_find_node(c, first + (i * 7919) % NODES, &n) == 0);
	end = rig_seconds(CLOCK_PROCESS_CPUTIME_ID);
	printf("find_handle %.2f us, find_node %.2f us\n", (middle - start) / NODES * 1e6,
	       (end - middle) / NODES * 1e6);
	check(end - start < 5);
}

static void test(const char *dir)
{
	_cleanup_(freep) struct catalog_node *nodes = calloc(NODES, sizeof *nodes);
	_cleanup_(freep) uint64_t *inode = calloc(NODES, sizeof *inode);
	struct catalog *c = rig_create(dir);
	struct catalog_counts counts;
	double start, cpu;
	uint64_t first;

	check(nodes && inode && catalog_reserve(c, NODES, &first) == 0);
	for (size_t i = 0; i < NODES; i++)
		inode[i] = 1000 + i;
	shuffle(inode, NODES);
	for (size_t i = 0; i < NODES; i++)
		nodes[i] = rig_node(first + i, inode[i]);

	start = rig_seconds(CLOCK_MONOTONIC);
	cpu = rig_seconds(CLOCK_PROCESS_CPUTIME_ID);
	for (size_t i = 0; i < NODES; i += 10000)
		check(catalog_put_nodes(c, nodes + i, 10000) == 0);
	printf("put %d nodes in tens of thousands: %.3f s, %.3f s of CPU\n", NODES,
	       rig_seconds(CLOCK_MONOTONIC) - start, rig_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
	check(rig_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu < 6);
	lookups(c, first, inode);
	check(catalog_count(c, &counts) == 0 && counts.nodes == NODES);
	printf("%.1f MiB\n", counts.bytes / 1048576.0);
	catalog_close(c);

	start = rig_seconds(CLOCK_MONOTONIC);
	check(rig_check(dir, NULL) == 0);
	printf("check: %.1f ms\n", (rig_seconds(CLOCK_MONOTONIC) - start) * 1e3);
	check(rig_seconds(CLOCK_MONOTONIC) - start < 3);
}

int main(void)
{
	return scratch_run(test);
}
