/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/names.c - making names: mkdir, mknod, symlink, link, create.
 *
 * The file is made by the backing filesystem on behalf of the caller (fs/caller.h), then found
 * like any other child.  Between the two somebody may have renamed or removed it behind us; then
 * the reply is what a lookup after the call would have been.
 */
#include <fcntl.h>

#include "fs/cover.h"
#include "fs/callbacks.h"
#include "fs/caller.h"
#include "fs/open.h"
#include "fs/reconnect.h"
#include "fs/resume.h"

/* What is to be made; one of the members decides. */
struct making {
	mode_t mode;
	dev_t rdev;
	const char *target; /* of a symlink */
};

static int make_as_caller(int dirfd, const char *name, const struct making *what)
{
	if (what->target)
		return symlinkat(what->target, dirfd, name);
	if (S_ISDIR(what->mode))
		return mkdirat(dirfd, name, what->mode & 07777);
	return mknodat(dirfd, name, what->mode, what->rdev);
}

static void begin_making(const struct node *dir, const char *name, mode_t mode)
{
	slate_names(session_slot(), dir->id, name, 0, NULL);
	session_slot()->record.mode = mode & S_IFMT ? mode & S_IFMT : S_IFREG;
	slate_begin(session_slot());
}

static int make(fuse_req_t req, struct node *dir, const char *name, const struct making *what)
{
	struct fs *fs = request_fs(req);
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	int r;

	if (resume_done(fs, &r))
		return r;
	r = name_allowed(dir, name);
	if (r == 0)
		r = node_fd(fs, dir, FD_PATH, &ref);
	if (r < 0)
		return r;
	begin_making(dir, name, what->target ? S_IFLNK : what->mode);
	caller_enter(fuse_req_ctx(req));
	r = make_as_caller(fdref_fd(ref), name, what) < 0 ? -errno : 0;
	caller_leave();
	slate_outcome(session_slot(), r);
	return r;
}

static void make_and_reply(fuse_req_t req, fuse_ino_t parent, const char *name,
			   const struct making *what)
{
	struct fs *fs = request_fs(req);
	_node_ dir = {.fs = fs}, child = {.fs = fs};
	struct stat st;
	int r;

	r = nodes_get(fs->nodes, parent, &dir.node);
	if (r == 0)
		r = make(req, dir.node, name, what);
	if (r == 0)
		r = find_child(fs, dir.node, name, &child.node, &st);
	if (r < 0)
		reply_result(req, r);
	else
		reply_entry(req, child.node, &st);
}

void fs_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	make_and_reply(req, parent, name, &(struct making){.mode = mode | S_IFDIR});
}

void fs_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	make_and_reply(req, parent, name, &(struct making){.mode = mode, .rdev = rdev});
}

void fs_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	make_and_reply(req, parent, name, &(struct making){.target = target});
}

/* ---- link -------------------------------------------------------------------------------- */

static int link_node_to(fuse_req_t req, struct node *node, struct node *dir, const char *name)
{
	struct fs *fs = request_fs(req);
	_cleanup_(fdref_putp) struct fdref *file = NULL, *into = NULL;
	int r;

	if (resume_done(fs, &r))
		return r;
	if (node->flags & (NODE_ORPHAN | NODE_GONE))
		return -ENOENT; /* its last name is gone */
	r = name_allowed(dir, name);
	if (r == 0)
		r = cover_may_link(fs, node, dir, name);
	if (r == 0)
		r = node_fd(fs, node, FD_PATH, &file);
	if (r == 0)
		r = node_fd(fs, dir, FD_PATH, &into);
	if (r < 0)
		return r;
	slate_names(session_slot(), node->id, NULL, dir->id, name);
	slate_begin(session_slot());
	r = reconnect_link(fs, &node->handle, fdref_fd(file), fdref_fd(into), name);
	slate_outcome(session_slot(), r);
	return r;
}

void fs_link(fuse_req_t req, fuse_ino_t id, fuse_ino_t parent, const char *name)
{
	struct fs *fs = request_fs(req);
	_node_ node = {.fs = fs}, dir = {.fs = fs}, child = {.fs = fs};
	struct stat st;
	int r;

	r = nodes_get(fs->nodes, id, &node.node);
	if (r == 0)
		r = nodes_get(fs->nodes, parent, &dir.node);
	if (r == 0) {
		open_begin(fs, node.node); /* its last name may be going this very moment */
		r = link_node_to(req, node.node, dir.node, name);
		open_end(fs, node.node);
	}
	if (r == 0)
		r = find_child(fs, dir.node, name, &child.node, &st);
	if (r < 0)
		reply_result(req, r);
	else
		reply_entry(req, child.node, &st);
}

/* ---- create ------------------------------------------------------------------------------ */

/* A read-write descriptor of the new file, whatever the caller asked for: it goes to the fd cache.
 * The kernel asks only for names that it found free, and checks nobody's permissions for them: a
 * file that lies there by now was made behind us and may be somebody else's.  -ESTALE makes the
 * kernel look again, and open what it finds like any other file. */
static int create_file(fuse_req_t req, struct node *dir, int dirfd, const char *name, mode_t mode,
		       int flags)
{
	int fd, r;

	begin_making(dir, name, S_IFREG);
	caller_enter(fuse_req_ctx(req));
	fd = open_with_room(request_fs(req), dirfd, name,
			    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, mode);
	r = MIN(fd, 0);
	if (r == -EEXIST && !(flags & O_EXCL))
		r = -ESTALE;
	caller_leave();
	slate_outcome(session_slot(), r);
	return r < 0 ? r : fd;
}

/* Made by the worker before us: open what it made. */
static int open_made(struct fs *fs, int dirfd, const char *name)
{
	return open_with_room(fs, dirfd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0);
}

static int create_or_resume(fuse_req_t req, struct node *dir, const char *name, mode_t mode,
			    int flags, int *ret_fd)
{
	struct fs *fs = request_fs(req);
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	int done, r;

	r = name_allowed(dir, name);
	if (r == 0)
		r = node_fd(fs, dir, FD_PATH, &ref);
	if (r < 0)
		return r;
	if (!resume_done(fs, &done))
		r = create_file(req, dir, fdref_fd(ref), name, mode, flags);
	else
		r = done < 0 ? done : open_made(fs, fdref_fd(ref), name);
	if (r < 0)
		return r;
	*ret_fd = r;
	return 0;
}

static void reply_create(fuse_req_t req, struct node *node, const struct stat *st,
			 const struct weir_open_out *open)
{
	struct fs *fs = request_fs(req);
	struct {
		struct fuse_entry_out entry;
		struct weir_open_out open;
	} out = {.open = *open};
	uint64_t id = node->id;

	fill_entry_out(fs, &out.entry, node, st);
	node_add_lookup(fs->nodes, node);
	if (fuse_reply_buf(req, (const char *)&out, sizeof out) == -ENOENT) {
		open_release(fs, node, open->fh);
		nodes_forget(fs->nodes, id, 1);
	}
}

void fs_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi)
{
	struct fs *fs = request_fs(req);
	_node_ dir = {.fs = fs}, child = {.fs = fs};
	_cleanup_(closep) int fd = -1;
	struct weir_open_out open;
	struct stat st;
	int r;

	r = nodes_get(fs->nodes, parent, &dir.node);
	if (r == 0)
		r = create_or_resume(req, dir.node, name, mode, fi->flags, &fd);
	if (r == 0)
		r = find_opened(fs, dir.node, name, fd, &child.node, &st);
	if (r == 0) {
		atomic_fetch_or(&child.node->flags, NODE_CREATED);
		fdcache_add(fs->fds, &child.node->handle, FD_WRITE, TAKE_FD(fd), NULL);
		r = open_acquire(fs, child.node, fi->flags, &open);
	}
	if (r < 0)
		reply_result(req, r);
	else
		reply_create(req, child.node, &st, &open);
}
