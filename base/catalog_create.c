/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/catalog_create.c - making a new environment; see base/catalog.h.
 *
 * LMDB's own creation is not crash-atomic (FINDINGS), so it happens under another name.  An old
 * environment and the new one exchange their names in one step, then the old one is moved aside:
 * at every moment there is a whole environment, or there never was one.
 */
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/catalog_internal.h"
#include "base/cleanup.h"

static int write_first_rows(MDB_txn *txn, const struct catalog_identity *who, uint32_t incarnation)
{
	struct catalog_state state = {.next = 1, .incarnation = incarnation};
	struct catalog_format format = {.who = *who};
	uint8_t row[CATALOG_FORMAT_ROW];
	MDB_val k = catalog_val(CATALOG_KEY_FORMAT, strlen(CATALOG_KEY_FORMAT)), v;
	MDB_dbi table[CATALOG_TABLES];
	int r = 0;

	for (int t = 0; t < CATALOG_TABLES && r == 0; t++)
		r = mdb_dbi_open(txn, catalog_table_names[t], MDB_CREATE, &table[t]);
	if (r)
		return catalog_errno(r);

	crypto_shorthash_keygen(format.sum_key);
	v = catalog_val(row, catalog_encode_format(&format, row));
	r = catalog_errno(mdb_put(txn, table[CATALOG_META], &k, &v, 0));
	if (r < 0)
		return r;
	return catalog_state_put(txn, table[CATALOG_META], format.sum_key, &state);
}

/* In the empty directory @path; durable except for the directory itself. */
static int env_make(const char *path, const struct catalog_identity *who, uint32_t incarnation)
{
	MDB_env *env;
	MDB_txn *txn;
	int r;

	r = catalog_errno(mdb_env_create(&env));
	if (r < 0)
		return r;

	r = mdb_env_set_mapsize(env, CATALOG_MAP_BYTES);
	if (r == 0)
		r = mdb_env_set_maxdbs(env, CATALOG_TABLES);
	if (r == 0)
		r = mdb_env_open(env, path, MDB_NOTLS, 0600);
	if (r == 0)
		r = mdb_txn_begin(env, NULL, 0, &txn);
	r = catalog_errno(r);
	if (r == 0) {
		r = write_first_rows(txn, who, incarnation);
		if (r == 0)
			r = catalog_errno(mdb_txn_commit(txn));
		else
			mdb_txn_abort(txn);
	}
	mdb_env_close(env);
	return r;
}

static int directory_sync(int dirfd, const char *name)
{
	_cleanup_(closep) int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return fsync(fd) < 0 ? -errno : 0;
}

/* To "catalog.damaged-N" with the first N that is free.  Nothing to move is fine. */
static int move_aside(int dirfd, const char *name)
{
	char to[64];

	for (unsigned n = 1; n < 100000; n++) {
		snprintf(to, sizeof to, CATALOG_DAMAGED "%u", n);
		if (renameat2(dirfd, name, dirfd, to, RENAME_NOREPLACE) == 0 || errno == ENOENT)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

/* The new environment takes its name, with one rename. */
static int put_in_place(int dirfd)
{
	if (renameat2(dirfd, CATALOG_NEW, dirfd, CATALOG_DIRECTORY, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (renameat2(dirfd, CATALOG_NEW, dirfd, CATALOG_DIRECTORY, RENAME_EXCHANGE) < 0)
		return -errno;
	return move_aside(dirfd, CATALOG_NEW);
}

int catalog_create(const char *dir, const struct catalog_identity *who, uint32_t incarnation)
{
	_cleanup_(closep) int dirfd = -1;
	char path[4096];
	int r;

	if (incarnation == 0 || incarnation > CATALOG_INCARNATION_MAX)
		return -EINVAL;
	if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, CATALOG_NEW) >= sizeof path)
		return -ENAMETOOLONG;
	r = catalog_refuse_network(dir);
	if (r < 0)
		return r;
	if (sodium_init() < 0)
		return -ENOSYS;
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return -errno;

	/* Left by an attempt that was cut off: unfinished, or the old one after the exchange. */
	r = move_aside(dirfd, CATALOG_NEW);
	if (r < 0)
		return r;
	if (mkdirat(dirfd, CATALOG_NEW, 0700) < 0)
		return -errno;
	r = env_make(path, who, incarnation);
	if (r < 0)
		return r;
	r = directory_sync(dirfd, CATALOG_NEW);
	if (r < 0)
		return r;
	r = put_in_place(dirfd);
	if (r < 0)
		return r;
	return fsync(dirfd) < 0 ? -errno : 0;
}
