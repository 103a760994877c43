/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/nodes.h - the files the kernel knows, by node id and by backing handle.
 *
 * A node id names one file for ever (base/catalog.h); a node is the memory for it while somebody
 * uses it: the kernel (lookups), a request (references), an open, or a promise that is not yet
 * committed.  It holds no descriptor.  Parent and name are hints: where the file was last seen.
 *
 * Invariant  of two nodes no two have the same id or the same handle.  A node is in memory as
 *            long as its id is in the slate and not in the catalog, so a second lookup of the
 *            same file finds the same id.
 *            An id that the kernel shows us and that is neither in memory nor in the catalog, or
 *            whose handle does not open any more, is ESTALE: never another file.
 * Threads    any.  Locks: the lock of a handle bucket, then the lock of an id bucket; both are
 *            leaves otherwise and never held over a system call.
 * Memory     about 190 bytes a node with its name and share of the tables.
 */
#ifndef FS_NODES_H
#define FS_NODES_H

#include <stdatomic.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/catalog.h"
#include "fs/slate.h"

#define NODE_ROOT 1u /* FUSE's own id of the root; its generation is 0 */

enum node_flags {
	NODE_ORPHAN = 1,  /* unlinked, open, and lying in .weir/orphans: one link less is shown */
	NODE_GONE = 2,    /* its last name is removed */
	NODE_DIRECTORY = 4,
	NODE_CREATED = 8, /* made or emptied through this mount, and its writer has it open yet */
	NODE_BUSY = 16,   /* somebody owns its open state (fs/open.h) */
	NODE_CLASSIFIED = 32, /* what it is was decided and is in the catalog (fs/recognise.h) */
	NODE_LOOKING = 64, /* a job compares its size with what its stack thinks */
	NODE_UNCAPPED = 128, /* its file capabilities were just removed (fs/attributes.c) */
	NODE_LOST = 256, /* gone before this worker's time: only its epitaph is known */
	NODE_UNPROMISED = 512, /* its id is neither in the slate nor in the catalog */
	NODE_HINTS_NEW = 1024, /* parent or name are other ones than was promised */
	NODE_FRESH = 2048, /* its id is about to be promised */
};

struct node {
	uint64_t id;
	uint64_t ino; /* st_ino of the backing file */
	struct handle handle;
	struct node *next_by_id, *next_by_handle;
	uint32_t references; /* requests, opens, promises; the table's locks protect it */
	_Atomic uint32_t flags;
	uint64_t lookups; /* the kernel's; a hint: only decides how long the memory is kept */

	/* hints, under the id bucket's lock */
	uint64_t parent;
	char *name;

	/* fs/open.h: index of the slate's open slot plus one, 0: not open.  Its lock protects it.
	 */
	uint32_t open;
	_Atomic uint64_t size_seen; /* by the last getattr of an open file the daemon serves */
	struct disk *disk; /* while the daemon serves it (fs/disk.h); same lock */
	struct stat *buried; /* last attributes of a file that is gone but still known */
	struct fdref *grave; /* of a directory that is gone but may be open: no handle finds it */
};

struct fdref;
struct nodes;

/* @catalog and @slate are borrowed.  @root is the datastore directory.  @resumed: the kernel knows
 * nodes from a worker before this one, whose promises are in the slate.  Starts the committer
 * thread. */
int nodes_new(struct catalog *catalog, struct slate *slate, const struct handle *root,
	      uint64_t root_ino, bool resumed, struct nodes **ret);
void nodes_free(struct nodes *n); /* commits what is promised first */

/* The node of a file that was just found, with a new reference.  A file never seen before gets an
 * id, promised in the slate. */
int nodes_find(struct nodes *n, const struct handle *h, uint64_t ino, bool directory,
	       uint64_t parent, const char *name, struct node **ret);

/* As nodes_find for a file that must be known in memory; NULL: it is not. */
struct node *nodes_known(struct nodes *n, const struct handle *h);

/* The node of an id that the kernel shows us, with a new reference.  -ESTALE: there is none. */
int nodes_get(struct nodes *n, uint64_t id, struct node **ret);

struct node *node_ref(struct nodes *n, struct node *node);
void node_unref(struct nodes *n, struct node *node);

/* The kernel's lookup count. */
void node_add_lookup(struct nodes *n, struct node *node);
void nodes_forget(struct nodes *n, uint64_t id, uint64_t count);

/* The file was seen there: updates the hints in memory. */
void node_seen(struct nodes *n, struct node *node, uint64_t parent, const char *name);
/* The file has moved inside the mount; remembered in the catalog too. */
void node_moved(struct nodes *n, struct node *node, uint64_t parent, const char *name);
/* Somebody relies on the hints from now on: let the next worker have them, too. */
void node_keep_hints(struct nodes *n, struct node *node);
/* One of several names is gone. */
void node_lost_name(struct nodes *n, struct node *node, uint64_t parent, const char *name);
/* Its last name is gone: drop the record. */
void node_gone(struct nodes *n, struct node *node);
/* Keep the attributes of a file that is gone, for those who still hold it open by path. */
void node_bury(struct nodes *n, struct node *node, const struct stat *st);
/* Takes @ref over: keeps the directory reachable through the fd cache while its node is known. */
void node_keep_open(struct nodes *n, struct node *node, struct fdref *ref);
int node_epitaph(struct nodes *n, struct node *node, struct stat *ret); /* -ENOENT: none */

/* Copies of the hints. */
uint64_t node_parent(struct nodes *n, struct node *node);
void node_name(struct nodes *n, struct node *node, char ret[256]);

/* "vm1/disk.vmdk" from the hints; "?" for what is unknown. */
void node_path(struct nodes *n, struct node *node, char *ret, size_t size);

void nodes_commit_now(struct nodes *n); /* returns when everything promised so far is durable */
size_t nodes_count(struct nodes *n);

#endif
