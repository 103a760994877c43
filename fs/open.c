/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/open.c - see fs/open.h. */
#include <fcntl.h>
#include <string.h>

#include "base/log.h"
#include "fs/assign.h"
#include "fs/cover.h"
#include "fs/callbacks.h"
#include "fs/blame.h"
#include "fs/disk.h"
#include "fs/fault.h"
#include "fs/held.h"
#include "fs/open.h"
#include "fs/orphan.h"
#include "fs/recognise.h"
#include "fs/reconnect.h"

/* A file handle: the open slot's index plus one, and whether the open may write. */
#define FH_WRITER 1u
#define FH_SHIFT  1

struct opens {
	pthread_mutex_t lock; /* protects node->open, NODE_BUSY and the slots */
	pthread_cond_t changed;
	_Atomic bool told; /* why passthrough is not possible here was logged */
	struct node *node[SLATE_OPENS]; /* of each slot in use; the slot holds the reference */
	uint32_t *unfinished; /* slots that a dead worker was closing; between restore and finish */
	size_t n_unfinished;
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

/* A dead worker's open file: the kernel's handles are there, the disk is to be made again.  What
 * fails here is tried again by the next owner, and said to whoever needs the disk. */
static int restore_disk(struct fs *fs, struct node *node)
{
	_fault_turn_ turn = {0};
	int r;

	if (!node->open || node->disk || open_glance(fs, node).way != WAY_DAEMON)
		return 0;
	if (blame_quarantined(fs->blames, node->id, NULL))
		return -EIO;
	turn = fault_turn(fs, node->id);
	r = disk_get(fs, node);
	if (r == 0)
		fs->opens->node[node->open - 1] = node;
	else
		log_error("an open file cannot be served after the restart: %s", strerror(-r));
	return r;
}

void open_begin(struct fs *fs, struct node *node)
{
	pthread_mutex_lock(&fs->opens->lock);
	while (node->flags & NODE_BUSY)
		pthread_cond_wait(&fs->opens->changed, &fs->opens->lock);
	atomic_fetch_or(&node->flags, NODE_BUSY);
	pthread_mutex_unlock(&fs->opens->lock);
	if (fs->resumed)
		restore_disk(fs, node);
}

void open_end(struct fs *fs, struct node *node)
{
	LOCKED(&fs->opens->lock);
	atomic_fetch_and(&node->flags, ~(uint32_t)NODE_BUSY);
	pthread_cond_broadcast(&fs->opens->changed);
}

struct open_info open_glance(struct fs *fs, struct node *node)
{
	struct open_info info = {0};
	struct slate_counts counts;
	uint32_t index;

	LOCKED(&fs->opens->lock);
	if (!node->open)
		return info;
	index = node->open - 1;
	counts = slate_open_counts(fs->slate, index);
	info.way = slate_open_at(fs->slate, index)->way;
	info.opens = counts.opens;
	info.writers = counts.writers;
	if (info.way == WAY_PASSTHROUGH)
		info.backing_id = held_ledger(fs->held)->backing[index];
	return info;
}

struct open_info open_state(struct fs *fs, struct node *node)
{
	return open_glance(fs, node);
}

int open_disk(struct fs *fs, struct node *node, struct disk **ret)
{
	int r = 0;

	if (fs->resumed && !node->disk && open_glance(fs, node).way == WAY_DAEMON) {
		open_begin(fs, node);
		if (!node->disk)
			r = restore_disk(fs, node); /* again, for the error */
		open_end(fs, node);
	}
	*ret = node->disk;
	return r;
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

static int backing_open(struct fs *fs, struct node *node, uint32_t index)
{
	_cleanup_(closep) int fd = reconnect_open(fs, &node->handle,
						  O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int id;

	if (fd < 0)
		return fd;
	id = held_backing_open(fs->held, index, fd);
	return id < 0 ? id : 0;
}

static void backing_close(struct fs *fs, uint32_t index)
{
	int r = held_backing_close(fs->held, index);

	if (r < 0 && r != -EPIPE) /* the next holder does it */
		log_warning("cannot close a backing id: %s, ignoring", strerror(-r));
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

/* A slot whose file goes past us.  -EOPNOTSUPP and others: it cannot. */
static int pass_through(struct fs *fs, struct node *node, uint32_t *ret)
{
	int r = slate_open_new(fs->slate, node->id, WAY_PASSTHROUGH, ret);

	if (r < 0)
		return r;
	r = backing_open(fs, node, *ret);
	if (r < 0)
		slate_open_free(fs->slate, *ret);
	return r;
}

/* Its place decides what covers it: who makes the disk again after a restart must find the same. */
static int serve_it(struct fs *fs, struct node *node, uint32_t *ret)
{
	int r;

	node_keep_hints(fs->nodes, node);
	r = disk_get(fs, node);
	if (r < 0)
		return r;
	r = slate_open_new(fs->slate, node->id, WAY_DAEMON, ret);
	if (r < 0)
		disk_put(fs, node);
	return r;
}

static int first_open(struct fs *fs, struct node *node, int flags, uint32_t *ret)
{
	struct stat st;
	int r;

	r = node_attributes(fs, node, &st); /* also: it was not removed behind us */
	if (r < 0)
		return r;
	if (!may_pass_through(fs, node, flags, &st))
		return serve_it(fs, node, ret);
	r = pass_through(fs, node, ret);
	if (r == 0 || r == -ESTALE || r == -ENOENT || r == -ENFILE)
		return r;
	if (!atomic_exchange(&fs->opens->told, true))
		log_notice("passthrough is not possible here (%s): bytes go through the "
			   "daemon", strerror(-r));
	return serve_it(fs, node, ret);
}

static int new_slot(struct fs *fs, struct node *node, int flags)
{
	uint32_t index;
	int r;

	r = first_open(fs, node, flags, &index);
	if (r < 0)
		return r;
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

static uint32_t open_flags(struct fs *fs, enum open_way way, int flags)
{
	if (way == WAY_PASSTHROUGH)
		return WEIR_FOPEN_PASSTHROUGH;
	if (fs->options.no_cache || (flags & O_DIRECT))
		return FOPEN_DIRECT_IO | WEIR_FOPEN_PARALLEL_DIRECT_WRITES;
	return FOPEN_KEEP_CACHE; /* a change of mtime or size drops pages (AUTO_INVAL_DATA) */
}

static struct weir_open_out open_reply(struct fs *fs, struct node *node, int flags, bool writer)
{
	struct open_info info = open_state(fs, node);

	return (struct weir_open_out){
		.fh = (uint64_t)node->open << FH_SHIFT | (writer ? FH_WRITER : 0),
		.open_flags = open_flags(fs, info.way, flags),
		.backing_id = info.backing_id,
	};
}

static void count(struct fs *fs, struct node *node, int opens, int writers)
{
	LOCKED(&fs->opens->lock);
	slate_open_count(fs->slate, session_slot(), node->open - 1, opens, writers);
}

/* A request that the kernel sends again, and that the dead worker had counted. */
static bool is_counted(struct node *node)
{
	uint32_t index;

	return session_slot() && slate_counted(session_slot(), &index) &&
	       (!node || node->open == index + 1);
}

static int acquire(struct fs *fs, struct node *node, int flags, struct weir_open_out *ret)
{
	bool writer = (flags & O_ACCMODE) != O_RDONLY;
	int r = 0;

	if (!is_counted(node)) {
		if (writer)
			recognise_before_write(fs, node);
		if (!node->open)
			r = new_slot(fs, node, flags);
		if (r == 0 && open_state(fs, node).way == WAY_DAEMON)
			r = try_access(fs, node, writer);
		if (r < 0)
			return r;
		count(fs, node, 1, writer);
	}
	*ret = open_reply(fs, node, flags, writer);
	return 0;
}

/* ---- the last close ---------------------------------------------------------------------- */

static void close_slot(struct fs *fs, struct node *node)
{
	uint32_t index = node->open - 1;
	enum open_way way = open_state(fs, node).way;

	pthread_mutex_lock(&fs->opens->lock);
	node->open = 0;
	pthread_mutex_unlock(&fs->opens->lock);
	if (way == WAY_PASSTHROUGH)
		backing_close(fs, index);
	else
		disk_put(fs, node);
	fs->opens->node[index] = NULL;
	if (node->flags & NODE_ORPHAN)
		orphan_remove(fs, node);
	slate_open_free(fs->slate, index);
	node_unref(fs->nodes, node); /* the slot's; the caller has its own */
}

int open_acquire(struct fs *fs, struct node *node, int flags, struct weir_open_out *ret)
{
	int r;

	open_begin(fs, node);
	r = acquire(fs, node, flags, ret);
	if (r < 0 && node->open && open_state(fs, node).opens == 0)
		close_slot(fs, node); /* it was the first, and failed */
	open_end(fs, node);
	return r;
}

/* Policies wait for this.  May be said twice. */
static void tell_closed(struct fs *fs, struct node *node, bool passed)
{
	assign_file_closed(fs, node, passed);
	if (node->flags & NODE_GONE)
		assign_file_unlinked(fs, &node->handle, true);
}

void open_release(struct fs *fs, struct node *node, uint64_t fh)
{
	bool writer = fh & FH_WRITER, closed = false, passed = false, written = false;
	struct open_info info;

	open_begin(fs, node);
	info = open_state(fs, node);
	if (info.opens && (!fh || fh >> FH_SHIFT == node->open)) { /* 0: at the end of the mount */
		writer = writer && info.writers;
		count(fs, node, -1, -(int)writer);
		closed = info.opens == 1;
		passed = info.way == WAY_PASSTHROUGH;
		written = writer && info.writers == 1;
	}
	if (closed)
		close_slot(fs, node);
	if (closed || written)
		atomic_fetch_and(&node->flags, ~(uint32_t)NODE_CREATED);
	open_end(fs, node);
	if (written)
		recognise_later(fs, node);
	if (closed)
		tell_closed(fs, node, passed);
}

/* ---- after a worker that died -------------------------------------------------------------- */

/* A file that cannot be known any more is lost alone; anything else passes, and the start is tried
 * again. */
static int restore_slot(struct fs *fs, uint32_t index)
{
	const struct slate_open *slot = slate_open_at(fs->slate, index);
	struct opens *o = fs->opens;
	struct node *node;
	int r;

	r = nodes_get(fs->nodes, slot->node, &node); /* the reference is the slot's */
	if (r == -ESTALE) {
		log_error("an open file is lost over the restart: %s", strerror(-r));
		slate_open_free(fs->slate, index); /* settle_ledger closes what it had */
	}
	if (r < 0)
		return r == -ESTALE ? 0 : r;
	node->open = index + 1;
	if (slot->way == WAY_PASSTHROUGH)
		o->node[index] = node;
	if (slate_open_counts(fs->slate, index).opens == 0)
		o->unfinished[o->n_unfinished++] = index;
	return 0;
}

/* Backing ids that nobody needs: the worker died around their open or close. */
static void settle_ledger(struct fs *fs)
{
	const struct ledger *l = held_ledger(fs->held);

	for (uint32_t i = 0; i < MIN(SLATE_OPENS, LEDGER_SLOTS); i++) {
		const struct slate_open *slot = slate_open_at(fs->slate, i);

		if (l->backing[i] && (!slot->node || slot->way != WAY_PASSTHROUGH))
			backing_close(fs, i);
	}
}

int opens_restore(struct fs *fs)
{
	int r = 0;

	fs->opens->unfinished = calloc(SLATE_OPENS, sizeof(uint32_t));
	if (!fs->opens->unfinished)
		return -ENOMEM;
	for (uint32_t i = 0; i < SLATE_OPENS && r == 0; i++)
		if (slate_open_at(fs->slate, i)->node)
			r = restore_slot(fs, i);
	if (r == 0)
		settle_ledger(fs);
	return r;
}

/* Not by open_begin: the disk of a file that is closed need not be made. */
static void finish_slot(struct fs *fs, uint32_t index)
{
	enum open_way way = slate_open_at(fs->slate, index)->way;
	_node_ at = {.fs = fs};

	if (nodes_get(fs->nodes, slate_open_at(fs->slate, index)->node, &at.node) < 0)
		return;
	close_slot(fs, at.node);
	tell_closed(fs, at.node, way == WAY_PASSTHROUGH);
}

void opens_finish(struct fs *fs)
{
	struct opens *o = fs->opens;

	for (size_t i = 0; i < o->n_unfinished; i++)
		finish_slot(fs, o->unfinished[i]);
	free(o->unfinished);
	o->unfinished = NULL;
	o->n_unfinished = 0;
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

	if (nodes_get(fs->nodes, id, &at.node) == 0) {
		if (!is_counted(NULL))
			open_release(fs, at.node, fi->fh);
		else if (!at.node->open)
			tell_closed(fs, at.node, true); /* the worker before may not have */
	}
	fuse_reply_err(req, 0);
}
