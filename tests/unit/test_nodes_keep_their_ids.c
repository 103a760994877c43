/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file has one id for ever: while it is known, after it was forgotten, over a restart.  An id
 * that names no file any more is ESTALE, and is not given to another one. */
#include "tests/unit/nodes_rig.h"

static bool is_stale(struct nodes_rig *rig, uint64_t id)
{
	struct node *node = NULL;
	int r = nodes_get(rig->nodes, id, &node);

	check(r == 0 || (r == -ESTALE && !node));
	node_unref(rig->nodes, node);
	return r < 0;
}

static void same_file_same_node(struct nodes_rig *rig)
{
	struct node *a = nodes_rig_find(rig, 10), *b = nodes_rig_find(rig, 10), *c;
	struct handle h = rig_handle(10), stranger = rig_handle(999);

	check(a == b && a->id != nodes_rig_touch(rig, 11));
	check(nodes_get(rig->nodes, a->id, &c) == 0 && c == a);
	node_unref(rig->nodes, c);
	c = nodes_known(rig->nodes, &h);
	check(c == a);
	node_unref(rig->nodes, c);
	check(!nodes_known(rig->nodes, &stranger));
	node_unref(rig->nodes, a);
	node_unref(rig->nodes, b);
}

static void root_is_one(struct nodes_rig *rig)
{
	struct node *root, *found;

	check(nodes_get(rig->nodes, NODE_ROOT, &root) == 0 && root->id == 1);
	check(nodes_find(rig->nodes, &rig_who.root, 2, true, 0, "", &found) == 0 && found == root);
	node_unref(rig->nodes, found);
	node_unref(rig->nodes, root);
	nodes_forget(rig->nodes, NODE_ROOT, 1000);
	check(nodes_get(rig->nodes, NODE_ROOT, &found) == 0 && found == root);
	node_unref(rig->nodes, found);
}

static void hints(struct nodes_rig *rig)
{
	struct node *dir = nodes_rig_find(rig, 20), *file = nodes_rig_find(rig, 21);
	char path[64], name[256];

	node_moved(rig->nodes, dir, NODE_ROOT, "vm1");
	node_moved(rig->nodes, file, dir->id, "vm1.vmdk");
	node_path(rig->nodes, file, path, sizeof path);
	node_name(rig->nodes, file, name);
	check(!strcmp(path, "vm1/vm1.vmdk") && !strcmp(name, "vm1.vmdk"));
	check(node_parent(rig->nodes, file) == dir->id);
	node_unref(rig->nodes, file);
	node_unref(rig->nodes, dir);
}

/* Known only to the catalog: found by handle, and by an id that an NFS client kept. */
static void after_restart(struct nodes_rig *rig, uint64_t by_handle, uint64_t by_id)
{
	struct node *node;
	char name[256];

	check(nodes_count(rig->nodes) == 1);
	check(nodes_rig_touch(rig, 10) == by_handle);
	check(nodes_get(rig->nodes, by_id, &node) == 0);
	node_name(rig->nodes, node, name);
	check(!strcmp(name, "file-11.vmdk") && node_parent(rig->nodes, node) == NODE_ROOT);
	check(nodes_rig_touch(rig, 11) == by_id);
	node_unref(rig->nodes, node);
	check(nodes_rig_touch(rig, 12) > by_id); /* a new file: no id comes twice */
}

static void gone(struct nodes_rig *rig, uint64_t id)
{
	struct stat buried = {.st_ino = 77}, found;
	struct node *node = nodes_rig_find(rig, 10);

	check(node_epitaph(rig->nodes, node, &found) == -ENOENT);
	node_gone(rig->nodes, node);
	node_gone(rig->nodes, node);
	node_bury(rig->nodes, node, &buried);
	nodes_commit_now(rig->nodes);
	check(node_epitaph(rig->nodes, node, &found) == 0 && found.st_ino == 77);
	check(!is_stale(rig, id)); /* somebody holds it */
	node_unref(rig->nodes, node);
	check(is_stale(rig, id));
	check(rig_no_handle(rig->catalog, 10) && rig_no_node(rig->catalog, id));
	check(nodes_rig_touch(rig, 10) != id); /* the inode's next file */
	check(is_stale(rig, id));
}

/* Its last name went, and somebody made another one behind us: it is the same file again. */
static void seen_again(struct nodes_rig *rig, uint64_t id)
{
	struct node *node = nodes_rig_find(rig, 11);

	node_gone(rig->nodes, node);
	node_seen(rig->nodes, node, NODE_ROOT, "other");
	node_unref(rig->nodes, node);
	nodes_commit_now(rig->nodes);
	check(rig_is(rig->catalog, id, 11) && nodes_rig_touch(rig, 11) == id);
}

/* A row that lies: its handle is that of a file with another id.  Never the other file. */
static void lying_row(struct nodes_rig *rig)
{
	struct node *node = nodes_rig_find(rig, 40);
	struct catalog_node row = rig_node(0, 40);

	check(catalog_reserve(rig->catalog, 1, &row.id) == 0);
	check(catalog_put_nodes(rig->catalog, &row, 1) == 0 && row.id != node->id);
	check(is_stale(rig, row.id));
	check(!is_stale(rig, node->id));
	node_unref(rig->nodes, node);
}

static void test(const char *dir)
{
	struct nodes_rig rig;
	uint64_t a, b;

	nodes_rig_begin(&rig, rig_create(dir));
	same_file_same_node(&rig);
	root_is_one(&rig);
	hints(&rig);
	a = nodes_rig_touch(&rig, 10);
	b = nodes_rig_touch(&rig, 11);
	check(is_stale(&rig, 0) && is_stale(&rig, b + 100000) && is_stale(&rig, UINT64_MAX));
	nodes_rig_end(&rig);

	check(rig_check(dir, NULL) == 0);
	nodes_rig_begin(&rig, rig_open(dir));
	after_restart(&rig, a, b);
	gone(&rig, a);
	seen_again(&rig, b);
	lying_row(&rig);
	nodes_rig_end(&rig);

	check(rig_check(dir, NULL) == 0);
	nodes_rig_begin(&rig, rig_open(dir));
	check(is_stale(&rig, a) && nodes_rig_touch(&rig, 11) == b);
	nodes_rig_end(&rig);
}

int main(void)
{
	return scratch_run_in_memory(test);
}
