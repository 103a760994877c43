/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/nodes_table.h - the nodes in memory, and what keeps their ids; for fs/nodes*.c alone.
 *
 * fs/nodes_table.c   the two tables, references, hints
 * fs/nodes_commit.c  ids: reserved, promised in the slate, committed to the catalog; and what a
 *                    dead worker promised
 * fs/nodes.c         what the others of fs/ ask for (fs/nodes.h)
 */
#ifndef FS_NODES_TABLE_H
#define FS_NODES_TABLE_H

#include <pthread.h>

#include "fs/nodes.h"

#define NODES_LOCKS 64u
#define NODES_BATCH 8192 /* rows of one commit */

/* Two hash tables with chains through the nodes.  The tables grow as a whole: growth takes the
 * table lock for writing, everything else for reading, then a bucket lock. */
struct nodes {
	struct catalog *catalog;
	struct slate *slate;
	struct node *root;

	pthread_rwlock_t table_lock; /* first: protects the arrays themselves */
	pthread_mutex_t handle_locks[NODES_LOCKS]; /* second: chains by handle */
	pthread_mutex_t id_locks[NODES_LOCKS];     /* third: chains by id, references, hints */
	struct node **by_id, **by_handle;
	_Atomic uint32_t buckets; /* changes under table_lock alone; a glance needs no lock */
	_Atomic size_t count;
	bool resumed; /* the kernel knows nodes that we do not */

	pthread_mutex_t ids_lock; /* protects next_id and end_id; held over a reservation, which
				     is rare and must not be done twice */
	uint64_t next_id, end_id; /* also in the slate, for the next worker */

	struct catalog_node *rows; /* the committer's, of NODES_BATCH */
	uint32_t *slots;
	pthread_t committer;
	pthread_mutex_t commit_lock; /* protects stop, hurry, commits */
	pthread_cond_t commit_wake, commit_done;
	bool stop, hurry;
	_Atomic bool failing; /* commits do not work at present */
	_Atomic bool unpromised; /* a node may be flagged so */
	uint64_t commits_begun, commits_done;
};

/* ---- fs/nodes_table.c -------------------------------------------------------------------- */

int nodes_table_new(struct nodes *n);
void nodes_table_free(struct nodes *n);

/* The lock of an id's bucket: taken under table_lock. */
pthread_mutex_t *nodes_id_lock(struct nodes *n, uint64_t id);
struct node *nodes_by_id(struct nodes *n, uint64_t id); /* under both */

/* A new node with one reference, in no table yet.  NULL: no memory. */
struct node *node_make(uint64_t id, const struct handle *h, uint64_t ino, bool directory,
		       uint64_t parent, const char *name);
void node_free(struct node *node);

/* Insert *@node, or find that somebody else has inserted its twin: then that one is returned with a
 * reference, and *node is left to the caller. */
struct node *nodes_insert(struct nodes *n, struct node **node, uint64_t hash);
/* The node of a handle in memory, with a reference; NULL: there is none. */
struct node *nodes_by_handle(struct nodes *n, const struct handle *h, uint64_t hash);
void nodes_grow(struct nodes *n); /* if the chains get long */
void node_set_hints(struct nodes *n, struct node *node, uint64_t parent, const char *name);

/* ---- fs/nodes_commit.c ------------------------------------------------------------------- */

int nodes_new_id(struct nodes *n, uint64_t *ret);
/* Note it in the slate, to be committed; with @gone to be removed. */
void node_promise(struct nodes *n, struct node *node, bool gone);
void nodes_restore(struct nodes *n); /* before the committer starts */
int nodes_committer_start(struct nodes *n);
void nodes_committer_stop(struct nodes *n); /* commits what is promised first */

#endif
