/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/disk.c - see fs/disk.h. */
#include <assert.h>
#include <string.h>

#include "base/leaf.h"
#include "base/log.h"
#include "base/split.h"
#include "fs/cover.h"
#include "fs/disk.h"
#include "fs/fault.h"
#include "fs/open.h"

/* ---- disks in use ------------------------------------------------------------------------ */

struct disk_list {
	pthread_mutex_t lock; /* protects the list; under it only a disk's queue is locked */
	struct list disks;
};

int disk_list_new(struct disk_list **ret)
{
	struct disk_list *l = calloc(1, sizeof *l);

	if (!l)
		return -ENOMEM;
	pthread_mutex_init(&l->lock, NULL);
	list_init(&l->disks);
	*ret = l;
	return 0;
}

void disk_list_free(struct disk_list *l)
{
	if (!l)
		return;
	pthread_mutex_destroy(&l->lock);
	free(l);
}

size_t disk_list_old(struct disk_list *l, uint64_t age_ns, struct disk_view *ret, size_t max)
{
	size_t n = 0;

	LOCKED(&l->lock);
	list_for_each (at, &l->disks) {
		struct disk *d = list_entry(at, struct disk, link);
		uint64_t oldest = queue_oldest_ns(&d->queue);

		if (n < max && oldest > age_ns)
			ret[n++] = (struct disk_view){d->node->id, oldest};
	}
	return n;
}

static void enlist(struct disk_list *l, struct disk *d)
{
	LOCKED(&l->lock);
	list_append(&l->disks, &d->link);
}

static void delist(struct disk_list *l, struct disk *d)
{
	LOCKED(&l->lock);
	list_remove(&d->link);
}

/* ---- life -------------------------------------------------------------------------------- */

static void disk_free(struct disk *d)
{
	if (!d)
		return;
	stack_free(d->stack);
	applied_unref(d->applied);
	queue_done(&d->queue);
	free(d);
}

static void note_stack(struct disk *d)
{
	d->block = stack_top(d->stack)->block;
	d->depth = (uint32_t)stack_depth(d->stack);
}

static int build_stack(struct fs *fs, struct node *node, struct stage *leaf, struct disk *d)
{
	_cleanup_(cover_done) struct cover cover = {0};
	int r;

	r = cover_claim(fs, node, &cover);
	if (r == 0)
		r = stack_new(leaf, cover_parts(&cover), cover_depth(&cover), &d->stack);
	d->waits = cover.waits;
	if (r == 0 && cover_depth(&cover))
		d->applied = TAKE_PTR(cover.applied);
	return r;
}

int disk_get(struct fs *fs, struct node *node)
{
	struct disk *d = node->disk;
	struct stage *leaf;
	int r;

	if (d) {
		d->references++;
		return 0;
	}
	r = leaf_new(fs->fds, &node->handle, &leaf);
	if (r < 0)
		return r;
	d = calloc(1, sizeof *d);
	r = d ? build_stack(fs, node, leaf, d) : -ENOMEM;
	if (r < 0) {
		leaf_free(leaf);
		free(d);
		return r;
	}
	queue_init(&d->queue, fs->options.disk_threads);
	d->references = 1;
	d->leaf = leaf;
	note_stack(d);
	d->node = node;
	enlist(fs->disks, d);
	node->disk = d;
	return 0;
}

void disk_put(struct fs *fs, struct node *node)
{
	struct disk *d = node->disk;
	struct io io = {0};
	int r;

	if (!d || --d->references)
		return;
	queue_wait_alone(&d->queue, &io); /* a look at the size may still be under way */
	r = stack_drain(d->stack);
	if (r < 0)
		log_error("a disk could not be drained at its last close: %s", strerror(-r));
	node->disk = NULL;
	delist(fs->disks, d);
	disk_let_go(fs, d, &io);
	disk_free(d);
}

void disk_let_go(struct fs *fs, struct disk *d, struct io *io)
{
	struct io *next = queue_leave(&d->queue, io);

	if (next)
		session_ready(fs->session, next);
}

/* ---- another stack ----------------------------------------------------------------------- */

/* Alone in the queue. */
static int swap_stack(struct disk *d, struct cover *cover)
{
	struct stage *leaf;
	int r, back;

	r = stack_drain(d->stack);
	if (r < 0)
		return r;
	leaf = stack_take_leaf(d->stack);
	r = stack_new(leaf, cover_parts(cover), cover_depth(cover), &d->stack);
	if (r == 0)
		return 0;
	back = stack_new(leaf, d->applied ? d->applied->parts : NULL,
			 d->applied ? d->applied->n_parts : 0, &d->stack);
	if (back < 0) { /* no memory even for what was there: the leaf alone always works */
		log_error("cannot go back to the old stack: %s", strerror(-back));
		applied_unref(d->applied);
		d->applied = NULL;
		back = stack_new(leaf, NULL, 0, &d->stack);
		assert(back == 0);
	}
	return r;
}

static bool same_classes(const struct disk *d, const struct cover *cover)
{
	if (!d->applied || d->applied->n_parts != cover_depth(cover))
		return false;
	for (size_t i = 0; i < cover_depth(cover); i++)
		if (d->applied->parts[i].class != cover_parts(cover)[i].class)
			return false;
	return true;
}

/* New settings for the same stages, while requests run: counters stay, and who sleeps at a limit
 * wakes up at the new one.  -ENOTSUP: a stage has to be built anew. */
static int update_stack(struct disk *d, const struct cover *cover)
{
	int r = 0;

	if (!same_classes(d, cover) || d->applied->pools != cover->applied->pools)
		return -ENOTSUP;
	for (size_t i = 0; r == 0 && i < cover_depth(cover); i++)
		r = stack_update(d->stack, &cover_parts(cover)[i]);
	return r;
}

static int restack(struct fs *fs, struct disk *d, struct cover *cover)
{
	struct applied *wanted = cover_depth(cover) ? cover->applied : NULL;
	struct io io = {0};
	int r;

	d->waits = cover->waits;
	if (d->applied == wanted)
		return 0;
	r = update_stack(d, cover);
	if (r == -ENOTSUP) {
		stack_hurry(d->stack); /* a slow limit must not be waited for to be removed */
		queue_wait_alone(&d->queue, &io);
		r = swap_stack(d, cover);
		note_stack(d);
		disk_let_go(fs, d, &io);
	}
	if (r == 0) {
		applied_unref(d->applied);
		d->applied = wanted ? applied_ref(wanted) : NULL;
	}
	return r;
}

int disk_restack(struct fs *fs, struct node *node)
{
	_cleanup_(cover_done) struct cover cover = {0};
	int r = 0;

	open_begin(fs, node);
	if (node->disk) {
		r = cover_claim(fs, node, &cover);
		if (r == 0)
			r = restack(fs, node->disk, &cover);
	}
	open_end(fs, node);
	return r;
}

/* ---- size -------------------------------------------------------------------------------- */

static int resize_backing(struct fs *fs, struct node *node, uint64_t size)
{
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	int r = node_fd(fs, node, FD_WRITE, &ref);

	if (r == 0 && ftruncate(fdref_fd(ref), (off_t)size) < 0)
		r = -errno;
	return r;
}

static int resize_alone(struct fs *fs, struct disk *d, uint64_t size)
{
	struct io io = {0};
	int r;

	queue_wait_alone(&d->queue, &io);
	r = split_resize(stack_top(d->stack), size);
	disk_let_go(fs, d, &io);
	return r;
}

int disk_resize(struct fs *fs, struct node *node, uint64_t size)
{
	bool through_stack;
	int r = 0;

	open_begin(fs, node);
	through_stack = node->disk || (!node->open && cover_has_stages(fs, node));
	if (!through_stack) {
		r = resize_backing(fs, node, size);
	} else {
		r = disk_get(fs, node);
		if (r == 0) {
			r = resize_alone(fs, node->disk, size);
			disk_put(fs, node);
		}
	}
	open_end(fs, node);
	return r;
}

void disk_show_attributes(struct node *node, struct stat *st)
{
	/* No stage keeps a size of its own yet: what lies below is what is. */
}

struct look {
	struct job job;
	struct fs *fs;
	struct node *node;
};

/* Alone in the queue, so the size cannot change between the look and the note. */
static void note_size_alone(struct fs *fs, struct node *node, struct disk *d)
{
	struct io io = {0};
	struct stat st;

	queue_wait_alone(&d->queue, &io);
	if (node_attributes(fs, node, &st) == 0)
		stack_note_size(d->stack, (uint64_t)st.st_size);
	disk_let_go(fs, d, &io);
}

static bool size_differs(struct fs *fs, struct node *node)
{
	struct stat st;

	return node->disk && node_attributes(fs, node, &st) == 0 &&
	       (uint64_t)st.st_size != stage_size(node->disk->leaf);
}

static void look_at_size(struct job *job)
{
	struct look *look = container_of(job, struct look, job);
	struct fs *fs = look->fs;
	struct node *node = look->node;
	_fault_turn_ turn = fault_turn(fs, node->id);

	open_begin(fs, node);
	if (size_differs(fs, node)) /* or a write is just growing it: then nothing changes */
		note_size_alone(fs, node, node->disk);
	open_end(fs, node);
	atomic_fetch_and(&node->flags, ~(uint32_t)NODE_LOOKING);
	node_unref(fs->nodes, node);
	free(look);
}

void disk_notice_size(struct fs *fs, struct node *node, uint64_t size)
{
	struct look *look;

	if (!node->open || atomic_exchange(&node->size_seen, size) == size ||
	    open_glance(fs, node).way != WAY_DAEMON ||
	    (atomic_fetch_or(&node->flags, NODE_LOOKING) & NODE_LOOKING))
		return;
	look = malloc(sizeof *look);
	if (!look) {
		atomic_fetch_and(&node->flags, ~(uint32_t)NODE_LOOKING);
		return;
	}
	*look = (struct look){.job.run = look_at_size, .fs = fs, .node = node_ref(fs->nodes, node)};
	pool_add(fs->pool, &look->job);
}
