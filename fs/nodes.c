/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/nodes.c - see fs/nodes.h: finding nodes, and what becomes of them. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fdcache.h"
#include "fs/nodes_table.h"

/* ---- finding ----------------------------------------------------------------------------- */

struct node *nodes_known(struct nodes *n, const struct handle *h)
{
	return nodes_by_handle(n, h, handle_hash(h));
}

/* Another thread has just found the file, too: the kernel must not hear of its id before it is in
 * the slate.  That thread may wait for room there; promised twice does no harm. */
static void promise_if_fresh(struct nodes *n, struct node *node)
{
	if (atomic_load(&node->flags) & NODE_FRESH)
		node_promise(n, node, false);
}

int nodes_find(struct nodes *n, const struct handle *h, uint64_t ino, bool directory,
	       uint64_t parent, const char *name, struct node **ret)
{
	uint64_t hash = handle_hash(h), id = 0;
	struct node *node, *found;
	bool fresh = false;
	int r;

	found = nodes_by_handle(n, h, hash);
	if (found) {
		promise_if_fresh(n, found);
		node_seen(n, found, parent, name);
		*ret = found;
		return 0;
	}
	r = catalog_find_handle(n->catalog, h, &id);
	if (r == -ENOENT || r == -EUCLEAN) {
		r = nodes_new_id(n, &id);
		fresh = true;
	}
	if (r < 0)
		return r;
	node = node_make(id, h, ino, directory, parent, name);
	if (!node)
		return -ENOMEM;
	if (fresh)
		node->flags |= NODE_FRESH;
	found = nodes_insert(n, &node, hash);
	if (node) { /* somebody was quicker; a fresh id is lost, there are enough */
		node_free(node);
		promise_if_fresh(n, found);
	} else if (fresh) {
		node_promise(n, found, false);
		atomic_fetch_and(&found->flags, ~(uint32_t)NODE_FRESH);
	}
	nodes_grow(n);
	*ret = found;
	return 0;
}

/* Removed in the time of a worker before us, but somebody still has it by path: all that can be
 * said of it is its epitaph.  No file has such a handle. */
static bool find_lost(struct nodes *n, uint64_t id, struct catalog_node *ret)
{
	struct stat st;

	if (!n->resumed || !slate_epitaph(n->slate, id, &st))
		return false;
	*ret = (struct catalog_node){.id = id, .handle = {.type = -1, .len = sizeof id}};
	memcpy(ret->handle.data, &id, sizeof id);
	return true;
}

/* An id that is not in memory: the kernel kept it over our restart, or an NFS client did. */
static int revive(struct nodes *n, uint64_t id, struct node **ret)
{
	struct catalog_node row;
	struct node *node, *found;
	int r = catalog_find_node(n->catalog, id, &row);

	if (r < 0 && !find_lost(n, id, &row))
		return r == -ENOENT || r == -EUCLEAN ? -ESTALE : r;
	node = node_make(id, &row.handle, 0, false, row.parent, row.name);
	if (!node)
		return -ENOMEM;
	if (row.handle.type < 0)
		node->flags |= NODE_GONE | NODE_LOST;
	/* The kernel counted lookups that we did not see; one will do, as a FORGET takes away what
	 * there is.  Without it the node would be made anew for every request. */
	node->lookups = n->resumed;
	found = nodes_insert(n, &node, handle_hash(&row.handle));
	if (node)
		node_free(node);
	if (found->id != id) { /* the file has another id by now */
		node_unref(n, found);
		return -ESTALE;
	}
	*ret = found;
	return 0;
}

int nodes_get(struct nodes *n, uint64_t id, struct node **ret)
{
	struct node *node;

	pthread_rwlock_rdlock(&n->table_lock);
	pthread_mutex_lock(nodes_id_lock(n, id));
	node = nodes_by_id(n, id);
	if (node)
		node->references++;
	pthread_mutex_unlock(nodes_id_lock(n, id));
	pthread_rwlock_unlock(&n->table_lock);
	if (!node)
		return revive(n, id, ret);
	*ret = node;
	return 0;
}

void node_seen(struct nodes *n, struct node *node, uint64_t parent, const char *name)
{
	node_set_hints(n, node, parent, name);
	/* Somebody linked it again behind us. */
	if (atomic_load(&node->flags) & NODE_GONE) {
		atomic_fetch_and(&node->flags, ~(uint32_t)NODE_GONE);
		node_promise(n, node, false);
	}
}

void node_moved(struct nodes *n, struct node *node, uint64_t parent, const char *name)
{
	node_set_hints(n, node, parent, name);
	node_promise(n, node, false);
}

void node_keep_hints(struct nodes *n, struct node *node)
{
	if (atomic_load(&node->flags) & NODE_HINTS_NEW)
		node_promise(n, node, false);
}

/* When it was the name we had, the one that was promised before may be there yet. */
void node_lost_name(struct nodes *n, struct node *node, uint64_t parent, const char *name)
{
	struct catalog_node row;
	char hint[256];

	node_name(n, node, hint);
	if (node_parent(n, node) != parent || strcmp(hint, name))
		node_keep_hints(n, node);
	else if (slate_node_find(n->slate, node->id, &row) ||
		 catalog_find_node(n->catalog, node->id, &row) == 0)
		node_set_hints(n, node, row.parent, row.name);
}

void node_gone(struct nodes *n, struct node *node)
{
	if (atomic_fetch_or(&node->flags, NODE_GONE) & NODE_GONE)
		return;
	node_promise(n, node, true);
}

void node_bury(struct nodes *n, struct node *node, const struct stat *st)
{
	struct stat *copy = malloc(sizeof *copy);

	if (!copy)
		return; /* then they get ESTALE */
	*copy = *st;
	slate_bury(n->slate, node->id, st);
	pthread_rwlock_rdlock(&n->table_lock);
	pthread_mutex_lock(nodes_id_lock(n, node->id));
	if (!node->buried)
		node->buried = TAKE_PTR(copy);
	pthread_mutex_unlock(nodes_id_lock(n, node->id));
	pthread_rwlock_unlock(&n->table_lock);
	free(copy);
}

void node_keep_open(struct nodes *n, struct node *node, struct fdref *ref)
{
	pthread_rwlock_rdlock(&n->table_lock);
	pthread_mutex_lock(nodes_id_lock(n, node->id));
	if (!node->grave)
		node->grave = TAKE_PTR(ref);
	pthread_mutex_unlock(nodes_id_lock(n, node->id));
	pthread_rwlock_unlock(&n->table_lock);
	fdref_put(ref);
}

int node_epitaph(struct nodes *n, struct node *node, struct stat *ret)
{
	int r = -ENOENT;

	pthread_rwlock_rdlock(&n->table_lock);
	pthread_mutex_lock(nodes_id_lock(n, node->id));
	if (node->buried) {
		*ret = *node->buried;
		r = 0;
	}
	pthread_mutex_unlock(nodes_id_lock(n, node->id));
	pthread_rwlock_unlock(&n->table_lock);
	if (r < 0 && (node->flags & NODE_GONE) && slate_epitaph(n->slate, node->id, ret))
		r = 0;
	return r;
}

size_t nodes_count(struct nodes *n)
{
	return n->count;
}

/* ---- life -------------------------------------------------------------------------------- */

static void free_memory(struct nodes *n)
{
	nodes_table_free(n);
	free(n->rows);
	free(n->slots);
	free(n);
}

static int add_root(struct nodes *n, const struct handle *root, uint64_t root_ino)
{
	struct node *node = node_make(NODE_ROOT, root, root_ino, true, 0, "");

	if (!node)
		return -ENOMEM;
	n->root = nodes_insert(n, &node, handle_hash(root));
	return 0;
}

int nodes_new(struct catalog *catalog, struct slate *slate, const struct handle *root,
	      uint64_t root_ino, bool resumed, struct nodes **ret)
{
	struct nodes *n = calloc(1, sizeof *n);
	int r;

	if (!n)
		return -ENOMEM;
	n->catalog = catalog;
	n->slate = slate;
	n->resumed = resumed;
	r = nodes_table_new(n);
	if (r == 0)
		r = add_root(n, root, root_ino);
	if (r == 0 && resumed)
		nodes_restore(n);
	if (r == 0)
		r = nodes_committer_start(n);
	if (r < 0) {
		free_memory(n);
		return r;
	}
	*ret = n;
	return 0;
}

void nodes_free(struct nodes *n)
{
	if (!n)
		return;
	nodes_committer_stop(n);
	free_memory(n);
}
