/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/listing.c - see fs/listing.h; opendir, readdir, readdirplus, fsyncdir. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/list.h"
#include "fs/callbacks.h"
#include "fs/listing.h"

#define KEPT_STREAMS 32
#define READ_AHEAD   32768

struct stream {
	struct list link;
	uint64_t node;
	int fd;
	uint64_t next; /* offset of the next entry to give out */
	size_t at, end; /* what is left of the buffer */
	_Alignas(8) char buffer[READ_AHEAD];
};

struct entry64 { /* getdents64(2) */
	uint64_t ino;
	int64_t off; /* of the entry behind this one */
	uint16_t length;
	uint8_t type;
	char name[];
};

struct listings {
	pthread_mutex_t lock; /* protects all below */
	struct list idle;     /* most recently used first */
	unsigned count;
};

static void stream_free(struct stream *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

static struct stream *take_kept(struct listings *l, uint64_t node, uint64_t off)
{
	LOCKED(&l->lock);
	list_for_each(at, &l->idle) {
		struct stream *s = list_entry(at, struct stream, link);

		if (s->node != node || s->next != off)
			continue;
		list_remove(&s->link);
		l->count--;
		return s;
	}
	return NULL;
}

static void keep(struct listings *l, struct stream *s)
{
	struct stream *victim = NULL;

	pthread_mutex_lock(&l->lock);
	list_push(&l->idle, &s->link);
	if (++l->count > KEPT_STREAMS) {
		victim = list_entry(l->idle.prev, struct stream, link);
		list_remove(&victim->link);
		l->count--;
	}
	pthread_mutex_unlock(&l->lock);
	stream_free(victim);
}

/* Streams of a directory that starts anew or is closed are of no use any more. */
static void forget_kept(struct listings *l, uint64_t node)
{
	struct list dropped;

	list_init(&dropped);
	pthread_mutex_lock(&l->lock);
	list_for_each_safe(at, &l->idle) {
		if (list_entry(at, struct stream, link)->node != node)
			continue;
		list_remove(at);
		list_push(&dropped, at);
		l->count--;
	}
	pthread_mutex_unlock(&l->lock);
	list_for_each_safe(at, &dropped) {
		list_remove(at);
		stream_free(list_entry(at, struct stream, link));
	}
}

static int stream_open(struct fs *fs, struct node *dir, uint64_t off, struct stream **ret)
{
	struct stream *s = malloc(sizeof *s);
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	int r;

	if (!s)
		return -ENOMEM;
	*s = (struct stream){.node = dir->id, .next = off, .fd = -1};
	list_init(&s->link);
	r = node_fd(fs, dir, FD_PATH, &ref);
	if (r == 0) {
		/* "." of the O_PATH descriptor: a position of our own */
		s->fd = open_with_room(fs, fdref_fd(ref), ".",
				       O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
		r = MIN(s->fd, 0);
	}
	if (r == 0 && off && lseek(s->fd, (off_t)off, SEEK_SET) < 0)
		r = -errno;
	if (r < 0) {
		stream_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

/* The next entry without consuming it; NULL at the end. */
static int stream_peek(struct stream *s, struct entry64 **ret)
{
	if (s->at == s->end) {
		long n = syscall(SYS_getdents64, s->fd, s->buffer, sizeof s->buffer);

		if (n < 0)
			return -errno;
		s->at = 0;
		s->end = (size_t)n;
	}
	*ret = s->at < s->end ? (struct entry64 *)(s->buffer + s->at) : NULL;
	return 0;
}

static void stream_advance(struct stream *s, const struct entry64 *e)
{
	s->next = (uint64_t)e->off;
	s->at += e->length;
}

/* ---- who wants attributes ---------------------------------------------------------------- */

static _Atomic pid_t *walker_slot(struct fs *fs, pid_t pid)
{
	return &fs->walkers[(unsigned)pid % ARRAY_SIZE(fs->walkers)];
}

void listing_note_walker(struct fs *fs, pid_t pid)
{
	if (*walker_slot(fs, pid) != pid)
		*walker_slot(fs, pid) = pid;
}

static bool is_walker(struct fs *fs, pid_t pid)
{
	return *walker_slot(fs, pid) == pid;
}

/* ---- replies ----------------------------------------------------------------------------- */

struct page { /* a reply being filled */
	fuse_req_t req;
	char *buf;
	size_t used, size;
	bool plus;
	bool wanted; /* attributes, by the one who asks */
};

static bool is_dots(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* True: it is in the page.  False: there was no room. */
static bool add_plain(struct page *p, const struct entry64 *e)
{
	struct stat st = {.st_ino = e->ino, .st_mode = (mode_t)DTTOIF(e->type)};
	size_t need = fuse_add_direntry(p->req, p->buf + p->used, p->size - p->used, e->name, &st,
					e->off);

	if (need > p->size - p->used)
		return false;
	p->used += need;
	return true;
}

static bool add_plus(struct page *p, struct fs *fs, struct node *dir, const struct entry64 *e)
{
	struct fuse_entry_param entry = {.attr = {.st_ino = e->ino,
						  .st_mode = (mode_t)DTTOIF(e->type)}};
	_node_ child = {.fs = fs};
	struct stat st;
	size_t need;

	need = fuse_add_direntry_plus(p->req, NULL, 0, e->name, NULL, 0);
	if (need > p->size - p->used)
		return false;
	if (!is_dots(e->name) && p->wanted) {
		int r = find_child(fs, dir, e->name, &child.node, &st);

		if (r == -ENOENT)
			return true; /* vanished meanwhile */
		if (r == 0) {
			fill_entry(fs, &entry, child.node, &st);
			node_add_lookup(fs->nodes, child.node);
		} /* else it is listed without attributes, and a lookup says why */
	}
	p->used += fuse_add_direntry_plus(p->req, p->buf + p->used, p->size - p->used, e->name,
					  &entry, e->off);
	return true;
}

static int fill_page(struct fs *fs, struct node *dir, struct stream *s, struct page *p)
{
	struct entry64 *e = NULL;
	int r;

	for (;;) {
		r = stream_peek(s, &e);
		if (r < 0)
			return p->used ? 0 : r;
		if (!e)
			return 0;
		if (name_visible(dir, e->name) == 0 &&
		    !(p->plus ? add_plus(p, fs, dir, e) : add_plain(p, e)))
			return 0;
		stream_advance(s, e);
	}
}

static int list_directory(struct fs *fs, struct node *dir, uint64_t off, struct page *p)
{
	struct stream *s;
	int r = 0;

	if (off == 0)
		forget_kept(fs->listings, dir->id);
	s = take_kept(fs->listings, dir->id, off);
	if (!s)
		r = stream_open(fs, dir, off, &s);
	if (r < 0)
		return r;
	r = fill_page(fs, dir, s, p);
	if (r == 0)
		keep(fs->listings, s);
	else
		stream_free(s);
	return r;
}

static void reply_listing(fuse_req_t req, fuse_ino_t id, size_t size, off_t off, bool plus)
{
	_node_ dir = {.fs = request_fs(req)};
	struct page page = {.req = req, .buf = session_scratch(), .plus = plus};
	int r;

	page.wanted = is_walker(dir.fs, fuse_req_ctx(req)->pid);
	page.size = MIN(size, (size_t)SESSION_BUFFER);
	r = nodes_get(dir.fs->nodes, id, &dir.node);
	if (r == 0)
		r = list_directory(dir.fs, dir.node, (uint64_t)off, &page);
	if (r < 0)
		reply_result(req, r);
	else
		fuse_reply_buf(req, page.buf, page.used);
}

void fs_readdir(fuse_req_t req, fuse_ino_t id, size_t size, off_t off, struct fuse_file_info *fi)
{
	reply_listing(req, id, size, off, false);
}

void fs_readdirplus(fuse_req_t req, fuse_ino_t id, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	reply_listing(req, id, size, off, true);
}

void fs_opendir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	fi->fh = 0;
	/* The kernel keeps the entries while the directory's mtime, asked again when it is due,
	 * stays the same. */
	fi->cache_readdir = fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

void fs_releasedir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	forget_kept(request_fs(req)->listings, id);
	fuse_reply_err(req, 0);
}

void fs_fsyncdir(fuse_req_t req, fuse_ino_t id, int datasync, struct fuse_file_info *fi)
{
	_node_ dir = {.fs = request_fs(req)};
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	int r;

	r = nodes_get(dir.fs->nodes, id, &dir.node);
	if (r == 0)
		r = node_fd(dir.fs, dir.node, FD_READ, &ref);
	if (r == 0 && (datasync ? fdatasync(fdref_fd(ref)) : fsync(fdref_fd(ref))) < 0)
		r = -errno;
	reply_result(req, r);
}

int listings_new(struct listings **ret)
{
	struct listings *l = calloc(1, sizeof *l);

	if (!l)
		return -ENOMEM;
	pthread_mutex_init(&l->lock, NULL);
	list_init(&l->idle);
	*ret = l;
	return 0;
}

void listings_free(struct listings *l)
{
	if (!l)
		return;
	list_for_each_safe(at, &l->idle)
		stream_free(list_entry(at, struct stream, link));
	pthread_mutex_destroy(&l->lock);
	free(l);
}
