/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A catalog is made whole and keeps the one before; what is not ours or not whole is refused. */
#include <fcntl.h>

#include "base/catalog_internal.h"
#include "base/cleanup.h"
#include "tests/unit/catalog_rig.h"

static bool exists(const char *dir, const char *name)
{
	char path[200];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

static void create(const char *dir)
{
	char path[200];
	struct catalog *c;

	check(rig_check(dir, NULL) == -ENOENT);
	check(catalog_open(dir, &rig_who, &c) == -ENOENT);
	check(catalog_create(dir, &rig_who, 0) == -EINVAL);
	check(catalog_create(dir, &rig_who, CATALOG_INCARNATION_MAX + 1) == -EINVAL);
	check(catalog_create(dir, &rig_who, CATALOG_INCARNATION_MAX) == 0);
	check(rig_check(dir, NULL) == 0);
	c = rig_open(dir);
	check(catalog_incarnation(c) == CATALOG_INCARNATION_MAX);
	check(rig_add(c, 1) == ((uint64_t)CATALOG_INCARNATION_MAX << CATALOG_ID_BITS) + 1);
	catalog_close(c);

	/* One that was being made when the power went. */
	snprintf(path, sizeof path, "%s/catalog.new", dir);
	check(mkdir(path, 0700) == 0);
	check(catalog_create(dir, &rig_who, 9) == 0);
	check(exists(dir, "catalog.damaged-1") && exists(dir, "catalog.damaged-2/data.mdb"));
	check(!exists(dir, "catalog.new") && !exists(dir, "catalog.damaged-3"));
	c = rig_open(dir);
	check(catalog_incarnation(c) == 9 && rig_no_handle(c, 1));
	catalog_close(c);
}

static void identity(const char *dir)
{
	struct catalog_identity other = rig_who;
	struct catalog *c;
	char *why = NULL;

	other.fs_uuid[15] = 1;
	check(catalog_check_in_child(dir, &other, &why) == -EXDEV && why);
	free(why);
	check(catalog_open(dir, &other, &c) == -EXDEV);
	other = rig_who;
	other.root.data[0]++;
	check(catalog_check_in_child(dir, &other, NULL) == -EXDEV);
	check(catalog_open(dir, &other, &c) == -EXDEV);
	check(catalog_check_in_child(dir, NULL, NULL) == 0);
}

/* What costs durability or safety is never asked of LMDB (FINDINGS). */
static void flags(const char *dir)
{
	struct catalog *c = rig_open(dir);
	unsigned flags;

	check(mdb_env_get_flags(c->env, &flags) == 0 && flags == MDB_NOTLS);
	for (int t = 0; t < CATALOG_TABLES; t++) {
		MDB_txn *txn;

		check(mdb_txn_begin(c->env, NULL, MDB_RDONLY, &txn) == 0);
		check(mdb_dbi_flags(txn, c->table[t], &flags) == 0 && flags == 0);
		mdb_txn_abort(txn);
	}
	catalog_close(c);
}

/* Ids end before the incarnation's bits begin. */
static void last_ids(const char *dir)
{
	struct catalog *c = rig_open(dir);
	uint64_t all = (UINT64_C(1) << CATALOG_ID_BITS) - 1, id;
	struct catalog_node n;

	check(catalog_reserve(c, 0, &id) == -EINVAL);
	check(catalog_reserve(c, all + 1, &id) == -ENOSPC);
	check(catalog_reserve(c, UINT64_MAX, &id) == -ENOSPC);
	check(catalog_reserve(c, all, &id) == 0 && id == (UINT64_C(9) << CATALOG_ID_BITS) + 1);
	n = rig_node(id + all - 1, 77);
	check(catalog_put_nodes(c, &n, 1) == 0 && rig_is(c, id + all - 1, 77));
	check(n.id >> CATALOG_ID_BITS == 9);
	check(catalog_reserve(c, 1, &id) == -ENOSPC);
	catalog_close(c);
	check(rig_check(dir, NULL) == 0);
}

/* A record that is whole, but of a later version. */
static void later_version(const char *dir)
{
	struct catalog *c = rig_open(dir);
	struct catalog_format f = c->format;
	struct catalog_state state;
	MDB_val k = catalog_val("format", 6), v;
	uint8_t row[CATALOG_FORMAT_ROW];
	MDB_txn *txn;
	char why[200];

	f.incompatible = 1;
	v = catalog_val(row, catalog_encode_format(&f, row));
	check(mdb_txn_begin(c->env, NULL, 0, &txn) == 0);
	check(mdb_put(txn, c->table[CATALOG_META], &k, &v, 0) == 0);
	check(catalog_state_get(c, txn, &state) == 0);
	check(catalog_state_put(txn, c->table[CATALOG_META], f.sum_key, &state) == 0);
	check(mdb_txn_commit(txn) == 0);
	catalog_close(c);
	check(rig_check(dir, why) == -EPROTO && strstr(why, "later version"));
	check(catalog_open(dir, &rig_who, &c) == -EPROTO);
}

/* The two tables disagree although every record is whole: the daemon had a bug. */
static void disagreement(const char *dir)
{
	uint8_t key[CATALOG_KEY_MAX];
	struct handle h = rig_handle(5);
	struct catalog *c = rig_create(dir);
	MDB_val k = catalog_val(key, catalog_key_handle(&h, key));
	struct catalog_state state;
	MDB_txn *txn;
	char why[200];

	rig_add_many(c, 1, 10);
	check(mdb_txn_begin(c->env, NULL, 0, &txn) == 0);
	check(mdb_del(txn, c->table[CATALOG_HANDLES], &k, NULL) == 0);
	check(catalog_state_get(c, txn, &state) == 0);
	check(catalog_state_put(txn, c->table[CATALOG_META], c->format.sum_key, &state) == 0);
	check(mdb_txn_commit(txn) == 0);
	catalog_close(c);
	check(rig_check(dir, why) == -EUCLEAN && strstr(why, "do not agree"));
}

/* A reservation that was lost would be made again, for other files. */
static void lost_reservation(const char *dir)
{
	struct catalog *c = rig_create(dir);
	struct catalog_state state;
	MDB_txn *txn;
	char why[200];

	rig_add_many(c, 1, 10);
	check(mdb_txn_begin(c->env, NULL, 0, &txn) == 0);
	check(catalog_state_get(c, txn, &state) == 0);
	state.next -= 1;
	check(catalog_state_put(txn, c->table[CATALOG_META], c->format.sum_key, &state) == 0);
	check(mdb_txn_commit(txn) == 0);
	catalog_close(c);
	check(rig_check(dir, why) == -EUCLEAN && strstr(why, "never reserved"));
}

/* No room: an error, and everything is as it was. */
static void map_is_full(const char *dir)
{
	struct catalog_node *n = calloc(5000, sizeof *n);
	struct catalog_counts counts;
	struct catalog *c;
	uint64_t first;

	check(n && catalog_create(dir, &rig_who, 3) == 0);
	check(catalog_open_sized(dir, &rig_who, 65536, 262144, &c) == 0);
	check(catalog_reserve(c, 5000, &first) == 0);
	for (int i = 0; i < 5000; i++)
		n[i] = rig_node(first + i, 1 + i);
	fclose(stderr); /* it says so, rightly; a test's stderr is for failures */
	check(catalog_put_nodes(c, n, 5000) == -ENOSPC);
	check(rig_no_node(c, first) && rig_no_handle(c, 1));
	check(catalog_put_nodes(c, n, 100) == 0 && rig_is(c, first, 1));
	check(catalog_count(c, &counts) == 0 && counts.nodes == 100);
	catalog_close(c);
	free(n);
	check(rig_check(dir, NULL) == 0);
	c = rig_open(dir); /* and with the usual map there is room again */
	check(rig_add_many(c, 10000, 5000) > first);
	catalog_close(c);
}

static void test(const char *dir)
{
	create(dir);
	identity(dir);
	flags(dir);
	last_ids(dir);
	later_version(dir);
	disagreement(dir);
	lost_reservation(dir);
	map_is_full(dir);
}

int main(void)
{
	return scratch_run(test);
}
