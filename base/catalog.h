/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/catalog.h - the LMDB environment of a datastore: node ids, and copies of facts.
 *
 * Tables (docs/format.md has every byte):
 *     meta     format and feature flags, datastore identity, incarnation, reserved ids
 *     nodes    node id -> handle, parent's node id, name        (parent and name are hints)
 *     handles  handle  -> node id
 *     disks    disk id -> handle, policy, flags                 (copy; true in the disk header)
 *     facts    handle  -> what recognition saw, as JSON         (kept: a file is classified once)
 *
 * Every record carries a keyed checksum (SipHash, key in meta) bound to its table and key: LMDB
 * checks nothing it reads (FINDINGS).  Before a process opens the environment, a child walks all
 * of it (catalog_check_in_child): damage kills the child, not the daemon.
 *
 * Invariant  a node id is given to one file ever: ids come from ranges that are durably reserved
 *            before the first of them is used, under an incarnation that is durably larger than
 *            any before (or another one when nobody knows: see catalog_create).  nodes and
 *            handles are changed in one transaction and agree.
 * Durability default LMDB sync; a commit that returned 0 survives a power cut.  An environment is
 *            created in a temporary directory, synced and renamed.
 * Threads    any.  Reads use short read transactions; commits are serialised inside.
 * Refuses    a newer incompatible format (-EPROTO), damage (-EUCLEAN), another datastore's
 *            catalog (-EXDEV), a network filesystem or FUSE, which may be one (-EREMOTE).
 * Errors     of every call, besides its own: -EUCLEAN (a damaged record: stop, and rebuild),
 *            -ENOSPC (no room; nothing was changed), -EIO, -ENOMEM.
 */
#ifndef BASE_CATALOG_H
#define BASE_CATALOG_H

#include <stdint.h>

#include "base/handle.h"

#define CATALOG_ID_BITS         43
#define CATALOG_INCARNATION_MAX ((1u << 20) - 1)
#define CATALOG_NAME_MAX        255
#define CATALOG_ID_ROOT         1 /* incarnation 0, which no catalog has */

struct catalog;

struct disk_id {
	uint8_t bytes[16];
};

/* Which datastore a catalog belongs to. */
struct catalog_identity {
	uint8_t fs_uuid[16]; /* of the backing filesystem */
	struct handle root;  /* of the datastore directory */
};

struct catalog_node {
	uint64_t id;     /* incarnation << 43 | counter */
	uint64_t parent; /* a hint; 0: unknown */
	struct handle handle;
	char name[CATALOG_NAME_MAX + 1]; /* a hint; "": unknown */
};

enum catalog_disk_flags {
	CATALOG_DISK_PENDING = 1, /* the policy waits for a lease */
	CATALOG_DISK_DIRECTORY = 2,
	CATALOG_DISK_VM = 4,
	CATALOG_DISK_UNLINKED = 8, /* its file lies in .weir/orphans */
};

struct catalog_disk {
	struct disk_id id;
	struct handle handle;
	uint64_t node;
	uint32_t flags;
	uint64_t policy_version;
	char policy[64];
};

/* @dir below is the state directory: the environment lies in @dir/catalog. */

/* Walk all of the environment in @dir in a child process and check every record.  Nobody may
 * have it open meanwhile, and the caller has no threads yet.
 * 0, -ENOENT (there is none), -EUCLEAN (damaged), -EPROTO (too new), -EXDEV (another
 * datastore's; not looked at when @who is NULL), -ETIMEDOUT (30 s and more for a large one).
 * *ret_why, if not NULL, is a sentence for people (malloc'ed), set when the result is not 0. */
int catalog_check_in_child(const char *dir, const struct catalog_identity *who, char **ret_why);

/* Open the environment in @dir, which catalog_check_in_child found good. */
int catalog_open(const char *dir, const struct catalog_identity *who, struct catalog **ret);

/* Make a new, empty environment in @dir (which may hold an old one: it is moved aside to
 * "catalog.damaged-N" and kept), with @incarnation, 1 to CATALOG_INCARNATION_MAX (-EINVAL). */
int catalog_create(const char *dir, const struct catalog_identity *who, uint32_t incarnation);

void catalog_close(struct catalog *c); /* accepts NULL */

uint32_t catalog_incarnation(struct catalog *c);

/* Reserve @n ids durably; the first is *ret_first.  -ENOSPC: all ids of the incarnation used. */
int catalog_reserve(struct catalog *c, uint64_t n, uint64_t *ret_first);

/* 0 or -ENOENT; -EUCLEAN: the record is damaged, and the file must be treated as unknown. */
int catalog_find_handle(struct catalog *c, const struct handle *h, uint64_t *ret_id);
int catalog_find_node(struct catalog *c, uint64_t id, struct catalog_node *ret);

/* One transaction: insert or replace @n nodes (a node with handle.len 0 is deleted by id).  An id
 * that gets another handle loses the one it had; an id whose handle goes to another id is
 * deleted.  Of an id or a handle that is twice in @nodes the last one counts.  Any order.
 *
 * -EINVAL  an id that was not reserved (only CATALOG_ID_ROOT may be), a name without an end, a
 *          handle longer than HANDLE_MAX or without zeros behind it: nothing is put */
int catalog_put_nodes(struct catalog *c, const struct catalog_node *nodes, size_t n);

int catalog_put_disk(struct catalog *c, const struct catalog_disk *d);
int catalog_delete_disk(struct catalog *c, const struct disk_id *id); /* -ENOENT */
/* Calls @each for every disk; stops at its first non-zero result and returns that.  @each may
 * change the catalog; a disk put meanwhile is seen or not. */
int catalog_each_disk(struct catalog *c, int (*each)(const struct catalog_disk *d, void *data),
		      void *data);

/* What recognition saw (JSON text, at most 16 KiB: -E2BIG).  *ret is malloc'ed; -ENOENT. */
int catalog_find_facts(struct catalog *c, const struct handle *h, char **ret);
int catalog_put_facts(struct catalog *c, const struct handle *h, const char *json);

struct catalog_counts {
	uint64_t nodes, disks, facts;
	uint64_t bytes; /* of the file */
};
int catalog_count(struct catalog *c, struct catalog_counts *ret);

#endif
