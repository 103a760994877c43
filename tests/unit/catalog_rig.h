/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/catalog_rig.h - handles, nodes and an open catalog for the catalog's tests. */
#ifndef TESTS_UNIT_CATALOG_RIG_H
#define TESTS_UNIT_CATALOG_RIG_H

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/catalog.h"
#include "tests/unit/check.h"
#include "tests/unit/scratch.h"

static const struct catalog_identity rig_who __attribute__((unused)) = {
	.fs_uuid = {1, 2, 3, 4}, .root = {.type = 1, .len = 8, .data = {2}}};

/* A stand-in for an ext4 handle: inode and generation. */
static inline struct handle rig_handle(uint64_t inode)
{
	struct handle h = {.type = 1, .len = 8};
	uint32_t n[2] = {(uint32_t)inode, (uint32_t)(inode * 2654435761u)};

	memcpy(h.data, n, sizeof n);
	return h;
}

static inline struct catalog_node rig_node(uint64_t id, uint64_t inode)
{
	struct catalog_node n = {.id = id, .parent = 1, .handle = rig_handle(inode)};

	snprintf(n.name, sizeof n.name, "file-%llu.vmdk", (unsigned long long)inode);
	return n;
}

static inline struct catalog *rig_open(const char *dir)
{
	struct catalog *c = NULL;

	check(catalog_open(dir, &rig_who, &c) == 0);
	return c;
}

static inline struct catalog *rig_create(const char *dir)
{
	check(catalog_create(dir, &rig_who, 7) == 0);
	return rig_open(dir);
}

/* A new id for the file @inode, in the catalog. */
static inline uint64_t rig_add(struct catalog *c, uint64_t inode)
{
	struct catalog_node n = rig_node(0, inode);

	check(catalog_reserve(c, 1, &n.id) == 0);
	check(catalog_put_nodes(c, &n, 1) == 0);
	return n.id;
}

/* @n new nodes in one batch; the first id. */
static inline uint64_t rig_add_many(struct catalog *c, uint64_t inode, size_t n)
{
	struct catalog_node *nodes = calloc(n, sizeof *nodes);
	uint64_t first;

	check(nodes && catalog_reserve(c, n, &first) == 0);
	for (size_t i = 0; i < n; i++)
		nodes[i] = rig_node(first + i, inode + i);
	check(catalog_put_nodes(c, nodes, n) == 0);
	free(nodes);
	return first;
}

/* The two tables say that @id and @inode belong together. */
static inline bool rig_is(struct catalog *c, uint64_t id, uint64_t inode)
{
	struct handle h = rig_handle(inode);
	struct catalog_node n;
	uint64_t found;

	return catalog_find_handle(c, &h, &found) == 0 && found == id &&
	       catalog_find_node(c, id, &n) == 0 && n.id == id &&
	       memcmp(&n.handle, &h, sizeof h) == 0;
}

static inline bool rig_no_handle(struct catalog *c, uint64_t inode)
{
	struct handle h = rig_handle(inode);
	uint64_t id;

	return catalog_find_handle(c, &h, &id) == -ENOENT;
}

static inline bool rig_no_node(struct catalog *c, uint64_t id)
{
	struct catalog_node n;

	return catalog_find_node(c, id, &n) == -ENOENT;
}

/* The check's result; what it says goes to @ret_why (200 bytes) if not NULL. */
static inline int rig_check(const char *dir, char *ret_why)
{
	char *why = NULL;
	int r = catalog_check_in_child(dir, &rig_who, &why);

	if (ret_why)
		snprintf(ret_why, 200, "%s", why ? why : "");
	check((r == 0) == (why == NULL));
	free(why);
	return r;
}

static inline double rig_seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

#endif
