/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/nodes.c - see fs/nodes.h. */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/fdcache.h"
#include "base/log.h"
#include "fs/nodes.h"

#define COMMIT_BATCH   8192
#define COMMIT_HURRY   4096          /* promises that wake the committer early */
#define ID_RESERVATION (1ull << 20)  /* ids reserved durably at a time */
#define FIRST_BUCKETS  4096u
#define LOCKS          64u

/* Two hash tables with chains through the nodes.  The tables grow as a whole: growth takes the
 * table lock for writing, everything else for reading, then a bucket lock. */
struct nodes {
	struct catalog *catalog;
	struct slate *slate;
	struct node *root;

	pthread_rwlock_t table_lock; /* first: protects the arrays themselves */
	pthread_mutex_t handle_locks[LOCKS]; /* second: chains by handle */
	pthread_mutex_t id_locks[LOCKS];     /* third: chains by id, references, hints */
	struct node **by_id, **by_handle;
	_Atomic uint32_t buckets; /* changes under table_lock alone; a glance needs no lock */
	_Atomic size_t count;
	bool resumed; /* the kernel knows nodes that we do not */

	pthread_mutex_t ids_lock; /* protects next_id and end_id; held over a reservation, which
				     is rare and must not be done twice */
	uint64_t next_id, end_id; /* also in the slate, for the next worker */

	struct catalog_node *rows; /* the committer's, of COMMIT_BATCH */
	uint32_t *slots;
	pthread_t committer;
	pthread_mutex_t commit_lock; /* protects stop, hurry, commits */
	pthread_cond_t commit_wake, commit_done;
	bool stop, hurry;
	_Atomic bool failing; /* commits do not work at present */
	_Atomic bool unpromised; /* a node may be flagged so */
	uint64_t commits_begun, commits_done;
};

/* ---- the two tables ---------------------------------------------------------------------- */

static uint32_t id_bucket(const struct nodes *n, uint64_t id)
{
	return (uint32_t)((id * 0x9e3779b97f4a7c15ull) >> 32) & (n->buckets - 1);
}

static uint32_t handle_bucket(const struct nodes *n, uint64_t hash)
{
	return (uint32_t)(hash ^ (hash >> 32)) & (n->buckets - 1);
}

/* Buckets are a power of two of at least LOCKS, so a bucket's lock does not depend on growth. */
static pthread_mutex_t *id_lock(struct nodes *n, uint64_t id)
{
	return &n->id_locks[id_bucket(n, id) % LOCKS];
}

static struct node *find_by_id(struct nodes *n, uint64_t id)
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

static void free_node(struct node *node)
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

static void grow_if_full(struct nodes *n)
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
	pthread_mutex_lock(id_lock(n, node->id));
	node->references++;
	pthread_mutex_unlock(id_lock(n, node->id));
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
	handle_lock = &n->handle_locks[handle_bucket(n, hash) % LOCKS];
	pthread_mutex_lock(handle_lock);
	pthread_mutex_lock(id_lock(n, id));
	node = find_by_id(n, id);
	if (node && unused(node)) {
		unlink_node(n, node, hash);
		n->count--;
	} else {
		node = NULL;
	}
	pthread_mutex_unlock(id_lock(n, id));
	pthread_mutex_unlock(handle_lock);
	pthread_rwlock_unlock(&n->table_lock);
	if (node)
		free_node(node);
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
	pthread_mutex_lock(id_lock(n, id));
	node->references--;
	last = unused(node);
	if (last)
		hash = handle_hash(&node->handle);
	pthread_mutex_unlock(id_lock(n, id));
	pthread_rwlock_unlock(&n->table_lock);
	if (last)
		drop_if_unused(n, id, hash);
}

void node_add_lookup(struct nodes *n, struct node *node)
{
	pthread_rwlock_rdlock(&n->table_lock);
	pthread_mutex_lock(id_lock(n, node->id));
	node->lookups++;
	pthread_mutex_unlock(id_lock(n, node->id));
	pthread_rwlock_unlock(&n->table_lock);
}

void nodes_forget(struct nodes *n, uint64_t id, uint64_t count)
{
	struct node *node;
	uint64_t hash = 0;
	bool last = false;

	pthread_rwlock_rdlock(&n->table_lock);
	pthread_mutex_lock(id_lock(n, id));
	node = find_by_id(n, id);
	if (node) {
		node->lookups -= MIN(node->lookups, count);
		last = unused(node);
		hash = handle_hash(&node->handle);
	}
	pthread_mutex_unlock(id_lock(n, id));
	pthread_rwlock_unlock(&n->table_lock);
	if (last)
		drop_if_unused(n, id, hash);
}

/* ---- hints ------------------------------------------------------------------------------- */

static void set_hint(struct nodes *n, struct node *node, uint64_t parent, const char *name)
{
	char *copy = NULL, *old = NULL;

	pthread_rwlock_rdlock(&n->table_lock);
	pthread_mutex_lock(id_lock(n, node->id));
	if (node->parent != parent || !node->name || strcmp(node->name, name)) {
		copy = strdup(name);
		if (copy) {
			old = node->name;
			node->name = copy;
			node->parent = parent;
			atomic_fetch_or(&node->flags, NODE_HINTS_NEW);
		}
	}
	pthread_mutex_unlock(id_lock(n, node->id));
	pthread_rwlock_unlock(&n->table_lock);
	free(old);
}

uint64_t node_parent(struct nodes *n, struct node *node)
{
	uint64_t parent;

	pthread_rwlock_rdlock(&n->table_lock);
	pthread_mutex_lock(id_lock(n, node->id));
	parent = node->parent;
	pthread_mutex_unlock(id_lock(n, node->id));
	pthread_rwlock_unlock(&n->table_lock);
	return parent;
}

void node_name(struct nodes *n, struct node *node, char ret[256])
{
	pthread_rwlock_rdlock(&n->table_lock);
	pthread_mutex_lock(id_lock(n, node->id));
	snprintf(ret, 256, "%s", node->name ? node->name : "");
	pthread_mutex_unlock(id_lock(n, node->id));
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

/* ---- finding ----------------------------------------------------------------------------- */

static int new_id(struct nodes *n, uint64_t *ret)
{
	int r = 0;

	LOCKED(&n->ids_lock);
	if (n->next_id == n->end_id) {
		r = catalog_reserve(n->catalog, ID_RESERVATION, &n->next_id);
		if (r < 0)
			return r;
		n->end_id = n->next_id + ID_RESERVATION;
	}
	*ret = n->next_id++;
	slate_ids_set(n->slate, n->next_id, n->end_id);
	return 0;
}

static struct node *make_node(uint64_t id, const struct handle *h, uint64_t ino, bool directory,
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
static struct node *insert(struct nodes *n, struct node **node, uint64_t hash)
{
	pthread_mutex_t *handle_lock;
	struct node *found;

	pthread_rwlock_rdlock(&n->table_lock);
	handle_lock = &n->handle_locks[handle_bucket(n, hash) % LOCKS];
	pthread_mutex_lock(handle_lock);
	found = find_by_handle(n, &(*node)->handle, hash);
	if (found) {
		pthread_mutex_lock(id_lock(n, found->id));
		found->references++;
		pthread_mutex_unlock(id_lock(n, found->id));
	} else {
		pthread_mutex_lock(id_lock(n, (*node)->id));
		link_node(n, *node, hash);
		pthread_mutex_unlock(id_lock(n, (*node)->id));
		n->count++;
		found = TAKE_PTR(*node);
	}
	pthread_mutex_unlock(handle_lock);
	pthread_rwlock_unlock(&n->table_lock);
	return found;
}

static struct node *known(struct nodes *n, const struct handle *h, uint64_t hash)
{
	pthread_mutex_t *handle_lock;
	struct node *found;

	pthread_rwlock_rdlock(&n->table_lock);
	handle_lock = &n->handle_locks[handle_bucket(n, hash) % LOCKS];
	pthread_mutex_lock(handle_lock);
	found = find_by_handle(n, h, hash);
	if (found) {
		pthread_mutex_lock(id_lock(n, found->id));
		found->references++;
		pthread_mutex_unlock(id_lock(n, found->id));
	}
	pthread_mutex_unlock(handle_lock);
	pthread_rwlock_unlock(&n->table_lock);
	return found;
}

struct node *nodes_known(struct nodes *n, const struct handle *h)
{
	return known(n, h, handle_hash(h));
}

static bool hurry(void *data)
{
	struct nodes *n = data;

	LOCKED(&n->commit_lock);
	n->hurry = true;
	pthread_cond_signal(&n->commit_wake);
	return !n->failing;
}

static void promise(struct nodes *n, struct node *node, bool gone)
{
	struct catalog_node row = {.id = node->id, .handle = node->handle};

	atomic_fetch_and(&node->flags, ~(uint32_t)NODE_HINTS_NEW);
	row.parent = node_parent(n, node);
	node_name(n, node, row.name);
	node_ref(n, node); /* the promise's; the committer gives it back */
	/* Better a handle that is stale after a restart than a datastore whose files nobody can
	 * look up, or delete when it is full. */
	if (!slate_node_put(n->slate, &row, gone, hurry, n)) {
		if (!gone)
			atomic_fetch_or(&node->flags, NODE_UNPROMISED);
		n->unpromised = true;
		node_unref(n, node);
	}
	if (slate_node_count(n->slate) >= COMMIT_HURRY)
		hurry(n);
}

/* Another thread has just found the file, too: the kernel must not hear of its id before it is in
 * the slate. */
static void await_promise(struct node *node)
{
	while (atomic_load(&node->flags) & NODE_FRESH)
		sched_yield();
}

int nodes_find(struct nodes *n, const struct handle *h, uint64_t ino, bool directory,
	       uint64_t parent, const char *name, struct node **ret)
{
	uint64_t hash = handle_hash(h), id = 0;
	struct node *node, *found;
	bool fresh = false;
	int r;

	found = known(n, h, hash);
	if (found) {
		await_promise(found);
		node_seen(n, found, parent, name);
		*ret = found;
		return 0;
	}
	r = catalog_find_handle(n->catalog, h, &id);
	if (r == -ENOENT || r == -EUCLEAN) {
		r = new_id(n, &id);
		fresh = true;
	}
	if (r < 0)
		return r;
	node = make_node(id, h, ino, directory, parent, name);
	if (!node)
		return -ENOMEM;
	if (fresh)
		node->flags |= NODE_FRESH;
	found = insert(n, &node, hash);
	if (node) { /* somebody was quicker; a fresh id is lost, there are enough */
		free_node(node);
		await_promise(found);
	} else if (fresh) {
		promise(n, found, false);
		atomic_fetch_and(&found->flags, ~(uint32_t)NODE_FRESH);
	}
	grow_if_full(n);
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
	node = make_node(id, &row.handle, 0, false, row.parent, row.name);
	if (!node)
		return -ENOMEM;
	if (row.handle.type < 0)
		node->flags |= NODE_GONE | NODE_LOST;
	/* The kernel counted lookups that we did not see; one will do, as a FORGET takes away what
	 * there is.  Without it the node would be made anew for every request. */
	node->lookups = n->resumed;
	found = insert(n, &node, handle_hash(&row.handle));
	if (node)
		free_node(node);
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
	pthread_mutex_lock(id_lock(n, id));
	node = find_by_id(n, id);
	if (node)
		node->references++;
	pthread_mutex_unlock(id_lock(n, id));
	pthread_rwlock_unlock(&n->table_lock);
	if (!node)
		return revive(n, id, ret);
	*ret = node;
	return 0;
}

void node_seen(struct nodes *n, struct node *node, uint64_t parent, const char *name)
{
	set_hint(n, node, parent, name);
	/* Somebody linked it again behind us. */
	if (atomic_load(&node->flags) & NODE_GONE) {
		atomic_fetch_and(&node->flags, ~(uint32_t)NODE_GONE);
		promise(n, node, false);
	}
}

void node_moved(struct nodes *n, struct node *node, uint64_t parent, const char *name)
{
	set_hint(n, node, parent, name);
	promise(n, node, false);
}

void node_keep_hints(struct nodes *n, struct node *node)
{
	if (atomic_load(&node->flags) & NODE_HINTS_NEW)
		promise(n, node, false);
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
		set_hint(n, node, row.parent, row.name);
}

void node_gone(struct nodes *n, struct node *node)
{
	if (atomic_fetch_or(&node->flags, NODE_GONE) & NODE_GONE)
		return;
	promise(n, node, true);
}

void node_bury(struct nodes *n, struct node *node, const struct stat *st)
{
	struct stat *copy = malloc(sizeof *copy);

	if (!copy)
		return; /* then they get ESTALE */
	*copy = *st;
	slate_bury(n->slate, node->id, st);
	pthread_rwlock_rdlock(&n->table_lock);
	pthread_mutex_lock(id_lock(n, node->id));
	if (!node->buried)
		node->buried = TAKE_PTR(copy);
	pthread_mutex_unlock(id_lock(n, node->id));
	pthread_rwlock_unlock(&n->table_lock);
	free(copy);
}

void node_keep_open(struct nodes *n, struct node *node, struct fdref *ref)
{
	pthread_rwlock_rdlock(&n->table_lock);
	pthread_mutex_lock(id_lock(n, node->id));
	if (!node->grave)
		node->grave = TAKE_PTR(ref);
	pthread_mutex_unlock(id_lock(n, node->id));
	pthread_rwlock_unlock(&n->table_lock);
	fdref_put(ref);
}

int node_epitaph(struct nodes *n, struct node *node, struct stat *ret)
{
	int r = -ENOENT;

	pthread_rwlock_rdlock(&n->table_lock);
	pthread_mutex_lock(id_lock(n, node->id));
	if (node->buried) {
		*ret = *node->buried;
		r = 0;
	}
	pthread_mutex_unlock(id_lock(n, node->id));
	pthread_rwlock_unlock(&n->table_lock);
	if (r < 0 && (node->flags & NODE_GONE) && slate_epitaph(n->slate, node->id, ret))
		r = 0;
	return r;
}

size_t nodes_count(struct nodes *n)
{
	return n->count;
}

/* ---- the committer ----------------------------------------------------------------------- */

static void unref_by_id(struct nodes *n, uint64_t id)
{
	struct node *node;

	pthread_rwlock_rdlock(&n->table_lock);
	pthread_mutex_lock(id_lock(n, id));
	node = find_by_id(n, id);
	pthread_mutex_unlock(id_lock(n, id));
	pthread_rwlock_unlock(&n->table_lock);
	node_unref(n, node);
}

/* A failed commit keeps the promises: ids stay valid in memory, and it is tried again. */
static void commit_until_it_works(struct nodes *n, struct catalog_node *rows, size_t count)
{
	int r, last = 0;

	while ((r = catalog_put_nodes(n->catalog, rows, count)) < 0) {
		if (r == -EINVAL) { /* ids of another catalog: never */
			log_error("catalog: %zu node ids are not of this catalog, ignoring", count);
			break;
		}
		if (r != last)
			log_error("catalog: cannot commit %zu node ids: %s; trying again every "
				  "second (handles given now will not survive a restart)",
				  count, strerror(-r));
		last = r;
		pthread_mutex_lock(&n->commit_lock);
		n->failing = true;
		pthread_cond_broadcast(&n->commit_done); /* who waits for it goes on without */
		pthread_mutex_unlock(&n->commit_lock);
		nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
		pthread_mutex_lock(&n->commit_lock);
		if (n->stop) {
			pthread_mutex_unlock(&n->commit_lock);
			return;
		}
		pthread_mutex_unlock(&n->commit_lock);
	}
	n->failing = false;
	if (last)
		log_notice("catalog: commits work again");
}

/* Nodes of one bucket that were not promised when the slate was full.  How many rows. */
static size_t take_unpromised(struct nodes *n, uint32_t bucket, struct catalog_node *rows,
			      size_t max)
{
	pthread_mutex_t *lock = &n->id_locks[bucket % LOCKS];
	size_t count = 0;

	pthread_mutex_lock(lock);
	for (struct node *node = n->by_id[bucket]; node && count < max; node = node->next_by_id) {
		uint32_t flags = atomic_fetch_and(&node->flags, ~(uint32_t)NODE_UNPROMISED);

		if (!(flags & NODE_UNPROMISED) || (flags & NODE_GONE))
			continue;
		rows[count] = (struct catalog_node){.id = node->id, .handle = node->handle,
						    .parent = node->parent};
		snprintf(rows[count++].name, sizeof rows->name, "%s", node->name);
	}
	pthread_mutex_unlock(lock);
	return count;
}

/* There is room again: the ids that only the memory knows go to the catalog. */
static void commit_unpromised(struct nodes *n)
{
	uint32_t bucket = 0;
	bool more = true;

	if (n->failing || !atomic_exchange(&n->unpromised, false))
		return;
	while (more && !n->stop) {
		size_t count = 0;

		/* In a table that grows meanwhile some are met late or twice. */
		pthread_rwlock_rdlock(&n->table_lock);
		for (; bucket < n->buckets && COMMIT_BATCH - count >= 64; bucket++)
			count += take_unpromised(n, bucket, n->rows + count, 64);
		more = bucket < n->buckets;
		pthread_rwlock_unlock(&n->table_lock);
		if (count)
			commit_until_it_works(n, n->rows, count);
	}
}

static void commit_all(struct nodes *n, struct catalog_node *rows, uint32_t *slots)
{
	size_t count;

	for (;;) {
		slate_node_take(n->slate, rows, slots, COMMIT_BATCH, &count);
		if (count == 0)
			return;
		commit_until_it_works(n, rows, count);
		for (size_t i = 0; i < count; i++)
			unref_by_id(n, rows[i].id);
		slate_node_committed(n->slate, slots, count);
	}
}

static void wait_for_work(struct nodes *n)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += 1;
	while (!n->hurry && !n->stop)
		if (pthread_cond_timedwait(&n->commit_wake, &n->commit_lock, &until) == ETIMEDOUT)
			break;
	n->hurry = false;
	n->commits_begun++;
}

static void *committer(void *data)
{
	struct nodes *n = data;
	bool stop = false;

	while (!stop) {
		pthread_mutex_lock(&n->commit_lock);
		wait_for_work(n);
		stop = n->stop;
		pthread_mutex_unlock(&n->commit_lock);

		commit_all(n, n->rows, n->slots);
		commit_unpromised(n);

		pthread_mutex_lock(&n->commit_lock);
		n->commits_done = n->commits_begun;
		pthread_cond_broadcast(&n->commit_done);
		pthread_mutex_unlock(&n->commit_lock);
	}
	return NULL;
}

void nodes_commit_now(struct nodes *n)
{
	uint64_t wanted;

	LOCKED(&n->commit_lock);
	wanted = n->commits_begun + 1; /* one that begins after now */
	n->hurry = true;
	pthread_cond_signal(&n->commit_wake);
	while (n->commits_done < wanted && !n->stop && !n->failing)
		pthread_cond_wait(&n->commit_done, &n->commit_lock);
}

/* ---- what a dead worker promised ---------------------------------------------------------- */

/* One reference for each promise, as promise() takes it and the committer gives it back. */
static void restore_new(void *data, const struct catalog_node *row)
{
	struct nodes *n = data;
	struct node *node, *found;

	if (row->id == 0 || row->handle.len == 0)
		return;
	node = make_node(row->id, &row->handle, 0, false, row->parent, row->name);
	if (!node)
		return;
	node->lookups = 1;
	found = insert(n, &node, handle_hash(&row->handle));
	if (node) { /* promised more than once: it has moved */
		free_node(node);
		set_hint(n, found, row->parent, row->name);
		atomic_fetch_and(&found->flags, ~(uint32_t)NODE_HINTS_NEW);
	}
	grow_if_full(n);
}

/* When neither memory nor the catalog has it, nobody will find it until it is removed. */
static void restore_gone(void *data, const struct catalog_node *row)
{
	struct nodes *n = data;
	struct node *node;

	if (row->id && row->handle.len == 0 && nodes_get(n, row->id, &node) == 0)
		atomic_fetch_or(&node->flags, NODE_GONE);
}

static void restore(struct nodes *n)
{
	if (!slate_ids_get(n->slate, &n->next_id, &n->end_id) ||
	    n->next_id >> CATALOG_ID_BITS != catalog_incarnation(n->catalog))
		n->next_id = n->end_id = 0; /* reserve anew */
	slate_node_each(n->slate, restore_new, n);
	slate_node_each(n->slate, restore_gone, n);
}

/* ---- life -------------------------------------------------------------------------------- */

static void init_locks(struct nodes *n)
{
	pthread_condattr_t monotonic;

	pthread_rwlock_init(&n->table_lock, NULL);
	for (unsigned i = 0; i < LOCKS; i++) {
		pthread_mutex_init(&n->handle_locks[i], NULL);
		pthread_mutex_init(&n->id_locks[i], NULL);
	}
	pthread_mutex_init(&n->ids_lock, NULL);
	pthread_mutex_init(&n->commit_lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&n->commit_wake, &monotonic);
	pthread_cond_init(&n->commit_done, NULL);
	pthread_condattr_destroy(&monotonic);
}

static void free_tables(struct nodes *n)
{
	for (uint32_t i = 0; n->by_id && i < n->buckets; i++)
		for (struct node *node = n->by_id[i], *next; node; node = next) {
			next = node->next_by_id;
			free_node(node);
		}
	free(n->by_id);
	free(n->by_handle);
	free(n->rows);
	free(n->slots);
}

int nodes_new(struct catalog *catalog, struct slate *slate, const struct handle *root,
	      uint64_t root_ino, bool resumed, struct nodes **ret)
{
	struct nodes *n = calloc(1, sizeof *n);
	struct node *node;
	int r;

	if (!n)
		return -ENOMEM;
	n->catalog = catalog;
	n->slate = slate;
	n->buckets = FIRST_BUCKETS;
	n->by_id = calloc(n->buckets, sizeof(struct node *));
	n->by_handle = calloc(n->buckets, sizeof(struct node *));
	n->rows = calloc(COMMIT_BATCH, sizeof *n->rows);
	n->slots = calloc(COMMIT_BATCH, sizeof *n->slots);
	init_locks(n);
	node = make_node(NODE_ROOT, root, root_ino, true, 0, "");
	if (!n->by_id || !n->by_handle || !n->rows || !n->slots || !node) {
		if (node)
			free_node(node);
		r = -ENOMEM;
	} else {
		n->root = insert(n, &node, handle_hash(root));
		n->resumed = resumed;
		if (resumed)
			restore(n);
		r = -pthread_create(&n->committer, NULL, committer, n);
	}
	if (r < 0) {
		free_tables(n);
		free(n);
		return r;
	}
	*ret = n;
	return 0;
}

void nodes_free(struct nodes *n)
{
	if (!n)
		return;
	pthread_mutex_lock(&n->commit_lock);
	n->stop = true;
	pthread_cond_signal(&n->commit_wake);
	pthread_mutex_unlock(&n->commit_lock);
	pthread_join(n->committer, NULL);
	free_tables(n);
	free(n);
}
