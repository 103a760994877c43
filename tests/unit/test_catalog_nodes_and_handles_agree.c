/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whatever is put, replaced, exchanged or deleted: nodes and handles stay inverse. */
#include "tests/unit/catalog_rig.h"

static void put(struct catalog *c, const struct catalog_node *nodes, size_t n)
{
	check(catalog_put_nodes(c, nodes, n) == 0);
}

static void single_changes(struct catalog *c)
{
	uint64_t a = rig_add(c, 100), b = rig_add(c, 200), fresh;
	struct catalog_node n, gone = {.id = b};

	check(rig_is(c, a, 100) && rig_is(c, b, 200));

	n = rig_node(a, 101); /* an id gets another handle */
	put(c, &n, 1);
	check(rig_is(c, a, 101) && rig_no_handle(c, 100));

	check(catalog_reserve(c, 1, &fresh) == 0);
	n = rig_node(fresh, 101); /* a handle gets another id */
	put(c, &n, 1);
	check(rig_is(c, fresh, 101) && rig_no_node(c, a));

	put(c, &gone, 1);
	check(rig_no_node(c, b) && rig_no_handle(c, 200));
	put(c, &gone, 1); /* deleting what is not there is fine */

	snprintf(n.name, sizeof n.name, "renamed");
	n.parent = 12;
	put(c, &n, 1);
	check(catalog_find_node(c, fresh, &n) == 0);
	check(strcmp(n.name, "renamed") == 0 && n.parent == 12 && rig_is(c, fresh, 101));
}

static void batches(struct catalog *c)
{
	uint64_t first = rig_add_many(c, 1000, 10), fresh;
	struct catalog_node n[4];

	/* Two ids exchange their handles. */
	n[0] = rig_node(first, 1001);
	n[1] = rig_node(first + 1, 1000);
	put(c, n, 2);
	check(rig_is(c, first, 1001) && rig_is(c, first + 1, 1000));

	/* The last of two with one id, and of two with one handle, counts. */
	check(catalog_reserve(c, 2, &fresh) == 0);
	n[0] = rig_node(fresh, 2000);
	n[1] = rig_node(fresh, 2001);
	n[2] = rig_node(first + 2, 2002);
	n[3] = rig_node(fresh + 1, 2002);
	put(c, n, 4);
	check(rig_is(c, fresh, 2001) && rig_no_handle(c, 2000));
	check(rig_is(c, fresh + 1, 2002) && rig_no_node(c, first + 2) && rig_no_handle(c, 1002));

	/* An id is deleted and its handle given to another one, in either order. */
	n[0] = (struct catalog_node){.id = first + 3};
	n[1] = rig_node(first + 4, 1003);
	put(c, n, 2);
	check(rig_is(c, first + 4, 1003) && rig_no_node(c, first + 3) && rig_no_handle(c, 1004));
	n[0] = rig_node(first + 5, 1006);
	n[1] = (struct catalog_node){.id = first + 6};
	put(c, n, 2);
	check(rig_is(c, first + 5, 1006) && rig_no_node(c, first + 6) && rig_no_handle(c, 1005));
}

static void refusals(struct catalog *c)
{
	struct catalog_node n[2];
	uint64_t fresh;

	check(catalog_reserve(c, 1, &fresh) == 0);
	n[0] = rig_node(fresh, 5000);
	n[1] = rig_node(fresh + 1, 5001); /* never reserved: the good one is not put either */
	check(catalog_put_nodes(c, n, 2) == -EINVAL);
	check(rig_no_node(c, fresh) && rig_no_handle(c, 5000));
	n[1] = rig_node(fresh + (UINT64_C(1) << CATALOG_ID_BITS), 5001); /* another incarnation */
	check(catalog_put_nodes(c, n, 2) == -EINVAL);
	n[1] = rig_node(0, 5001);
	check(catalog_put_nodes(c, n, 2) == -EINVAL);
	n[1] = rig_node(CATALOG_ID_ROOT, 2);
	check(catalog_put_nodes(c, n, 2) == 0);
	check(rig_is(c, CATALOG_ID_ROOT, 2));
	check(catalog_put_nodes(c, NULL, 0) == 0);
	memset(n[0].name, 'x', sizeof n[0].name); /* without an end */
	check(catalog_put_nodes(c, n, 1) == -EINVAL);
	n[0].name[CATALOG_NAME_MAX] = '\0';
	check(catalog_put_nodes(c, n, 1) == 0);
	check(catalog_find_node(c, fresh, &n[1]) == 0);
	check(strcmp(n[0].name, n[1].name) == 0);
}

enum { IDS = 300, INODES = 400, ROUNDS = 400, BATCH = 8 };

/* A batch in which nothing is twice, and what the model (id -> inode, 0: none) says after it. */
static size_t random_batch(struct catalog_node *n, uint64_t first, uint64_t *model)
{
	bool id_used[IDS] = {0}, inode_used[INODES + 1] = {0};
	size_t count = 0;

	for (size_t i = 0; i < BATCH; i++) {
		uint64_t id = random() % IDS, inode = 1 + random() % INODES;

		if (random() % 4 == 0)
			inode = 0;
		if (id_used[id] || (inode && inode_used[inode]))
			continue;
		id_used[id] = inode_used[inode] = true;
		n[count] = inode ? rig_node(first + id, 90000 + inode)
				 : (struct catalog_node){.id = first + id};
		count++;
		for (size_t k = 0; k < IDS && inode; k++)
			if (model[k] == inode && !id_used[k])
				model[k] = 0;
		model[id] = inode;
	}
	return count;
}

static void random_batches(struct catalog *c, const char *dir)
{
	uint64_t model[IDS] = {0}, first;
	struct catalog_node n[BATCH];

	check(catalog_reserve(c, IDS, &first) == 0);
	for (int round = 0; round < ROUNDS; round++) {
		put(c, n, random_batch(n, first, model));
		if (round % 50 == 0)
			check(rig_check(dir, NULL) == 0);
	}
	for (uint64_t i = 0; i < IDS; i++)
		check(model[i] ? rig_is(c, first + i, 90000 + model[i])
			       : rig_no_node(c, first + i));
}

static void test(const char *dir)
{
	struct catalog *c = rig_create(dir);

	single_changes(c);
	batches(c);
	refusals(c);
	random_batches(c, dir);
	catalog_close(c);
	check(rig_check(dir, NULL) == 0);
}

int main(void)
{
	return scratch_run(test);
}
