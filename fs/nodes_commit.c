/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/nodes_commit.c - see fs/nodes_table.h: how an id that the kernel knows outlives us.
 *
 * A promise goes into the slate before anybody hears of the id; the committer writes promises to
 * the catalog once a second, or when many wait.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "fs/nodes_table.h"

#define COMMIT_HURRY   4096	    /* promises that wake the committer early */
#define ID_RESERVATION (1ull << 20) /* ids reserved durably at a time */

/* ---- promises ---------------------------------------------------------------------------- */

int nodes_new_id(struct nodes *n, uint64_t *ret)
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

static bool hurry(void *data)
{
	struct nodes *n = data;

	LOCKED(&n->commit_lock);
	n->hurry = true;
	pthread_cond_signal(&n->commit_wake);
	return !n->failing;
}

void node_promise(struct nodes *n, struct node *node, bool gone)
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

/* ---- the committer ----------------------------------------------------------------------- */

static void unref_by_id(struct nodes *n, uint64_t id)
{
	struct node *node;

	pthread_rwlock_rdlock(&n->table_lock);
	pthread_mutex_lock(nodes_id_lock(n, id));
	node = nodes_by_id(n, id);
	pthread_mutex_unlock(nodes_id_lock(n, id));
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
	pthread_mutex_t *lock = &n->id_locks[bucket % NODES_LOCKS];
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
		for (; bucket < n->buckets && NODES_BATCH - count >= 64; bucket++)
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
		slate_node_take(n->slate, rows, slots, NODES_BATCH, &count);
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

/* One reference for each promise, as node_promise() takes it and the committer gives it back. */
static void restore_new(void *data, const struct catalog_node *row)
{
	struct nodes *n = data;
	struct node *node, *found;

	if (row->id == 0 || row->handle.len == 0)
		return;
	node = node_make(row->id, &row->handle, 0, false, row->parent, row->name);
	if (!node)
		return;
	node->lookups = 1;
	found = nodes_insert(n, &node, handle_hash(&row->handle));
	if (node) { /* promised more than once: it has moved */
		node_free(node);
		node_set_hints(n, found, row->parent, row->name);
		atomic_fetch_and(&found->flags, ~(uint32_t)NODE_HINTS_NEW);
	}
	nodes_grow(n);
}

/* When neither memory nor the catalog has it, nobody will find it until it is removed. */
static void restore_gone(void *data, const struct catalog_node *row)
{
	struct nodes *n = data;
	struct node *node;

	if (row->id && row->handle.len == 0 && nodes_get(n, row->id, &node) == 0)
		atomic_fetch_or(&node->flags, NODE_GONE);
}

void nodes_restore(struct nodes *n)
{
	if (!slate_ids_get(n->slate, &n->next_id, &n->end_id) ||
	    n->next_id >> CATALOG_ID_BITS != catalog_incarnation(n->catalog))
		n->next_id = n->end_id = 0; /* reserve anew */
	slate_node_each(n->slate, restore_new, n);
	slate_node_each(n->slate, restore_gone, n);
}

/* ---- life -------------------------------------------------------------------------------- */

int nodes_committer_start(struct nodes *n)
{
	pthread_condattr_t monotonic;

	pthread_mutex_init(&n->ids_lock, NULL);
	pthread_mutex_init(&n->commit_lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&n->commit_wake, &monotonic);
	pthread_cond_init(&n->commit_done, NULL);
	pthread_condattr_destroy(&monotonic);
	n->rows = calloc(NODES_BATCH, sizeof *n->rows);
	n->slots = calloc(NODES_BATCH, sizeof *n->slots);
	if (!n->rows || !n->slots)
		return -ENOMEM;
	return -pthread_create(&n->committer, NULL, committer, n);
}

void nodes_committer_stop(struct nodes *n)
{
	pthread_mutex_lock(&n->commit_lock);
	n->stop = true;
	pthread_cond_signal(&n->commit_wake);
	pthread_mutex_unlock(&n->commit_lock);
	pthread_join(n->committer, NULL);
}
