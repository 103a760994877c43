/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/nodes_table.c - see fs/nodes_table.h: nodes by id and by handle, references, hints. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fdcache.h"
#include "fs/nodes_table.h"

#define FIRST_BUCKETS 4096u

/* ---- the two tables ---------------------------------------------------------------------- */

static uint32_t id_bucket(const struct nodes *n, uint64_t id)
{
	return (uint32_t)((id * 0x9e3779b97f4a7c15ull) >> 32) & (n->buckets - 1);
}

static uint32_t handle_bucket(const struct nodes *n, uint64_t hash)
{
	return (uint32_t)(hash ^ (hash >> 32)) & (n->buckets - 1);
}

/* Buckets are a power of two of at least NODES_LOCKS, so a bucket's lock does not depend on growth.
 */
pthread_mutex_t *nodes_id_lock(struct nodes *n, uint64_t id)
{
	return &n->id_locks[id_bucket(n, id) % NODES_LOCKS];
}

struct node *nodes_by_id(struct nodes *n, uint64_t id)
{
	struct node *node = n->by_id[id_bucket(n, id)];

	while (node && node->id != id)
		node = node->next_by_id;
	return node;
}

static struct node *find_by_handle(struct nodes *n, const struct handle *h, uint64_t hash)
{
	struct node *node = n->by_handle[handle_bucket(n, hash)];

	while (node && !handle_equal(&node->handle, h))
		node = node->next_by_handle;
	return node;
}

static void link_node(struct nodes *n, struct node *node, uint64_t hash)
{
	struct node **b = &n->by_handle[handle_bucket(n, hash)];

	node->next_by_handle = *b;
	*b = node;
	b = &n->by_id[id_bucket(n, node->id)];
	node->next_by_id = *b;
	*b = node;
}

static void unlink_node(struct nodes *n, struct node *node, uint64_t hash)
{
	struct node **p = &n->by_handle[handle_bucket(n, hash)];

	while (*p != node)
		p = &(*p)->next_by_handle;
	*p = node->next_by_handle;
	p = &n->by_id[id_bucket(n, node->id)];
	while (*p != node)
		p = &(*p)->next_by_id;
	*p = node->next_by_id;
}

void node_free(struct node *node)
{
	free(node->name);
	free(node->buried);
	fdref_put(node->grave);
	free(node);
}

/* Twice as many buckets when the chains get longer than one and a half on average. */
static void grow(struct nodes *n)
{
	struct node **by_id, **by_handle, **old = n->by_id;
	uint32_t old_buckets = n->buckets;

	by_id = calloc(old_buckets * 2, sizeof *by_id);
	by_handle = calloc(old_buckets * 2, sizeof *by_handle);
	if (!by_id || !by_handle) { /* long chains still work */
		free(by_id);
		free(by_handle);
		return;
	}
	free(n->by_handle);
	n->by_id = by_id;
	n->by_handle = by_handle;
	n->buckets = old_buckets * 2;
	for (uint32_t i = 0; i < old_buckets; i++) {
		for (struct node *node = old[i], *next; node; node = next) {
			next = node->next_by_id;
			link_node(n, node, handle_hash(&node->handle));
		}
	}
	free(old);
}

void nodes_grow(struct nodes *n)
{
	if (n->count < n->buckets + n->buckets / 2)
		return;
	pthread_rwlock_wrlock(&n->table_lock);
	if (n->count >= n->buckets + n->buckets / 2)
		grow(n);
	pthread_rwlock_unlock(&n->table_lock);
}

/* ---- references -------------------------------------------------------------------------- */

struct node *node_ref(struct nodes *n, struct node *node)
{
	pthread_rwlock_rdlock(&n->table_lock);
	pthread_mutex_lock(nodes_id_lock(n, node->id));
	node->references++;
	pthread_mutex_unlock(nodes_id_lock(n, node->id));
	pthread_rwlock_unlock(&n->table_lock);
	return node;
}

static bool unused(const struct node *node)
{
	return node->references == 0 && node->lookups == 0 && node->id != NODE_ROOT;
}

/* Take the node out of the tables unless somebody got hold of it meanwhile. */
static void drop_if_unused(struct nodes *n, uint64_t id, uint64_t hash)
{
	struct node *node;
	pthread_mutex_t *handle_lock;

	pthread_rwlock_rdlock(&n->table_lock);
	handle_lock = &n->handle_locks[handle_bucket(n, hash) % NODES_LOCKS];
	pthread_mutex_lock(handle_lock);
	pthread_mutex_lock(nodes_id_lock(n, id));
	node = nodes_by_id(n, id);
	if (node && unused(node)) {
		unlink_node(n, node, hash);
		n->count--;
	} else {
		node = NULL;
	}
	pthread_mutex_unlock(nodes_id_lock(n, id));
	pthread_mutex_unlock(handle_lock);
	pthread_rwlock_unlock(&n->table_lock);
	if (node)
		node_free(node);
}

void node_unref(struct nodes *n, struct node *node)
{
	uint64_t id, hash;
	bool last;

	if (!node)
		return;
	id = node->id;
	hash = 0;
	pthread_rwlock_rdlock(&n->table_lock);
	pthread_mutex_lock(nodes_id_lock(n, id));
	node->references--;
	last = unused(node);
	if (last)
		hash = handle_hash(&node->handle);
	pthread_mutex_unlock(nodes_id_lock(n, id));
	pthread_rwlock_unlock(&n->table_lock);
	if (last)
		drop_if_unused(n, id, hash);
}

void node_add_lookup(struct nodes *n, struct node *node)
{
	pthread_rwlock_rdlock(&n->table_lock);
	pthread_mutex_lock(nodes_id_lock(n, node->id));
	node->lookups++;
	pthread_mutex_unlock(nodes_id_lock(n, node->id));
	pthread_rwlock_unlock(&n->table_lock);
}

void nodes_forget(struct nodes *n, uint64_t id, uint64_t count)
{
	struct node *node;
	uint64_t hash = 0;
	bool last = false;

	pthread_rwlock_rdlock(&n->table_lock);
	pthread_mutex_lock(nodes_id_lock(n, id));
	node = nodes_by_id(n, id);
	if (node) {
		node->lookups -= MIN(node->lookups, count);
		last = unused(node);
		hash = handle_hash(&node->handle);
	}
	pthread_mutex_unlock(nodes_id_lock(n, id));
	pthread_rwlock_unlock(&n->table_lock);
	if (last)
		drop_if_unused(n, id, hash);
}

/* ---- hints ------------------------------------------------------------------------------- */

void node_set_hints(struct nodes *n, struct node *node, uint64_t parent, const char *name)
{
	char *copy = NULL, *old = NULL;

	pthread_rwlock_rdlock(&n->table_lock);
	pthread_mutex_lock(nodes_id_lock(n, node->id));
	if (node->parent != parent || !node->name || strcmp(node->name, name)) {
		copy = strdup(name);
		if (copy) {
			old = node->name;
			node->name = copy;
			node->parent = parent;
			atomic_fetch_or(&node->flags, NODE_HINTS_NEW);
		}
	}
	pthread_mutex_unlock(nodes_id_lock(n, node->id));
	pthread_rwlock_unlock(&n->table_lock);
	free(old);
}

uint64_t node_parent(struct nodes *n, struct node *node)
{
	uint64_t parent;

	pthread_rwlock_rdlock(&n->table_lock);
	pthread_mutex_lock(nodes_id_lock(n, node->id));
	parent = node->parent;
	pthread_mutex_unlock(nodes_id_lock(n, node->id));
	pthread_rwlock_unlock(&n->table_lock);
	return parent;
}

void node_name(struct nodes *n, struct node *node, char ret[256])
{
	pthread_rwlock_rdlock(&n->table_lock);
	pthread_mutex_lock(nodes_id_lock(n, node->id));
	snprintf(ret, 256, "%s", node->name ? node->name : "");
	pthread_mutex_unlock(nodes_id_lock(n, node->id));
	pthread_rwlock_unlock(&n->table_lock);
}

void node_path(struct nodes *n, struct node *node, char *ret, size_t size)
{
	char path[4096] = "", joined[4096], name[256];
	struct node *at = node_ref(n, node), *parent;

	for (int depth = 0; at && at->id != NODE_ROOT && depth < 64; depth++) {
		node_name(n, at, name);
		snprintf(joined, sizeof joined, "%.255s%s%.3800s", *name ? name : "?",
			 *path ? "/" : "", path);
		memcpy(path, joined, sizeof path);
		if (nodes_get(n, node_parent(n, at), &parent) < 0)
			parent = NULL;
		node_unref(n, at);
		at = parent;
	}
	node_unref(n, at);
	snprintf(ret, size, "%s", *path ? path : ".");
}

/* ---- making and finding ------------------------------------------------------------------ */

struct node *node_make(uint64_t id, const struct handle *h, uint64_t ino, bool directory,
			      uint64_t parent, const char *name)
{
	_cleanup_(freep) struct node *node = calloc(1, sizeof *node);

	if (!node)
		return NULL;
	node->name = strdup(name);
	if (!node->name)
		return NULL;
	node->id = id;
	node->ino = ino;
	node->handle = *h;
	node->parent = parent;
	node->flags = directory ? NODE_DIRECTORY : 0;
	node->references = 1;
	return TAKE_PTR(node);
}

/* Insert @node, or find that somebody else has inserted its twin: then that one is returned with
 * a reference, and *node is left to the caller. */
struct node *nodes_insert(struct nodes *n, struct node **node, uint64_t hash)
{
	pthread_mutex_t *handle_lock;
	struct node *found;

	pthread_rwlock_rdlock(&n->table_lock);
	handle_lock = &n->handle_locks[handle_bucket(n, hash) % NODES_LOCKS];
	pthread_mutex_lock(handle_lock);
	found = find_by_handle(n, &(*node)->handle, hash);
	if (found) {
		pthread_mutex_lock(nodes_id_lock(n, found->id));
		found->references++;
		pthread_mutex_unlock(nodes_id_lock(n, found->id));
	} else {
		pthread_mutex_lock(nodes_id_lock(n, (*node)->id));
		link_node(n, *node, hash);
		pthread_mutex_unlock(nodes_id_lock(n, (*node)->id));
		n->count++;
		found = TAKE_PTR(*node);
	}
	pthread_mutex_unlock(handle_lock);
	pthread_rwlock_unlock(&n->table_lock);
	return found;
}

struct node *nodes_by_handle(struct nodes *n, const struct handle *h, uint64_t hash)
{
	pthread_mutex_t *handle_lock;
	struct node *found;

	pthread_rwlock_rdlock(&n->table_lock);
	handle_lock = &n->handle_locks[handle_bucket(n, hash) % NODES_LOCKS];
	pthread_mutex_lock(handle_lock);
	found = find_by_handle(n, h, hash);
	if (found) {
		pthread_mutex_lock(nodes_id_lock(n, found->id));
		found->references++;
		pthread_mutex_unlock(nodes_id_lock(n, found->id));
	}
	pthread_mutex_unlock(handle_lock);
	pthread_rwlock_unlock(&n->table_lock);
	return found;
}

/* ---- life -------------------------------------------------------------------------------- */

int nodes_table_new(struct nodes *n)
{
	pthread_rwlock_init(&n->table_lock, NULL);
	for (unsigned i = 0; i < NODES_LOCKS; i++) {
		pthread_mutex_init(&n->handle_locks[i], NULL);
		pthread_mutex_init(&n->id_locks[i], NULL);
	}
	n->buckets = FIRST_BUCKETS;
	n->by_id = calloc(n->buckets, sizeof(struct node *));
	n->by_handle = calloc(n->buckets, sizeof(struct node *));
	return n->by_id && n->by_handle ? 0 : -ENOMEM;
}

void nodes_table_free(struct nodes *n)
{
	for (uint32_t i = 0; n->by_id && i < n->buckets; i++)
		for (struct node *node = n->by_id[i], *next; node; node = next) {
			next = node->next_by_id;
			node_free(node);
		}
	free(n->by_id);
	free(n->by_handle);
}
