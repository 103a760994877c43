/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/catalog.c - the catalog as a whole, and reading from it; see base/catalog.h.
 *
 * A lookup borrows a read transaction that was reset, renews it, copies what it wants out of the
 * map, resets it and gives it back: about a microsecond, and no snapshot is held between two
 * lookups.  Nothing calls out while a read transaction is open.
 *
 * Invariant  c->reader holds transactions that are reset only.
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/catalog_guard.h"
#include "base/catalog_internal.h"
#include "base/cleanup.h"
#include "base/log.h"

/* A reading transaction in use, and where it came from. */
struct reading {
	struct catalog *c;
	MDB_txn *txn;
};

int catalog_errno(int lmdb_result)
{
	switch (lmdb_result) {
	case MDB_SUCCESS:
		return 0;
	case MDB_NOTFOUND:
		return -ENOENT;
	case MDB_KEYEXIST:
		return -EEXIST;
	case MDB_MAP_FULL:
		return CATALOG_MAP_FULL;
	case MDB_PANIC:
		return CATALOG_BROKEN;
	case MDB_TXN_FULL:
		return -E2BIG;
	case MDB_READERS_FULL:
		return -EAGAIN;
	case MDB_VERSION_MISMATCH:
		return -EPROTO;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_INCOMPATIBLE:
	case MDB_PAGE_FULL:
	case MDB_CURSOR_FULL:
		return -EUCLEAN;
	}
	return lmdb_result > 0 ? -lmdb_result : -EIO;
}

int catalog_refuse_network(const char *dir)
{
	struct statfs fs;

	if (statfs(dir, &fs) < 0)
		return -errno;

	switch ((uint32_t)fs.f_type) {
	case NFS_SUPER_MAGIC:
	case SMB_SUPER_MAGIC:
	case CIFS_SUPER_MAGIC:
	case SMB2_SUPER_MAGIC:
	case CEPH_SUPER_MAGIC:
	case AFS_SUPER_MAGIC:
	case CODA_SUPER_MAGIC:
	case V9FS_MAGIC:
	case FUSE_SUPER_MAGIC: /* sshfs and its like cannot be told from the others */
		return -EREMOTE;
	}
	return 0;
}

static int reading_new(struct catalog *c, MDB_txn **ret)
{
	size_t start = ((uintptr_t)pthread_self() >> 12) % CATALOG_READERS;

	for (size_t i = 0; i < CATALOG_READERS; i++) {
		_Atomic(MDB_txn *) *slot = &c->reader[(start + i) % CATALOG_READERS];
		MDB_txn *txn;

		if (!atomic_load_explicit(slot, memory_order_relaxed))
			continue;
		txn = atomic_exchange(slot, NULL);
		if (!txn)
			continue;
		*ret = txn;
		return catalog_errno(mdb_txn_renew(txn));
	}
	*ret = NULL;
	return catalog_errno(mdb_txn_begin(c->env, NULL, MDB_RDONLY, ret));
}

static void reading_end(struct reading *reading)
{
	struct catalog *c = reading->c;
	size_t start = ((uintptr_t)pthread_self() >> 12) % CATALOG_READERS;

	if (!c)
		return;
	if (reading->txn)
		mdb_txn_reset(reading->txn);
	for (size_t i = 0; i < CATALOG_READERS && reading->txn; i++) {
		MDB_txn *empty = NULL;

		if (atomic_compare_exchange_strong(&c->reader[(start + i) % CATALOG_READERS],
						   &empty, reading->txn))
			reading->txn = NULL;
	}
	mdb_txn_abort(reading->txn);
	pthread_rwlock_unlock(&c->map_lock);
}

static int reading_try(struct catalog *c, struct reading *ret)
{
	int r;

	pthread_rwlock_rdlock(&c->map_lock);
	ret->c = c;
	r = c->env ? reading_new(c, &ret->txn) : CATALOG_BROKEN;
	if (r < 0 && ret->txn) { /* not renewed: of no use to the next one either */
		mdb_txn_abort(ret->txn);
		ret->txn = NULL;
	}
	return r;
}

/* On success and on failure: reading_end follows, by attribute. */
static int reading_begin(struct catalog *c, struct reading *ret)
{
	int r = reading_try(c, ret);

	if (r != CATALOG_BROKEN)
		return r;
	reading_end(ret);
	ret->c = NULL;
	pthread_mutex_lock(&c->write_lock);
	r = catalog_env_mend(c);
	pthread_mutex_unlock(&c->write_lock);
	if (r == 0)
		r = reading_try(c, ret);
	return r == CATALOG_BROKEN ? -EIO : r;
}

int catalog_state_get(struct catalog *c, MDB_txn *txn, struct catalog_state *ret)
{
	struct bytes key = {CATALOG_KEY_STATE, strlen(CATALOG_KEY_STATE)}, value;
	int r;

	r = catalog_get(c, txn, CATALOG_META, key.data, key.len, &value);
	if (r < 0)
		return r == -ENOENT ? -EUCLEAN : r;

	return catalog_decode_state(c->format.sum_key, key, value, ret);
}

/* Lookups without end must not keep the map from growing.  Nobody takes it twice. */
static int map_lock_init(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attr;
	int r;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	r = pthread_rwlock_init(lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	return -r;
}

static void catalog_closep(struct catalog **c)
{
	catalog_close(*c);
}

int catalog_open_sized(const char *dir, const struct catalog_identity *who, uint64_t map_bytes,
		       uint64_t map_bytes_max, struct catalog **ret)
{
	_cleanup_(catalog_closep) struct catalog *c = NULL;
	int r;

	r = catalog_refuse_network(dir);
	if (r < 0)
		return r;
	if (sodium_init() < 0)
		return -ENOSYS;
	c = calloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;

	c->map_bytes = map_bytes;
	c->map_bytes_max = map_bytes_max;
	pthread_mutex_init(&c->write_lock, NULL);
	r = map_lock_init(&c->map_lock);
	if (r < 0)
		return r;
	if (asprintf(&c->path, "%s/%s", dir, CATALOG_DIRECTORY) < 0) {
		c->path = NULL;
		return -ENOMEM;
	}
	catalog_guard_install();
	r = catalog_env_open(c, who);
	if (r < 0)
		return r;

	catalog_keep_room(c); /* nobody else has it yet */
	*ret = TAKE_PTR(c);
	return 0;
}

int catalog_open(const char *dir, const struct catalog_identity *who, struct catalog **ret)
{
	return catalog_open_sized(dir, who, CATALOG_MAP_BYTES, CATALOG_MAP_BYTES_MAX, ret);
}

void catalog_close(struct catalog *c)
{
	if (!c)
		return;
	catalog_env_close(c);
	pthread_rwlock_destroy(&c->map_lock);
	pthread_mutex_destroy(&c->write_lock);
	free(c->path);
	free(c);
}

uint32_t catalog_incarnation(struct catalog *c)
{
	return c->incarnation;
}

/* One lookup: what runs inside the guard reads the map, and owns nothing. */
struct lookup {
	struct catalog *c;
	MDB_txn *txn;
	enum catalog_table table;
	struct bytes key;
	void *ret;
	size_t n, max;
};

static int decode(const struct lookup *l, struct bytes value)
{
	const uint8_t *sum_key = l->c->format.sum_key;

	if (l->table == CATALOG_HANDLES)
		return catalog_decode_handle(sum_key, l->key, value, l->ret);
	return catalog_decode_node(sum_key, l->key, value, l->ret);
}

static int lookup_row(void *data)
{
	struct lookup *l = data;
	struct bytes value;
	int r = catalog_get(l->c, l->txn, l->table, l->key.data, l->key.len, &value);

	return r < 0 ? r : decode(l, value);
}

static int lookup(struct lookup *l, int (*run)(void *data))
{
	_cleanup_(reading_end) struct reading reading = {0};
	int r = reading_begin(l->c, &reading);

	if (r < 0)
		return r;
	l->txn = reading.txn;
	return catalog_guard(run, l);
}

int catalog_find_handle(struct catalog *c, const struct handle *h, uint64_t *ret_id)
{
	struct lookup l = {.c = c, .table = CATALOG_HANDLES, .ret = ret_id};
	uint8_t key[CATALOG_KEY_MAX];

	if (!catalog_handle_valid(h))
		return -EINVAL;
	l.key = (struct bytes){key, catalog_key_handle(h, key)};
	return lookup(&l, lookup_row);
}

int catalog_find_node(struct catalog *c, uint64_t id, struct catalog_node *ret)
{
	struct lookup l = {.c = c, .table = CATALOG_NODES, .ret = ret};
	uint8_t key[8];

	l.key = (struct bytes){key, catalog_key_node(id, key)};
	return lookup(&l, lookup_row);
}

/* The text goes to l->ret, of CATALOG_FACTS_MAX bytes. */
static int lookup_facts(void *data)
{
	struct lookup *l = data;
	struct bytes value, json;
	int r = catalog_get(l->c, l->txn, CATALOG_FACTS, l->key.data, l->key.len, &value);

	if (r == 0)
		r = catalog_decode_facts(l->c->format.sum_key, l->key, value, &json);
	if (r < 0)
		return r;
	if (json.len > CATALOG_FACTS_MAX)
		return -EUCLEAN;
	memcpy(l->ret, json.data, json.len);
	l->n = json.len;
	return 0;
}

int catalog_find_facts(struct catalog *c, const struct handle *h, char **ret)
{
	char text[CATALOG_FACTS_MAX + 1];
	struct lookup l = {.c = c, .ret = text};
	uint8_t key[CATALOG_KEY_MAX];
	int r;

	if (!catalog_handle_valid(h))
		return -EINVAL;
	l.key = (struct bytes){key, catalog_key_handle(h, key)};
	r = lookup(&l, lookup_facts);
	if (r < 0)
		return r;

	text[l.n] = 0;
	*ret = strdup(text);
	return *ret ? 0 : -ENOMEM;
}

static int disks_from(struct lookup *l, MDB_cursor *cursor)
{
	MDB_val k = catalog_val(l->key.data, l->key.len), v;
	struct catalog_disk *to = l->ret;
	int r = mdb_cursor_get(cursor, &k, &v, l->key.data ? MDB_SET_RANGE : MDB_FIRST);

	if (r == 0 && l->key.data && k.mv_size == l->key.len &&
	    memcmp(k.mv_data, l->key.data, l->key.len) == 0)
		r = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	r = catalog_errno(r);
	while (r == 0 && l->n < l->max) {
		r = catalog_decode_disk(l->c->format.sum_key, catalog_bytes(k), catalog_bytes(v),
					&to[l->n]);
		if (r == 0) {
			l->n++;
			r = catalog_errno(mdb_cursor_get(cursor, &k, &v, MDB_NEXT));
		}
	}
	return r == -ENOENT ? 0 : r;
}

/* A fault leaves the cursor behind, which is memory only. */
static int lookup_disks(void *data)
{
	struct lookup *l = data;
	MDB_cursor *cursor;
	int r = catalog_errno(mdb_cursor_open(l->txn, l->c->table[CATALOG_DISKS], &cursor));

	if (r < 0)
		return r;
	r = disks_from(l, cursor);
	mdb_cursor_close(cursor);
	return r;
}

/* The next few disks behind @after (or the first ones, when it is NULL): their number. */
static int next_disks(struct catalog *c, const struct disk_id *after, struct catalog_disk *ret,
		      size_t max)
{
	struct lookup l = {.c = c, .ret = ret, .max = max};
	int r;

	if (after)
		l.key = (struct bytes){after, sizeof *after};
	r = lookup(&l, lookup_disks);
	return r < 0 ? r : (int)l.n;
}

/* In small groups, each from a snapshot of its own: @each may change the catalog. */
int catalog_each_disk(struct catalog *c, int (*each)(const struct catalog_disk *d, void *data),
		      void *data)
{
	struct catalog_disk disks[16];
	struct disk_id last;
	int r, n;

	n = next_disks(c, NULL, disks, ARRAY_SIZE(disks));
	while (n > 0) {
		last = disks[n - 1].id;
		for (int i = 0; i < n; i++) {
			r = each(&disks[i], data);
			if (r)
				return r;
		}
		n = next_disks(c, &last, disks, ARRAY_SIZE(disks));
	}
	return n;
}

int catalog_count(struct catalog *c, struct catalog_counts *ret)
{
	static const enum catalog_table tables[] = {CATALOG_NODES, CATALOG_DISKS, CATALOG_FACTS};
	_cleanup_(reading_end) struct reading reading = {0};
	uint64_t n[ARRAY_SIZE(tables)];
	MDB_envinfo info;
	MDB_stat stat;
	int r;

	r = reading_begin(c, &reading);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		r = catalog_errno(mdb_stat(reading.txn, c->table[tables[i]], &stat));
		if (r < 0)
			return r;
		n[i] = stat.ms_entries;
	}
	mdb_env_info(c->env, &info);
	*ret = (struct catalog_counts){
		.nodes = n[0],
		.disks = n[1],
		.facts = n[2],
		.bytes = (info.me_last_pgno + 1) * stat.ms_psize,
	};
	return 0;
}
