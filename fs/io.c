/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/io.c - reads, writes and what else touches bytes of an open file.
 *
 * A file that passes through is touched directly, where the kernel asks us at all (fsync,
 * fallocate, lseek, copy_file_range).  For one that the daemon serves every operation is a
 * request in its disk's queue.  A request that has to wait takes its bytes with it: the message
 * buffer belongs to the thread, which goes on to other work.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <sched.h>
#include <string.h>

#include "base/leaf.h"
#include "base/split.h"
#include "fs/callbacks.h"
#include "fs/disk.h"
#include "fs/gate.h"
#include "fs/open.h"

struct request {
	struct io io;
	fuse_req_t req;
	struct fs *fs;
	struct node *node;
	bool referenced;   /* else the open file keeps the node */
	struct disk *disk; /* stays while the file is open */
	int (*run)(struct request *rq);   /* the bytes: inside the queue */
	void (*reply)(struct request *rq, int r); /* outside it again */
	uint32_t opcode;
	uint64_t off;
	size_t len;
	int mode;	       /* fallocate's, lseek's whence, fsync's datasync */
	const void *data;      /* of a write: in the message, or in copy */
	void *copy;
	bool drop_set_id;
	_Atomic bool ready; /* the bytes are where @data says; a waiting write copies first */
	uint64_t result;
};

/* What run returns when a write that was inside the file at its entry grows it by now: it must
 * enter once more, to be alone. */
#define ENTER_ALONE 1
#define ENTER_AGAIN 2 /* the same for a request whose range must be made anew */

static void request_free(struct request *rq)
{
	if (rq->referenced && rq->node)
		node_unref(rq->fs->nodes, rq->node);
	free(rq->copy);
	if (*session_spare())
		free(rq);
	else
		*session_spare() = rq;
}

/* Zeroed memory; nearly always that of the thread's last request. */
static struct request *request_memory(void)
{
	struct request *rq = *session_spare();

	if (!rq)
		return calloc(1, sizeof *rq);
	*session_spare() = NULL;
	memset(rq, 0, sizeof *rq);
	return rq;
}

/* The node of an open file; in the daemon's way with its disk. */
static int request_new(fuse_req_t req, fuse_ino_t id, const struct fuse_file_info *fi,
		       struct request **ret)
{
	struct request *rq = request_memory();
	int r = 0;

	if (!rq)
		return -ENOMEM;
	rq->req = req;
	rq->fs = request_fs(req);
	rq->opcode = session_request()->opcode;
	rq->node = fi ? open_node(rq->fs, fi->fh, id) : NULL;
	if (!rq->node) {
		r = nodes_get(rq->fs->nodes, id, &rq->node);
		rq->referenced = true;
	}
	rq->disk = r < 0 ? NULL : rq->node->disk;
	if (r == 0 && !rq->disk && rq->fs->resumed)
		r = open_disk(rq->fs, rq->node, &rq->disk);
	if (r < 0) {
		request_free(rq);
		return r;
	}
	rq->ready = true;
	*ret = rq;
	return 0;
}

static void set_range(struct request *rq, enum io_kind kind, uint64_t off, uint64_t len)
{
	rq->io.kind = kind;
	split_range(rq->disk->block, off, len, &rq->io.off, &rq->io.end);
}

/* The message buffer is this thread's: who waits again needs a copy. */
static int take_bytes_along(struct request *rq, int how)
{
	if (!rq->copy) {
		rq->copy = malloc(rq->len);
		if (!rq->copy)
			return -ENOMEM;
		memcpy(rq->copy, rq->data, rq->len);
		rq->data = rq->copy;
	}
	return how;
}

static void reply_plain(struct request *rq, int r)
{
	reply_result(rq->req, r);
}

/* What @io's end lets run in its own queue; the first is for the caller. */
static struct io *leave_queue(struct fs *fs, struct request *rq)
{
	struct io *next = queue_leave(&rq->disk->queue, &rq->io);

	if (next && next->next)
		session_ready(fs->session, TAKE_PTR(next->next));
	return next;
}

/* Its range was rounded to the blocks of a stack that was changed while it waited: two such
 * requests could meet in one block. */
static bool range_is_old(const struct request *rq)
{
	uint32_t block = rq->disk->block;

	return (rq->io.kind == IO_READ || rq->io.kind == IO_WRITE) &&
	       (rq->io.off % block || rq->io.end % block);
}

static int run(struct request *rq)
{
	if (!range_is_old(rq))
		return rq->run(rq);
	return rq->data ? take_bytes_along(rq, ENTER_AGAIN) : ENTER_AGAIN;
}

static void enter_again(struct fs *fs, struct request *rq, int how)
{
	if (how == ENTER_ALONE)
		rq->io.kind = IO_ALONE;
	else
		set_range(rq, rq->io.kind, rq->off, rq->len);
	rq->io.next = NULL;
	if (queue_enter(&rq->disk->queue, &rq->io))
		session_ready(fs->session, &rq->io);
}

/* Whom to blame, and for how long it is under way. */
static void note_in_slot(const struct request *rq)
{
	struct slate_request *q = session_slot();

	__atomic_store_n(&q->node, rq->node->id, __ATOMIC_RELAXED);
	__atomic_store_n(&q->opcode, rq->opcode, __ATOMIC_RELAXED);
	__atomic_store_n(&q->since_ns, rq->io.since_ns, __ATOMIC_RELAXED);
}

/* Inside the gate: run @io, then what its end lets run, then who waited at the gate. */
static void run_inside(struct fs *fs, struct io *io)
{
	while (io) {
		struct request *rq = container_of(io, struct request, io);
		int r;

		while (!rq->ready)
			sched_yield(); /* its bytes are being copied this very moment */
		note_in_slot(rq);
		r = run(rq);
		io = leave_queue(fs, rq);
		if (r > 0) {
			enter_again(fs, rq, r);
		} else {
			rq->reply(rq, r);
			request_free(rq);
		}
		io = io ? gate_next(fs->gate, io) : gate_leave(fs->gate);
	}
}

void fs_run_io(struct fs *fs, struct io *io)
{
	if (gate_enter(fs->gate, io))
		run_inside(fs, io);
}

static void submit(struct request *rq)
{
	if (queue_enter(&rq->disk->queue, &rq->io))
		fs_run_io(rq->fs, &rq->io);
}

/* ---- read -------------------------------------------------------------------------------- */

static int run_read(struct request *rq)
{
	size_t n;
	int r = split_read(stack_top(rq->disk->stack), session_scratch(), rq->off, rq->len, &n);

	rq->result = n;
	return r;
}

static void reply_read(struct request *rq, int r)
{
	if (r < 0)
		reply_result(rq->req, r);
	else
		fuse_reply_buf(rq->req, session_scratch(), rq->result);
}

/* Reading a file that the daemon does not serve: a race with the way it goes, or a kernel that
 * fell back.  The bytes are the same. */
static void read_backing(fuse_req_t req, struct request *rq)
{
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	ssize_t n = 0;
	int r = node_fd(rq->fs, rq->node, FD_READ, &ref);

	if (r == 0) {
		n = pread(fdref_fd(ref), session_scratch(), rq->len, (off_t)rq->off);
		r = n < 0 ? -errno : 0;
	}
	if (r < 0)
		reply_result(req, r);
	else
		fuse_reply_buf(req, session_scratch(), (size_t)n);
}

void fs_read(fuse_req_t req, fuse_ino_t id, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct request *rq;
	int r = request_new(req, id, fi, &rq);

	if (r < 0) {
		reply_result(req, r);
		return;
	}
	rq->off = (uint64_t)off;
	rq->len = MIN(size, (size_t)SESSION_BUFFER);
	if (!rq->disk) {
		read_backing(req, rq);
		request_free(rq);
		return;
	}
	rq->run = run_read;
	rq->reply = reply_read;
	set_range(rq, IO_READ, rq->off, rq->len);
	submit(rq);
}

/* ---- write ------------------------------------------------------------------------------- */

static int drop_set_id_of(struct fs *fs, struct node *node)
{
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	int r = node_fd(fs, node, FD_PATH, &ref);

	return r < 0 ? r : drop_set_id(fdref_fd(ref));
}

static int run_write(struct request *rq)
{
	int r = 0;

	if (!rq->data)
		return -ENOMEM; /* there was no memory to wait with the bytes */
	if (rq->io.kind == IO_WRITE && split_grows(stack_top(rq->disk->stack), rq->off, rq->len))
		return take_bytes_along(rq, ENTER_ALONE);
	if (rq->drop_set_id)
		r = drop_set_id_of(rq->fs, rq->node);
	if (r == 0)
		r = split_write(stack_top(rq->disk->stack), rq->data, rq->off, rq->len, 0);
	return r;
}

static void reply_write(struct request *rq, int r)
{
	if (r < 0)
		reply_result(rq->req, r);
	else
		fuse_reply_write(rq->req, rq->len);
}

/* A write that grows the file may touch its last block and the gap behind it: it is alone. */
static void set_write_range(struct request *rq)
{
	bool grows = split_grows(rq->disk->leaf, rq->off, rq->len);

	set_range(rq, grows ? IO_ALONE : IO_WRITE, rq->off, rq->len);
}

static void submit_write(struct request *rq)
{
	const void *message = rq->data;

	rq->ready = false; /* until it runs here, or has its bytes with it */
	if (queue_enter(&rq->disk->queue, &rq->io) && gate_enter(rq->fs->gate, &rq->io)) {
		rq->ready = true;
		run_inside(rq->fs, &rq->io);
		return;
	}
	rq->copy = malloc(rq->len);
	if (rq->copy)
		memcpy(rq->copy, message, rq->len);
	rq->data = rq->copy;
	rq->ready = true; /* from here on rq is somebody else's */
}

static int write_backing(struct request *rq)
{
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	int r = node_fd(rq->fs, rq->node, FD_WRITE, &ref);
	size_t done = 0;

	while (r == 0 && done < rq->len) {
		ssize_t n = pwrite(fdref_fd(ref), (const char *)rq->data + done, rq->len - done,
				   (off_t)(rq->off + done));

		if (n < 0 && errno != EINTR)
			r = done ? 0 : -errno;
		if (n < 0 && errno != EINTR)
			break;
		done += n > 0 ? (size_t)n : 0;
	}
	rq->len = done;
	return r;
}

void fs_write(fuse_req_t req, fuse_ino_t id, const char *buf, size_t size, off_t off,
	      struct fuse_file_info *fi)
{
	const struct fuse_write_in *in = (const void *)(session_request() + 1);
	struct request *rq;
	int r = request_new(req, id, fi, &rq);

	if (r < 0) {
		reply_result(req, r);
		return;
	}
	rq->off = (uint64_t)off;
	rq->len = size;
	rq->data = buf;
	rq->drop_set_id = in->write_flags & FUSE_WRITE_KILL_SUIDGID;
	rq->run = run_write;
	rq->reply = reply_write;
	if (!rq->disk) {
		reply_write(rq, write_backing(rq));
		request_free(rq);
		return;
	}
	set_write_range(rq);
	submit_write(rq);
}

/* ---- fsync ------------------------------------------------------------------------------- */

/* The stages flush the bytes; the leaf at the bottom takes the attributes along for an fsync. */
static int run_flush(struct request *rq)
{
	bool attributes = !rq->mode;
	int r;

	if (attributes)
		leaf_sync_attributes(rq->disk->leaf, 1);
	r = stage_flush(stack_top(rq->disk->stack));
	if (attributes)
		leaf_sync_attributes(rq->disk->leaf, -1);
	return r;
}

static int sync_backing(struct fs *fs, struct node *node, bool datasync)
{
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	int r = node_fd(fs, node, FD_READ, &ref);

	if (r == 0 && (datasync ? fdatasync(fdref_fd(ref)) : fsync(fdref_fd(ref))) < 0)
		r = -errno;
	return r;
}

void fs_fsync(fuse_req_t req, fuse_ino_t id, int datasync, struct fuse_file_info *fi)
{
	struct request *rq;
	int r = request_new(req, id, fi, &rq);

	if (r < 0) {
		reply_result(req, r);
		return;
	}
	if (!rq->disk) {
		reply_result(req, sync_backing(rq->fs, rq->node, datasync));
		request_free(rq);
		return;
	}
	rq->mode = datasync;
	rq->run = run_flush;
	rq->reply = reply_plain;
	set_range(rq, IO_FLUSH, 0, 0);
	submit(rq);
}

/* ---- fallocate --------------------------------------------------------------------------- */

static int allocate_backing(struct fs *fs, struct node *node, int mode, uint64_t off, uint64_t len)
{
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	int r = node_fd(fs, node, FD_WRITE, &ref);

	if (r == 0 && fallocate(fdref_fd(ref), mode, (off_t)off, (off_t)len) < 0)
		r = -errno;
	return r;
}

static int allocate_bare(struct request *rq)
{
	struct stack *stack = rq->disk->stack;
	int r = allocate_backing(rq->fs, rq->node, rq->mode, rq->off, rq->len);

	if (r == 0 && !(rq->mode & FALLOC_FL_KEEP_SIZE) &&
	    rq->off + rq->len > stage_size(stack_top(stack)))
		stack_note_size(stack, rq->off + rq->len);
	return r;
}

static int run_allocate(struct request *rq)
{
	struct stage *top = stack_top(rq->disk->stack);
	bool grow = !(rq->mode & FALLOC_FL_KEEP_SIZE) && rq->off + rq->len > stage_size(top);
	int r = 0;

	if (rq->drop_set_id)
		r = drop_set_id_of(rq->fs, rq->node);
	if (r < 0)
		return r;
	if (stack_depth(rq->disk->stack) == 0)
		return allocate_bare(rq);
	if (rq->mode & FALLOC_FL_PUNCH_HOLE)
		return split_trim(top, rq->off, rq->len);
	r = stage_reserve(top, rq->off, rq->len);
	if (r == 0 && (rq->mode & FALLOC_FL_ZERO_RANGE))
		r = split_zero(top, rq->off, rq->len);
	if (r == 0 && grow)
		r = split_resize(top, rq->off + rq->len);
	return r;
}

void fs_fallocate(fuse_req_t req, fuse_ino_t id, int mode, off_t off, off_t len,
		  struct fuse_file_info *fi)
{
	struct request *rq;
	int r = request_new(req, id, fi, &rq);

	if (r < 0) {
		reply_result(req, r);
		return;
	}
	rq->drop_set_id = fuse_req_ctx(req)->uid != 0; /* the kernel leaves it to us */
	if (!rq->disk) {
		if (rq->drop_set_id)
			r = drop_set_id_of(rq->fs, rq->node);
		if (r == 0)
			r = allocate_backing(rq->fs, rq->node, mode, (uint64_t)off, (uint64_t)len);
		reply_result(req, r);
		request_free(rq);
		return;
	}
	rq->off = (uint64_t)off;
	rq->len = (size_t)len;
	rq->mode = mode;
	rq->run = run_allocate;
	rq->reply = reply_plain;
	set_range(rq, mode & FALLOC_FL_KEEP_SIZE ? IO_WRITE : IO_ALONE, rq->off, rq->len);
	submit(rq);
}

/* ---- lseek ------------------------------------------------------------------------------- */

static int seek_backing(struct fs *fs, struct node *node, uint64_t off, int whence, uint64_t *ret)
{
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	int r = node_fd(fs, node, FD_READ, &ref);
	off_t at;

	if (r < 0)
		return r;
	at = lseek(fdref_fd(ref), (off_t)off, whence);
	if (at < 0)
		return -errno;
	*ret = (uint64_t)at;
	return 0;
}

static int run_seek(struct request *rq)
{
	if (stack_depth(rq->disk->stack) == 0)
		return seek_backing(rq->fs, rq->node, rq->off, rq->mode, &rq->result);
	return split_seek(stack_top(rq->disk->stack), rq->off,
			  rq->mode == SEEK_DATA ? STAGE_DATA : STAGE_HOLE, &rq->result);
}

static void reply_seek(struct request *rq, int r)
{
	if (r < 0)
		reply_result(rq->req, r);
	else
		fuse_reply_lseek(rq->req, (off_t)rq->result);
}

void fs_lseek(fuse_req_t req, fuse_ino_t id, off_t off, int whence, struct fuse_file_info *fi)
{
	struct request *rq;
	int r = request_new(req, id, fi, &rq);

	if (r < 0) {
		reply_result(req, r);
		return;
	}
	rq->off = (uint64_t)off;
	rq->mode = whence;
	rq->run = run_seek;
	rq->reply = reply_seek;
	if (!rq->disk) {
		reply_seek(rq, seek_backing(rq->fs, rq->node, rq->off, whence, &rq->result));
		request_free(rq);
		return;
	}
	/* off <= INT64_MAX, so the end cannot wrap */
	set_range(rq, IO_READ, rq->off, INT64_MAX - rq->off);
	submit(rq);
}

/* ---- copy_file_range --------------------------------------------------------------------- */

static bool is_bare(const struct node *node)
{
	return !node->disk || node->disk->depth == 0;
}

static ssize_t copy_backing(struct fs *fs, struct node *in, off_t in_off, struct node *out,
			    off_t out_off, size_t len)
{
	_cleanup_(fdref_putp) struct fdref *from = NULL, *to = NULL;
	ssize_t n;
	int r = node_fd(fs, in, FD_READ, &from);

	if (r == 0)
		r = node_fd(fs, out, FD_WRITE, &to);
	if (r < 0)
		return r;
	n = copy_file_range(fdref_fd(from), &in_off, fdref_fd(to), &out_off, len, 0);
	return n < 0 ? -errno : n;
}

/* The backing filesystem copies (shares blocks where it can) between two files without stages;
 * for others the kernel reads and writes through both stacks (-EOPNOTSUPP makes it). */
static ssize_t copy_range(struct fs *fs, struct node *in, off_t in_off, struct node *out,
			  off_t out_off, size_t len)
{
	struct io io = {0};
	struct stat st;
	ssize_t n;

	if (!is_bare(in) || !is_bare(out))
		return -EOPNOTSUPP;
	if (!out->disk)
		return copy_backing(fs, in, in_off, out, out_off, len);
	queue_wait_alone(&out->disk->queue, &io);
	n = is_bare(out) ? copy_backing(fs, in, in_off, out, out_off, len) : -EOPNOTSUPP;
	if (n > 0 && node_attributes(fs, out, &st) == 0)
		stack_note_size(out->disk->stack, (uint64_t)st.st_size);
	disk_let_go(fs, out->disk, &io);
	return n;
}

void fs_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t in_off, struct fuse_file_info *in_fi,
			fuse_ino_t out, off_t out_off, struct fuse_file_info *out_fi, size_t len,
			int flags)
{
	_node_ from = {.fs = request_fs(req)}, to = {.fs = request_fs(req)};
	struct disk *disk; /* made if need be; looked at in the nodes */
	ssize_t n;

	n = nodes_get(from.fs->nodes, in, &from.node);
	if (n == 0)
		n = nodes_get(to.fs->nodes, out, &to.node);
	if (n == 0)
		n = open_disk(from.fs, from.node, &disk);
	if (n == 0)
		n = open_disk(to.fs, to.node, &disk);
	if (n == 0 && fuse_req_ctx(req)->uid != 0)
		n = drop_set_id_of(to.fs, to.node);
	if (n == 0)
		n = copy_range(from.fs, from.node, in_off, to.node, out_off, len);
	if (n < 0)
		reply_result(req, (int)n);
	else
		fuse_reply_write(req, (size_t)n);
}
