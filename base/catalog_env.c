/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/catalog_env.c - opening the environment, and opening it anew; see base/catalog.h.
 *
 * When the write that ends a transaction fails (a bad medium; or no room, on a filesystem that
 * does not overwrite in place), LMDB puts the old page back and refuses everything from then on,
 * reading too, until the environment is opened again.  All pages that the old page names are
 * durable, so what is found then is the state before the transaction (or behind it, when not even
 * the old page could be put back).
 *
 * Invariant  c->env is NULL only when it could not be opened again; that is tried once a second.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/catalog_guard.h"
#include "base/catalog_internal.h"
#include "base/cleanup.h"
#include "base/log.h"

#define LOCK_FILE "lock.mdb" /* LMDB's name for it */
#define LOCK_NEW  "lock.new"

static int format_get(struct catalog *c, MDB_txn *txn)
{
	struct bytes key = {CATALOG_KEY_FORMAT, strlen(CATALOG_KEY_FORMAT)}, value;
	int r;

	r = catalog_get(c, txn, CATALOG_META, key.data, key.len, &value);
	if (r < 0)
		return r == -ENOENT ? -EUCLEAN : r;

	return catalog_decode_format(key, value, &c->format);
}

static bool identity_equal(const struct catalog_identity *a, const struct catalog_identity *b)
{
	return memcmp(a->fs_uuid, b->fs_uuid, sizeof a->fs_uuid) == 0 &&
	       a->root.type == b->root.type && a->root.len == b->root.len &&
	       memcmp(a->root.data, b->root.data, sizeof a->root.data) == 0;
}

/* Table handles belong to the environment once the transaction that opened them commits. */
static int tables_open(struct catalog *c, const struct catalog_identity *who)
{
	struct catalog_state state;
	MDB_txn *txn;
	int r;

	r = catalog_errno(mdb_txn_begin(c->env, NULL, MDB_RDONLY, &txn));
	if (r < 0)
		return r;

	for (int t = 0; t < CATALOG_TABLES && r == 0; t++)
		r = catalog_errno(mdb_dbi_open(txn, catalog_table_names[t], 0, &c->table[t]));
	if (r == -ENOENT)
		r = -EUCLEAN;
	if (r == 0)
		r = format_get(c, txn);
	if (r == 0)
		r = catalog_state_get(c, txn, &state);
	if (r == 0 && !identity_equal(&c->format.who, who))
		r = -EXDEV;
	if (r < 0) {
		mdb_txn_abort(txn);
		return r;
	}
	c->incarnation = state.incarnation;
	return catalog_errno(mdb_txn_commit(txn));
}

/* LMDB maps its lock file for writing and stores into it at every read.  On a filesystem that is
 * full (btrfs) or refuses writes since an error, such a store is a SIGBUS.  Nobody else uses this
 * environment (base/datastore.h), so the file may lie in memory: its name leads there while the
 * environment is opened, and is gone after that.  Where the name cannot be made, because the
 * filesystem is full already, LMDB uses its own file. */
static int lock_in_memory(int dirfd)
{
	_cleanup_(closep) int fd = memfd_create("weir-catalog-lock", MFD_CLOEXEC);
	char target[32];

	if (fd < 0)
		return -errno;
	snprintf(target, sizeof target, "/proc/self/fd/%d", fd);
	unlinkat(dirfd, LOCK_NEW, 0);
	if (symlinkat(target, dirfd, LOCK_NEW) < 0)
		return -errno;
	if (renameat(dirfd, LOCK_NEW, dirfd, LOCK_FILE) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int env_open_locked(struct catalog *c)
{
	_cleanup_(closep) int dirfd = open(c->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(closep) int lock = -1;
	int r;

	if (dirfd < 0)
		return -errno;
	lock = lock_in_memory(dirfd);
	r = mdb_env_open(c->env, c->path, MDB_NOTLS, 0600);
	if (lock >= 0)
		unlinkat(dirfd, LOCK_FILE, 0);
	return catalog_errno(r);
}

static int env_open(struct catalog *c)
{
	int r;

	r = mdb_env_create(&c->env);
	if (r == 0)
		r = mdb_env_set_mapsize(c->env, c->map_bytes);
	if (r == 0)
		r = mdb_env_set_maxdbs(c->env, CATALOG_TABLES);
	if (r == 0)
		r = mdb_env_set_maxreaders(c->env, CATALOG_READERS_MAX);
	return r ? catalog_errno(r) : env_open_locked(c);
}

struct opening {
	struct catalog *c;
	const struct catalog_identity *who;
};

/* After a fault its transaction goes with the environment. */
static int open_tables(void *data)
{
	struct opening *o = data;

	return tables_open(o->c, o->who);
}

int catalog_env_open(struct catalog *c, const struct catalog_identity *who)
{
	struct opening o = {c, who};
	int r = env_open(c);

	if (r == 0)
		r = catalog_guard(open_tables, &o);
	if (r < 0)
		catalog_env_close(c);
	return r;
}

void catalog_env_close(struct catalog *c)
{
	if (c->unwritable)
		return; /* a transaction is under way for ever: the process's end closes it */
	for (size_t i = 0; i < CATALOG_READERS; i++)
		mdb_txn_abort(atomic_exchange(&c->reader[i], NULL));
	if (c->env)
		mdb_env_close(c->env);
	c->env = NULL;
}

static bool env_works(struct catalog *c)
{
	MDB_txn *txn;

	if (!c->env || mdb_txn_begin(c->env, NULL, MDB_RDONLY, &txn))
		return false;
	mdb_txn_abort(txn);
	return true;
}

static int env_open_again(struct catalog *c)
{
	struct catalog_identity who = c->format.who;
	struct timespec now;
	bool first = c->env;
	int r;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (c->unwritable || (!first && now.tv_sec == c->mend_tried))
		return -EIO;
	c->mend_tried = now.tv_sec;
	catalog_env_close(c);
	r = catalog_env_open(c, &who);
	if (r == 0)
		log_warning("catalog: opened anew, after its last write to %s failed", c->path);
	else if (first)
		log_error("catalog: %s cannot be opened again after a write failed: %s; files that "
			  "are open go on, others cannot be looked up. Look for errors of its "
			  "device in the kernel's log; trying again every second", c->path,
			  strerror(-r));
	return r < 0 ? -EIO : 0;
}

int catalog_env_mend(struct catalog *c)
{
	int r = 0;

	pthread_rwlock_wrlock(&c->map_lock);
	if (!env_works(c)) /* else somebody else was quicker */
		r = env_open_again(c);
	pthread_rwlock_unlock(&c->map_lock);
	return r;
}
