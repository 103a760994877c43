/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/catalog_internal.h - what the catalog's own files share.  Nobody else includes this.
 *
 * catalog_record.c  bytes of the records          catalog_create.c  making an environment
 * catalog.c         the whole, reading            catalog_walk.c    the pages of the file, by hand
 * catalog_write.c   transactions that change      catalog_check.c   the child that walks them
 * catalog_env.c     opening, and opening anew
 */
#ifndef BASE_CATALOG_INTERNAL_H
#define BASE_CATALOG_INTERNAL_H

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/catalog_record.h"

#define CATALOG_DIRECTORY "catalog"	/* in the state directory: data.mdb, lock.mdb */
#define CATALOG_NEW	  "catalog.new" /* one that is being made */
#define CATALOG_DAMAGED	  "catalog.damaged-"

#define CATALOG_MAP_BYTES     (UINT64_C(16) << 30) /* address space, not memory */
#define CATALOG_MAP_BYTES_MAX (UINT64_C(1) << 40)
#define CATALOG_READERS	      64  /* read transactions kept for the next lookup */
#define CATALOG_READERS_MAX   512 /* at one time: more threads than weir has */

/* catalog_errno's word for "the map is too small"; nobody else gives it. */
#define CATALOG_MAP_FULL (-ENOBUFS)
/* For "LMDB refuses everything after a failed write". */
#define CATALOG_BROKEN (-ENOTRECOVERABLE)

struct catalog {
	MDB_env *env; /* changed under both locks */
	char *path;   /* of the environment's directory */
	MDB_dbi table[CATALOG_TABLES];
	struct catalog_format format;
	uint32_t incarnation;
	uint64_t map_bytes_max;

	/* One transaction that changes, from its begin to its commit; under it map_lock may be
	 * taken.  Protects what follows, to room_end. */
	pthread_mutex_t write_lock;
	uint64_t map_bytes;
	int64_t mend_tried; /* seconds of CLOCK_MONOTONIC */
	bool unwritable;    /* a fault left a transaction half-way; until the process ends */
	uint64_t room_end; /* the file has space to this offset (catalog_keep_room) */

	/* Shared: a read transaction is open.  Exclusive: the map moves.  Innermost. */
	pthread_rwlock_t map_lock;

	/* Read transactions that were reset, ready for mdb_txn_renew.  Whoever exchanges one for
	 * NULL owns it. */
	_Atomic(MDB_txn *) reader[CATALOG_READERS];
};

int catalog_errno(int lmdb_result);

/* Both locks are the caller's (or nobody else has @c yet).  Open leaves nothing open on failure. */
int catalog_env_open(struct catalog *c, const struct catalog_identity *who);
void catalog_env_close(struct catalog *c);

/* Under write_lock: after CATALOG_BROKEN.  0: try again; -EIO: it cannot be opened. */
int catalog_env_mend(struct catalog *c);

/* Under write_lock: keep space allocated behind the end of the file. */
void catalog_keep_room(struct catalog *c);

static inline MDB_val catalog_val(const void *data, size_t len)
{
	return (MDB_val){len, (void *)data};
}

static inline struct bytes catalog_bytes(MDB_val v)
{
	return (struct bytes){v.mv_data, v.mv_size};
}

static inline int catalog_get(struct catalog *c, MDB_txn *txn, enum catalog_table table,
			      const void *key, size_t key_len, struct bytes *ret)
{
	MDB_val k = catalog_val(key, key_len), v;
	int r = catalog_errno(mdb_get(txn, c->table[table], &k, &v));

	if (r == 0)
		*ret = catalog_bytes(v);
	return r;
}

int catalog_state_get(struct catalog *c, MDB_txn *txn, struct catalog_state *ret);
int catalog_state_put(MDB_txn *txn, MDB_dbi meta, const uint8_t *sum_key, struct catalog_state *s);

/* As catalog_open, with a map of @map_bytes that may grow to @map_bytes_max. */
int catalog_open_sized(const char *dir, const struct catalog_identity *who, uint64_t map_bytes,
		       uint64_t map_bytes_max, struct catalog **ret);

int catalog_refuse_network(const char *dir); /* -EREMOTE */

/* What a walk over the file @path found: 0, -EUCLEAN, -EPROTO or -EXDEV, and a sentence. */
struct catalog_verdict {
	int result;
	char why[240];
};
void catalog_walk(const char *path, const struct catalog_identity *who,
		  struct catalog_verdict *ret);

#endif
