/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lookups and changes from many threads at once, while the map grows under them. */
#include <pthread.h>
#include <stdatomic.h>

#include "base/catalog_internal.h"
#include "base/cleanup.h"
#include "tests/unit/catalog_rig.h"

#define READERS 6
#define WRITERS 2
#define ROUNDS	25
#define BATCH	200

struct rig {
	struct catalog *c;
	_Atomic int writing;
	_Atomic uint64_t ids; /* sum of all reserved ones: each exactly once */
	uint64_t first;
};

static void *reader(void *data)
{
	struct rig *rig = data;
	unsigned found = 0;

	while (atomic_load(&rig->writing))
		for (uint64_t i = 0; i < 100; i++)
			found += rig_is(rig->c, rig->first + i, 10 + i);
	check(found % 100 == 0); /* each time all of them */
	return NULL;
}

static void *writer(void *data)
{
	struct rig *rig = data;

	for (int i = 0; i < ROUNDS; i++) {
		struct catalog_node n[BATCH];
		uint64_t first;

		check(catalog_reserve(rig->c, BATCH, &first) == 0);
		for (int k = 0; k < BATCH; k++) {
			n[k] = rig_node(first + k, 1000 + first + k);
			atomic_fetch_add(&rig->ids, first + k);
		}
		check(catalog_put_nodes(rig->c, n, BATCH) == 0);
	}
	atomic_fetch_sub(&rig->writing, 1);
	return NULL;
}

static void test(const char *dir)
{
	enum { TOTAL = WRITERS * ROUNDS * BATCH };
	pthread_t thread[READERS + WRITERS];
	struct rig rig = {.writing = WRITERS};
	struct catalog_counts counts;
	uint64_t base, after;

	check(catalog_create(dir, &rig_who, 7) == 0);
	/* The smallest map there is: it has to grow again and again. */
	check(catalog_open_sized(dir, &rig_who, 1, CATALOG_MAP_BYTES_MAX, &rig.c) == 0);
	rig.first = rig_add_many(rig.c, 10, 100);
	base = rig.first + 100;
	for (size_t i = 0; i < ARRAY_SIZE(thread); i++)
		check(!pthread_create(&thread[i], NULL, i < WRITERS ? writer : reader, &rig));
	for (size_t i = 0; i < ARRAY_SIZE(thread); i++)
		check(!pthread_join(thread[i], NULL));

	check(rig.ids == TOTAL * base + (uint64_t)TOTAL * (TOTAL - 1) / 2);
	check(catalog_reserve(rig.c, 1, &after) == 0 && after == base + TOTAL);
	check(catalog_count(rig.c, &counts) == 0 && counts.nodes == 100 + TOTAL);
	catalog_close(rig.c);
	check(rig_check(dir, NULL) == 0);
}

int main(void)
{
	return scratch_run(test);
}
