/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/catalog_write.c - the transactions that change the catalog; see base/catalog.h.
 *
 * Every transaction also rewrites the record "state" with its own number: a file whose newest
 * transaction was taken away, by whatever damage, does not look like an older, good one.
 *
 * Invariant  nodes and handles are inverse to each other at every commit.
 * Refuses    to go on over a damaged row (-EUCLEAN): what it said about the other table is lost.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/catalog_guard.h"
#include "base/catalog_internal.h"
#include "base/cleanup.h"
#include "base/log.h"

#define ROOM   (4u << 20) /* bytes: some ten thousand files */
#define LITTLE (1u << 20) /* bytes: a filesystem that has less is full */

typedef int (*change_fn)(struct catalog *c, MDB_txn *txn, void *data);

int catalog_state_put(MDB_txn *txn, MDB_dbi meta, const uint8_t *sum_key, struct catalog_state *s)
{
	uint8_t row[CATALOG_STATE_ROW];
	MDB_val k = catalog_val(CATALOG_KEY_STATE, strlen(CATALOG_KEY_STATE)), v;

	s->transaction = mdb_txn_id(txn);
	v = catalog_val(row, catalog_encode_state(sum_key, s, row));
	return catalog_errno(mdb_put(txn, meta, &k, &v, 0));
}

static int state_touch(struct catalog *c, MDB_txn *txn)
{
	struct catalog_state state;
	int r;

	r = catalog_state_get(c, txn, &state);
	if (r < 0)
		return r;
	return catalog_state_put(txn, c->table[CATALOG_META], c->format.sum_key, &state);
}

struct change {
	struct catalog *c;
	change_fn change;
	void *data;
	bool under_way; /* it did not come to its end: a page could not be read */
};

static int change_once(struct catalog *c, change_fn change, void *data)
{
	MDB_txn *txn;
	int r;

	r = c->env ? catalog_errno(mdb_txn_begin(c->env, NULL, 0, &txn)) : CATALOG_BROKEN;
	if (r < 0)
		return r;

	r = change(c, txn, data);
	if (r == 0)
		r = state_touch(c, txn);
	if (r < 0) {
		mdb_txn_abort(txn);
		return r;
	}
	return catalog_errno(mdb_txn_commit(txn));
}

static int change_inside(void *data)
{
	struct change *change = data;
	int r;

	change->under_way = true;
	r = change_once(change->c, change->change, change->data);
	change->under_way = false;
	return r;
}

/* What LMDB had in hand when it faulted is in no order any more, so nothing can be aborted or begun
 * again.  Reading goes on: the transaction was never seen by anybody. */
static int change_guarded(struct catalog *c, change_fn change, void *data)
{
	struct change inside = {c, change, data, false};
	int r;

	if (c->unwritable)
		return -EIO;
	r = catalog_guard(change_inside, &inside);
	if (inside.under_way) {
		c->unwritable = true;
		log_error("catalog: a page of %s cannot be read: nothing is written to it any more. "
			  "Open files go on. Repair its device, then restart the worker "
			  "(`weir upgrade`), or unmount and run `weir check --rebuild`", c->path);
	}
	return r;
}

/* Twice the address space.  No transaction is in use while the map moves. */
static int map_grow(struct catalog *c)
{
	uint64_t bytes = c->map_bytes * 2;
	int r;

	if (bytes > c->map_bytes_max) {
		log_error("catalog: full at %" PRIu64 " bytes, the most it may have", c->map_bytes);
		return -ENOSPC;
	}
	pthread_rwlock_wrlock(&c->map_lock);
	r = catalog_errno(mdb_env_set_mapsize(c->env, bytes));
	pthread_rwlock_unlock(&c->map_lock);
	if (r < 0) {
		log_error("catalog: no address space for %" PRIu64 " bytes: %s", bytes,
			  strerror(-r));
		return -ENOSPC;
	}
	c->map_bytes = bytes;
	return 0;
}

/* A datastore that is full must still be of use: without a commit no file gets an id, so none could
 * be looked up, not even to delete it.  Where the filesystem cannot allocate, commits just fail. */
void catalog_keep_room(struct catalog *c)
{
	struct stat st;
	int fd;

	if (mdb_env_get_fd(c->env, &fd) || fstat(fd, &st) < 0)
		return;
	if ((uint64_t)st.st_size + ROOM / 2 <= c->room_end)
		return;
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, st.st_size, ROOM) == 0)
		c->room_end = (uint64_t)st.st_size + ROOM;
}

/* LMDB calls a write that was cut short for want of room EIO. */
static int say_no_room(struct catalog *c, int r)
{
	struct statvfs st;

	if (r != -EIO || statvfs(c->path, &st) < 0)
		return r;
	return st.f_bavail * st.f_frsize < LITTLE ? -ENOSPC : r;
}

/* All of @change or nothing, durable when 0 is returned. */
static int change_commit(struct catalog *c, change_fn change, void *data)
{
	bool mended = false;
	int r;

	LOCKED(&c->write_lock);
	for (;;) {
		r = change_guarded(c, change, data);
		if (r == 0)
			catalog_keep_room(c);
		if (r == CATALOG_BROKEN && mended)
			return -EIO;
		if (r != CATALOG_MAP_FULL && r != CATALOG_BROKEN)
			return say_no_room(c, r);
		mended |= r == CATALOG_BROKEN;
		r = r == CATALOG_BROKEN ? catalog_env_mend(c) : map_grow(c);
		if (r < 0)
			return r;
	}
}

static int row_put(struct catalog *c, MDB_txn *txn, enum catalog_table table, const void *key,
		   size_t key_len, const void *row, size_t row_len)
{
	MDB_val k = catalog_val(key, key_len), v = catalog_val(row, row_len);

	return catalog_errno(mdb_put(txn, c->table[table], &k, &v, 0));
}

static int row_delete(struct catalog *c, MDB_txn *txn, enum catalog_table table, const void *key,
		      size_t key_len)
{
	MDB_val k = catalog_val(key, key_len);

	return catalog_errno(mdb_del(txn, c->table[table], &k, NULL));
}

struct reserve {
	uint64_t n, first;
};

static int reserve_change(struct catalog *c, MDB_txn *txn, void *data)
{
	struct reserve *want = data;
	struct catalog_state state;
	int r;

	r = catalog_state_get(c, txn, &state);
	if (r < 0)
		return r;
	if (want->n > (UINT64_C(1) << CATALOG_ID_BITS) - state.next)
		return -ENOSPC;

	want->first = state.next;
	state.next += want->n;
	return catalog_state_put(txn, c->table[CATALOG_META], c->format.sum_key, &state);
}

int catalog_reserve(struct catalog *c, uint64_t n, uint64_t *ret_first)
{
	struct reserve want = {.n = n};
	int r;

	if (n == 0)
		return -EINVAL;
	r = change_commit(c, reserve_change, &want);
	if (r < 0)
		return r;

	*ret_first = (uint64_t)c->incarnation << CATALOG_ID_BITS | want.first;
	return 0;
}

/* A batch of nodes, without those that a later one of the batch overrides. */
struct batch {
	const struct catalog_node **by_id;     /* each id once */
	const struct catalog_node **by_handle; /* each handle once; no deleted ones */
	bool *gone;			       /* [i]: by_id[i] is to be deleted */
	size_t n_id, n_handle;
	const struct catalog_node *nodes; /* the caller's array, for "later" and "is it gone" */
};

static void batch_done(struct batch *b)
{
	free(b->by_id);
	free(b->by_handle);
	free(b->gone);
}

/* Equal ones in the order of the caller's array, which is one array. */
static int later(const struct catalog_node *a, const struct catalog_node *b)
{
	return (a > b) - (a < b);
}

static int compare_ids(const void *a, const void *b)
{
	const struct catalog_node *x = *(const struct catalog_node *const *)a;
	const struct catalog_node *y = *(const struct catalog_node *const *)b;

	return x->id != y->id ? (x->id > y->id) - (x->id < y->id) : later(x, y);
}

static int compare_handles(const void *a, const void *b)
{
	const struct catalog_node *x = *(const struct catalog_node *const *)a;
	const struct catalog_node *y = *(const struct catalog_node *const *)b;
	int r = catalog_key_handle_compare(&x->handle, &y->handle);

	return r ? r : later(x, y);
}

static size_t batch_find_id(const struct batch *b, uint64_t id)
{
	size_t low = 0, high = b->n_id;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (b->by_id[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Sorted by id, the last of each kept. */
static void batch_sort_ids(struct batch *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		b->by_id[i] = &b->nodes[i];
	qsort(b->by_id, n, sizeof *b->by_id, compare_ids);
	for (size_t i = 0; i < n; i++)
		if (i + 1 == n || b->by_id[i]->id != b->by_id[i + 1]->id)
			b->by_id[b->n_id++] = b->by_id[i];
}

/* Sorted by handle, the last of each kept; the ids of the others go. */
static void batch_sort_handles(struct batch *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n_id; i++) {
		b->gone[i] = b->by_id[i]->handle.len == 0;
		if (!b->gone[i])
			b->by_handle[n++] = b->by_id[i];
	}
	qsort(b->by_handle, n, sizeof *b->by_handle, compare_handles);
	for (size_t i = 0; i < n; i++) {
		if (i + 1 == n || catalog_key_handle_compare(&b->by_handle[i]->handle,
							     &b->by_handle[i + 1]->handle))
			b->by_handle[b->n_handle++] = b->by_handle[i];
		else
			b->gone[batch_find_id(b, b->by_handle[i]->id)] = true;
	}
}

static int batch_init(struct batch *b, const struct catalog_node *nodes, size_t n)
{
	b->nodes = nodes;
	b->by_id = calloc(n, sizeof *b->by_id);
	b->by_handle = calloc(n, sizeof *b->by_handle);
	b->gone = calloc(n, sizeof *b->gone);
	if (!b->by_id || !b->by_handle || !b->gone)
		return -ENOMEM;

	batch_sort_ids(b, n);
	batch_sort_handles(b);
	return 0;
}

/* The row of @h in handles goes. */
static int handle_forget(struct catalog *c, MDB_txn *txn, const struct handle *h)
{
	uint8_t key[CATALOG_KEY_MAX];
	int r;

	r = row_delete(c, txn, CATALOG_HANDLES, key, catalog_key_handle(h, key));
	return r == -ENOENT ? -EUCLEAN : r; /* the tables did not agree */
}

/* One id of the batch: its row in nodes is put or deleted; a handle it had before goes.
 * @last_id is the highest in the table before the batch. */
static int put_id(struct catalog *c, MDB_txn *txn, MDB_cursor *nodes, const struct catalog_node *n,
		  bool gone, uint64_t last_id)
{
	uint8_t key[8], row[CATALOG_NODE_ROW_MAX];
	MDB_val k = catalog_val(key, catalog_key_node(n->id, key)), v;
	struct catalog_node old;
	int r = -ENOENT;

	if (n->id <= last_id)
		r = catalog_errno(mdb_cursor_get(nodes, &k, &v, MDB_SET));
	if (r == 0) {
		r = catalog_decode_node(c->format.sum_key, catalog_bytes(k), catalog_bytes(v),
					&old);
		if (r == 0 && (gone || catalog_key_handle_compare(&old.handle, &n->handle)))
			r = handle_forget(c, txn, &old.handle);
		if (r == 0 && gone)
			return catalog_errno(mdb_cursor_del(nodes, 0));
	}
	if (gone || (r < 0 && r != -ENOENT))
		return r == -ENOENT ? 0 : r;

	k = catalog_val(key, sizeof key);
	v = catalog_val(row, catalog_encode_node(c->format.sum_key, n, row));
	return catalog_errno(mdb_cursor_put(nodes, &k, &v, n->id > last_id ? MDB_APPEND : 0));
}

/* One handle of the batch: its row in handles names the new id; an id that had it goes.  That
 * one is not in the batch: put_id would have taken the row away. */
static int put_handle(struct catalog *c, MDB_txn *txn, MDB_cursor *handles,
		      const struct catalog_node *n)
{
	uint8_t key[CATALOG_KEY_MAX], row[CATALOG_HANDLE_ROW], id_key[8];
	size_t key_len = catalog_key_handle(&n->handle, key);
	MDB_val k = catalog_val(key, key_len), v;
	uint64_t old;
	int r;

	v = catalog_val(row, catalog_encode_handle(c->format.sum_key, &n->handle, n->id, row));
	r = catalog_errno(mdb_cursor_put(handles, &k, &v, MDB_NOOVERWRITE));
	if (r != -EEXIST)
		return r;

	r = catalog_decode_handle(c->format.sum_key, (struct bytes){key, key_len}, catalog_bytes(v),
				  &old);
	if (r < 0 || old == n->id)
		return r;
	r = row_delete(c, txn, CATALOG_NODES, id_key, catalog_key_node(old, id_key));
	if (r < 0)
		return r == -ENOENT ? -EUCLEAN : r;
	return row_put(c, txn, CATALOG_HANDLES, key, key_len, row, sizeof row);
}

static int last_node(MDB_cursor *nodes, uint64_t *ret)
{
	MDB_val k, v;
	int r;

	*ret = 0;
	r = catalog_errno(mdb_cursor_get(nodes, &k, &v, MDB_LAST));
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return catalog_key_node_parse(catalog_bytes(k), ret);
}

static int ids_were_reserved(struct catalog *c, MDB_txn *txn, const struct batch *b)
{
	struct catalog_state state;
	uint64_t base = (uint64_t)c->incarnation << CATALOG_ID_BITS;
	int r;

	r = catalog_state_get(c, txn, &state);
	if (r < 0)
		return r;
	for (size_t i = 0; i < b->n_id; i++) {
		uint64_t id = b->by_id[i]->id;

		if (b->gone[i])
			continue; /* what is not there need not be taken away */
		if (id != CATALOG_ID_ROOT && (id <= base || id - base >= state.next))
			return -EINVAL;
	}
	return 0;
}

static int nodes_change(struct catalog *c, MDB_txn *txn, void *data)
{
	struct batch *b = data;
	MDB_cursor *nodes, *handles;
	uint64_t last_id;
	int r;

	r = ids_were_reserved(c, txn, b);
	if (r < 0)
		return r;
	/* Cursors of a transaction that changes are closed with it. */
	r = catalog_errno(mdb_cursor_open(txn, c->table[CATALOG_NODES], &nodes));
	if (r == 0)
		r = catalog_errno(mdb_cursor_open(txn, c->table[CATALOG_HANDLES], &handles));
	if (r == 0)
		r = last_node(nodes, &last_id);

	for (size_t i = 0; i < b->n_id && r == 0; i++)
		r = put_id(c, txn, nodes, b->by_id[i], b->gone[i], last_id);
	for (size_t i = 0; i < b->n_handle && r == 0; i++)
		r = put_handle(c, txn, handles, b->by_handle[i]);
	return r;
}

static bool node_valid(const struct catalog_node *n)
{
	return n->id != 0 && n->id >> 63 == 0 && memchr(n->name, '\0', sizeof n->name) &&
	       (n->handle.len == 0 || catalog_handle_valid(&n->handle));
}

int catalog_put_nodes(struct catalog *c, const struct catalog_node *nodes, size_t n)
{
	_cleanup_(batch_done) struct batch b = {0};
	int r;

	for (size_t i = 0; i < n; i++)
		if (!node_valid(&nodes[i]))
			return -EINVAL;
	if (n == 0)
		return 0;
	r = batch_init(&b, nodes, n);
	if (r < 0)
		return r;

	return change_commit(c, nodes_change, &b);
}

static int put_disk_change(struct catalog *c, MDB_txn *txn, void *data)
{
	const struct catalog_disk *d = data;
	uint8_t row[CATALOG_DISK_ROW_MAX];

	return row_put(c, txn, CATALOG_DISKS, d->id.bytes, sizeof d->id.bytes, row,
		       catalog_encode_disk(c->format.sum_key, d, row));
}

int catalog_put_disk(struct catalog *c, const struct catalog_disk *d)
{
	if (!memchr(d->policy, '\0', sizeof d->policy) ||
	    (d->handle.len && !catalog_handle_valid(&d->handle)))
		return -EINVAL;

	return change_commit(c, put_disk_change, (void *)d);
}

static int delete_disk_change(struct catalog *c, MDB_txn *txn, void *data)
{
	return row_delete(c, txn, CATALOG_DISKS, data, sizeof(struct disk_id));
}

int catalog_delete_disk(struct catalog *c, const struct disk_id *id)
{
	return change_commit(c, delete_disk_change, (void *)id);
}

struct facts {
	const struct handle *h;
	const char *json;
	uint8_t row[CATALOG_FACTS_ROW_MAX];
};

static int put_facts_change(struct catalog *c, MDB_txn *txn, void *data)
{
	struct facts *f = data;
	uint8_t key[CATALOG_KEY_MAX];
	size_t key_len = catalog_key_handle(f->h, key);

	return row_put(c, txn, CATALOG_FACTS, key, key_len, f->row,
		       catalog_encode_facts(c->format.sum_key, f->h, f->json, f->row));
}

int catalog_put_facts(struct catalog *c, const struct handle *h, const char *json)
{
	struct facts f = {.h = h, .json = json};

	if (!catalog_handle_valid(h))
		return -EINVAL;
	if (strlen(json) > CATALOG_FACTS_MAX)
		return -E2BIG;

	return change_commit(c, put_facts_change, &f);
}
