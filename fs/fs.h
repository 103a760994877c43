/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/fs.h - one mounted datastore: what all files of fs/ share.
 *
 * Lock order, first to last (docs/locking.md says why):
 *     policy assignments (fs/assign) - open slots (fs/open) - node table (fs/nodes) -
 *     session - events - fd cache shards - slate - disks in use - disk queue (base/queue)
 * No lock of an object is held over a system call or a FUSE reply.
 */
#ifndef FS_FS_H
#define FS_FS_H

#include "base/datastore.h"
#include "base/fd_path.h"
#include "base/fdcache.h"
#include "base/header.h"
#include "base/paths.h"
#include "base/pool.h"
#include "fs/nodes.h"
#include "fs/options.h"
#include "fs/session.h"
#include "fs/trouble.h"

struct broker_client;
struct io;

struct fs {
	struct options options;
	struct datastore *store;
	struct catalog *catalog;
	struct fdcache *fds;
	struct held *held;	 /* fs/held.h */
	struct slate *slate;
	struct blames *blames;	 /* fs/blame.h */
	struct watchdog *watchdog; /* fs/watchdog.h */
	struct disk_list *disks; /* fs/disk.h */
	bool resumed;		 /* a worker before us served this mount */
	struct nodes *nodes;
	struct session *session;
	struct pool *pool;       /* background work */
	struct opens *opens;     /* fs/open.h */
	struct listings *listings; /* fs/listing.h */
	struct assignments *assignments; /* fs/assign.h */
	struct events *events;   /* fs/events.h */
	struct recogniser *recogniser; /* fs/recognise.h */
	struct broker_client *broker; /* fs/broker.h */
	struct disk_mark_calls marks; /* by the broker (fs/backing_xattr.h) */
	char *policy_directories[PATHS_POLICY_DIRS_MAX]; /* malloc'ed; NULL ends them */
	dev_t device;            /* of the datastore directory */
	struct gate *gate;	 /* fs/gate.h */
	int null_fd;		 /* /dev/null */
	bool no_selinux;	 /* this host has none */
	_Atomic pid_t walkers[256]; /* fs/listing.c: who looks at what it lists, by pid */
	dev_t mount_device;      /* of the mount */
	struct trouble trouble;
};

/* libfuse's table of our callbacks (fs/operations.c). */
extern const struct fuse_lowlevel_ops fs_operations;

/* Run requests that a queue let go: the first here, the rest in other threads (fs/io.c). */
void fs_run_io(struct fs *fs, struct io *io);

static inline struct fs *request_fs(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* Attributes and names are trusted by the kernel for this long; a change behind our back is seen
 * after it at the latest. */
static inline double fs_timeout(const struct fs *fs)
{
	return fs->options.revalidate;
}

/* ---- what the operations share (fs/files.c) ----------------------------------------------- */

/* A borrowed descriptor of a node's file.  A directory whose last name we removed is -ENOENT
 * instead of -ESTALE, as natively. */
int node_fd(struct fs *fs, struct node *node, enum fd_kind kind, struct fdref **ret);

/* -ENOENT when @name may not be seen in @dir, which is .weir in the root. */
int name_visible(const struct node *dir, const char *name);
/* -EPERM when @name may not be made in @dir. */
int name_allowed(const struct node *dir, const char *name);

/* Find @name in @dir: its node, with a reference, and attributes as they are shown. */
int find_child(struct fs *fs, struct node *dir, const char *name, struct node **ret,
	       struct stat *ret_st);
/* The same for a file just opened or made; @fd stays the caller's. */
int find_opened(struct fs *fs, struct node *dir, const char *name, int fd, struct node **ret,
		struct stat *ret_st);
int node_attributes(struct fs *fs, struct node *node, struct stat *ret);
void show_attributes(struct fs *fs, struct node *node, struct stat *st);

void reply_entry(fuse_req_t req, struct node *node, const struct stat *st);
void fill_entry(struct fs *fs, struct fuse_entry_param *e, const struct node *node,
		const struct stat *st);
void fill_entry_out(struct fs *fs, struct fuse_entry_out *e, const struct node *node,
		    const struct stat *st);

/* Reply with 0 or a negative errno. */
void reply_result(fuse_req_t req, int r);

/* openat, with a negative errno; when there is no descriptor left, idle ones make room first. */
int open_with_room(struct fs *fs, int dirfd, const char *name, int flags, mode_t mode);

struct node_scope { /* a node reference that ends with the scope */
	struct fs *fs;
	struct node *node;
};
static inline void node_scope_end(struct node_scope *s)
{
	node_unref(s->fs->nodes, s->node);
}
#define _node_ _cleanup_(node_scope_end) struct node_scope

#endif
