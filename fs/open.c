/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/open.c - see fs/open.h. */
#include <fcntl.h>
#include <string.h>

#include "base/log.h"
#include "fs/assign.h"
#include "fs/cover.h"
#include "fs/callbacks.h"
#include "fs/disk.h"
#include "fs/open.h"
#include "fs/orphan.h"
#include "fs/recognise.h"

/* A file handle: the open slot's index plus one, and whether the open may write. */
#define FH_WRITER 1u
#define FH_SHIFT  1

struct opens {
	pthread_mutex_t lock; /* protects node->open, NODE_BUSY and the slots */
	pthread_cond_t changed;
	_Atomic bool told; /* why passthrough is not possible here was logged */
	struct node *node[SLATE_OPENS]; /* of each slot in use; the slot holds the reference */
};

int opens_new(struct opens **ret)
{
	struct opens *o = calloc(1, sizeof *o);

	if (!o)
		return -ENOMEM;
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->changed, NULL);
	*ret = o;
	return 0;
}

void opens_free(struct opens *o)
{
	if (!o)
		return;
	pthread_mutex_destroy(&o->lock);
	pthread_cond_destroy(&o->changed);
	free(o);
}

void open_begin(struct fs *fs, struct node *node)
{
	LOCKED(&fs->opens->lock);
	while (node->flags & NODE_BUSY)
		pthread_cond_wait(&fs->opens->changed, &fs->opens->lock);
	atomic_fetch_or(&node->flags, NODE_BUSY);
}

void open_end(struct fs *fs, struct node *node)
{
	LOCKED(&fs->opens->lock);
	atomic_fetch_and(&node->flags, ~(uint32_t)NODE_BUSY);
	pthread_cond_broadcast(&fs->opens->changed);
}

static struct slate_open *slot_of(struct fs *fs, struct node *node)
{
	return node->open ? slate_open_at(fs->slate, node->open - 1) : NULL;
}

struct slate_open open_glance(struct fs *fs, struct node *node)
{
	LOCKED(&fs->opens->lock);
	return node->open ? *slot_of(fs, node) : (struct slate_open){0};
}

struct slate_open open_state(struct fs *fs, struct node *node)
{
	return open_glance(fs, node);
}

struct node *open_node(struct fs *fs, uint64_t fh, uint64_t id)
{
	uint64_t index = (fh >> FH_SHIFT) - 1;

	if (index >= SLATE_OPENS || slate_open_at(fs->slate, (uint32_t)index)->node != id)
		return NULL;
	return fs->opens->node[index];
}

size_t open_list(struct fs *fs, uint64_t *ids, size_t max)
{
	return slate_open_list(fs->slate, ids, max);
}

/* ---- the first open decides -------------------------------------------------------------- */

static int backing_open(struct fs *fs, struct node *node, int32_t *ret_id)
{
	struct weir_backing_map map = {0};
	_cleanup_(closep) int fd = handle_open(fs->store->mount_fd, &node->handle,
					       O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int id;

	if (fd < 0)
		return fd;
	map.fd = fd;
	id = ioctl(session_device(fs->session), WEIR_DEV_IOC_BACKING_OPEN, &map);
	if (id <= 0)
		return id < 0 ? -errno : -EIO;
	*ret_id = id;
	return 0;
}

static void backing_close(struct fs *fs, int32_t id)
{
	uint32_t arg = (uint32_t)id;

	if (ioctl(session_device(fs->session), WEIR_DEV_IOC_BACKING_CLOSE, &arg) < 0)
		log_warning("cannot close backing id %d: %s, ignoring", id, strerror(errno));
}

/* A set-id file goes through us: the kernel leaves it to the daemon to clear the bits when
 * somebody writes, and in passthrough we would not see the write. */
static bool has_set_id(const struct stat *st)
{
	return st->st_mode & (S_ISUID | S_ISGID);
}

/* It may turn out to be part of that disk, or of its VM. */
static bool is_new_beside_disk(struct fs *fs, struct node *node)
{
	return (node->flags & NODE_CREATED) && assign_beside(fs, node_parent(fs->nodes, node));
}

/* O_APPEND: the kernel opens the backing file with it, and fcntl(F_SETFL) that takes it away later
 * does not reach that file: writes would go to the end all the same. */
static bool may_pass_through(struct fs *fs, struct node *node, int flags, const struct stat *st)
{
	return session_abilities(fs->session)->passthrough && !node->disk && !has_set_id(st) &&
	       !(flags & O_APPEND) && !is_new_beside_disk(fs, node) &&
	       !cover_needs_daemon(fs, node);
}

static int first_open(struct fs *fs, struct node *node, int flags, struct slate_open *state)
{
	struct stat st;
	int r;

	r = node_attributes(fs, node, &st); /* also: it was not removed behind us */
	if (r < 0)
		return r;
	r = -EOPNOTSUPP;
	if (may_pass_through(fs, node, flags, &st)) {
		r = backing_open(fs, node, &state->backing_id);
		if (r == 0)
			state->way = WAY_PASSTHROUGH;
		else if (r == -ESTALE || r == -ENOENT)
			return r;
		else if (!atomic_exchange(&fs->opens->told, true))
			log_notice("passthrough is not possible here (%s): bytes go through the "
				   "daemon", strerror(-r));
	}
	if (r < 0) {
		r = disk_get(fs, node);
		state->way = WAY_DAEMON;
	}
	return r;
}

static int new_slot(struct fs *fs, struct node *node, int flags)
{
	struct slate_open state = {.node = node->id};
	uint32_t index;
	int r;

	r = first_open(fs, node, flags, &state);
	if (r < 0)
		return r;
	r = slate_open_new(fs->slate, node->id, &index);
	if (r < 0) {
		if (state.way == WAY_PASSTHROUGH)
			backing_close(fs, state.backing_id);
		else
			disk_put(fs, node);
		return r;
	}
	slate_open_at(fs->slate, index)->way = state.way;
	slate_open_at(fs->slate, index)->backing_id = state.backing_id;
	node_ref(fs->nodes, node); /* the slot's */
	fs->opens->node[index] = node;
	pthread_mutex_lock(&fs->opens->lock);
	node->open = index + 1;
	pthread_mutex_unlock(&fs->opens->lock);
	return 0;
}

/* In passthrough the kernel opens the backing file with the caller's flags itself. */
static int try_access(struct fs *fs, struct node *node, bool writer)
{
	_cleanup_(fdref_putp) struct fdref *ref = NULL;

	return node_fd(fs, node, writer ? FD_WRITE : FD_READ, &ref);
}

static uint32_t open_flags(struct fs *fs, const struct slate_open *state, int flags)
{
	if (state->way == WAY_PASSTHROUGH)
		return WEIR_FOPEN_PASSTHROUGH;
	if (fs->options.no_cache || (flags & O_DIRECT))
		return FOPEN_DIRECT_IO | WEIR_FOPEN_PARALLEL_DIRECT_WRITES;
	return FOPEN_KEEP_CACHE; /* a change of mtime or size drops pages (AUTO_INVAL_DATA) */
}

static int acquire(struct fs *fs, struct node *node, int flags, struct weir_open_out *ret)
{
	bool writer = (flags & O_ACCMODE) != O_RDONLY;
	struct slate_open *slot;
	int r = 0;

	if (writer)
		recognise_before_write(fs, node);
	if (!node->open)
		r = new_slot(fs, node, flags);
	if (r < 0)
		return r;
	slot = slot_of(fs, node);
	if (slot->way == WAY_DAEMON)
		r = try_access(fs, node, writer);
	if (r < 0)
		return r;
	pthread_mutex_lock(&fs->opens->lock);
	slot->opens++;
	slot->writers += writer;
	pthread_mutex_unlock(&fs->opens->lock);
	*ret = (struct weir_open_out){
		.fh = (uint64_t)node->open << FH_SHIFT | (writer ? FH_WRITER : 0),
		.open_flags = open_flags(fs, slot, flags),
		.backing_id = slot->way == WAY_PASSTHROUGH ? slot->backing_id : 0,
	};
	return 0;
}

/* ---- the last close ---------------------------------------------------------------------- */

static void close_slot(struct fs *fs, struct node *node)
{
	struct slate_open state = *slot_of(fs, node);
	uint32_t index = node->open - 1;

	pthread_mutex_lock(&fs->opens->lock);
	node->open = 0;
	pthread_mutex_unlock(&fs->opens->lock);
	if (state.way == WAY_PASSTHROUGH)
		backing_close(fs, state.backing_id);
	else
		disk_put(fs, node);
	fs->opens->node[index] = NULL;
	slate_open_free(fs->slate, index);
	if (node->flags & NODE_ORPHAN)
		orphan_remove(fs, node);
	node_unref(fs->nodes, node); /* the slot's; the caller has its own */
}

int open_acquire(struct fs *fs, struct node *node, int flags, struct weir_open_out *ret)
{
	int r;

	open_begin(fs, node);
	r = acquire(fs, node, flags, ret);
	if (r < 0 && node->open && slot_of(fs, node)->opens == 0)
		close_slot(fs, node); /* it was the first, and failed */
	open_end(fs, node);
	return r;
}

void open_release(struct fs *fs, struct node *node, uint64_t fh)
{
	struct slate_open *slot;
	bool closed = false, passed = false, written = false;

	open_begin(fs, node);
	slot = slot_of(fs, node);
	if (slot && slot->opens) {
		pthread_mutex_lock(&fs->opens->lock);
		slot->opens--;
		slot->writers -= (fh & FH_WRITER) && slot->writers;
		closed = slot->opens == 0;
		passed = slot->way == WAY_PASSTHROUGH;
		written = (fh & FH_WRITER) && !slot->writers;
		pthread_mutex_unlock(&fs->opens->lock);
	}
	if (closed)
		close_slot(fs, node);
	if (closed || written)
		atomic_fetch_and(&node->flags, ~(uint32_t)NODE_CREATED);
	open_end(fs, node);
	if (written)
		recognise_later(fs, node);
	if (closed)
		assign_file_closed(fs, node, passed);
	if (closed && (node->flags & NODE_GONE))
		assign_file_unlinked(fs, &node->handle, true);
}

/* ---- callbacks --------------------------------------------------------------------------- */

void fs_open(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	struct fs *fs = request_fs(req);
	_node_ at = {.fs = fs};
	struct weir_open_out out;
	int r;

	r = nodes_get(fs->nodes, id, &at.node);
	if (r == 0)
		r = open_acquire(fs, at.node, fi->flags, &out);
	if (r < 0)
		reply_result(req, r);
	else if (fuse_reply_buf(req, (const char *)&out, sizeof out) == -ENOENT)
		open_release(fs, at.node, out.fh); /* nobody waited: there will be no RELEASE */
}

void fs_release(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	struct fs *fs = request_fs(req);
	_node_ at = {.fs = fs};

	if (nodes_get(fs->nodes, id, &at.node) == 0)
		open_release(fs, at.node, fi->fh);
	fuse_reply_err(req, 0);
}
