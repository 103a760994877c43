/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/removal.c - names that go: unlink, rmdir, rename.
 *
 * A file that loses its last name while it is open becomes an orphan (fs/orphan.h).  Whether it
 * is open is decided while we own its open state, so no open slips between the question and the
 * removal.
 */
#include <fcntl.h>
#include <stdio.h>

#include "fs/assign.h"
#include "fs/callbacks.h"
#include "fs/open.h"
#include "fs/orphan.h"
#include "fs/resume.h"

/* What lies at a name before it goes; node is NULL when the kernel does not know the file. */
struct victim {
	struct fs *fs;
	uint64_t dir;
	const char *name;
	struct node *node; /* owned: open_begin was called */
	struct handle handle;
	struct stat st;
	struct fdref *open; /* of a directory: somebody may have it open, and we would not know */
	bool orphaned;
};

static void victim_end(struct victim *v)
{
	fdref_put(v->open);
	if (!v->node)
		return;
	open_end(v->fs, v->node);
	node_unref(v->fs->nodes, v->node);
}

static int victim_find(struct victim *v, int dirfd, const char *name)
{
	int mount_id, r;

	r = handle_get(dirfd, name, &v->handle, &mount_id);
	if (r < 0)
		return r;
	if (mount_id != v->fs->store->mount_id)
		return -EBUSY; /* somebody's mount point inside the datastore */
	v->node = nodes_known(v->fs->nodes, &v->handle);
	if (v->node)
		open_begin(v->fs, v->node);
	if (fstatat(dirfd, name, &v->st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (v->node && S_ISDIR(v->st.st_mode))
		fdcache_get(v->fs->fds, &v->handle, FD_READ, &v->open); /* without it: ESTALE */
	return 0;
}

static bool victim_stays(const struct victim *v)
{
	if (v->node && (v->node->flags & NODE_ORPHAN))
		return false; /* a worker before us has linked it there already */
	return v->node && v->node->open && S_ISREG(v->st.st_mode) && v->st.st_nlink == 1;
}

static void victim_is_gone(struct victim *v)
{
	if (!v->node || v->orphaned || (v->node->flags & NODE_ORPHAN))
		return;
	if (!S_ISDIR(v->st.st_mode) && v->st.st_nlink != 1) {
		node_lost_name(v->fs->nodes, v->node, v->dir, v->name);
		return;
	}
	node_gone(v->fs->nodes, v->node);
	v->st.st_nlink = 0;
	node_bury(v->fs->nodes, v->node, &v->st); /* of a directory: for the next worker */
	if (v->open)
		node_keep_open(v->fs->nodes, v->node, TAKE_PTR(v->open));
	else
		fdcache_forget(v->fs->fds, &v->node->handle);
}

/* What became of the file that lay there; told to assignments when nothing is owned any more. */
struct gone {
	struct handle handle;
	bool last_name; /* and it is not open: an orphan keeps what it has to its last close */
};

/* What the record says that lay at the name, for a request that was done before our time. */
static struct gone gone_before(const struct handle *h)
{
	const struct slate_record *r = &session_slot()->record;

	return (struct gone){*h, S_ISDIR(r->mode) || r->links <= 1};
}

static void note_victim(const struct victim *v)
{
	session_slot()->record.links = (uint32_t)v->st.st_nlink;
	session_slot()->record.mode = v->st.st_mode & S_IFMT;
}

/* The row in the catalog goes, if the worker that removed the file did not come to it. */
static void forget_gone(struct fs *fs, const struct gone *gone)
{
	_node_ at = {.fs = fs};
	uint64_t id;

	if (!gone->last_name || !gone->handle.len ||
	    catalog_find_handle(fs->catalog, &gone->handle, &id) < 0 ||
	    nodes_get(fs->nodes, id, &at.node) < 0)
		return;
	if (!at.node->open)
		node_gone(fs->nodes, at.node);
}

static int remove_name(struct fs *fs, struct node *dir, const char *name, int flags,
		       struct gone *ret)
{
	_cleanup_(victim_end) struct victim v = {.fs = fs, .dir = dir->id, .name = name};
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	int r;

	if (resume_done(fs, &r)) {
		*ret = gone_before(&session_slot()->record.before);
		if (r == 0)
			forget_gone(fs, ret);
		return r;
	}
	r = name_visible(dir, name);
	if (r == 0)
		r = node_fd(fs, dir, FD_PATH, &ref);
	if (r == 0)
		r = victim_find(&v, fdref_fd(ref), name);
	if (r < 0)
		return r;
	slate_names(session_slot(), dir->id, name, 0, NULL);
	session_slot()->record.before = v.handle;
	note_victim(&v);
	slate_begin(session_slot());
	if (!flags && victim_stays(&v)) {
		r = orphan_move(fs, v.node, fdref_fd(ref), name);
		v.orphaned = r == 0;
	} else {
		r = unlinkat(fdref_fd(ref), name, flags) < 0 ? -errno : 0;
	}
	slate_outcome(session_slot(), r);
	*ret = (struct gone){v.handle, S_ISDIR(v.st.st_mode) || v.st.st_nlink <= 1};
	if (r == 0)
		victim_is_gone(&v);
	return r;
}

static void remove_and_reply(fuse_req_t req, fuse_ino_t parent, const char *name, int flags)
{
	struct fs *fs = request_fs(req);
	_node_ dir = {.fs = fs};
	struct gone gone;
	int r;

	r = nodes_get(fs->nodes, parent, &dir.node);
	if (r == 0)
		r = remove_name(fs, dir.node, name, flags, &gone);
	if (r == 0)
		assign_file_unlinked(fs, &gone.handle, gone.last_name);
	reply_result(req, r);
}

void fs_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_and_reply(req, parent, name, 0);
}

void fs_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_and_reply(req, parent, name, AT_REMOVEDIR);
}

/* ---- rename ------------------------------------------------------------------------------ */

struct move {
	struct fs *fs;
	struct node *from_dir, *to_dir;
	struct fdref *from_ref, *to_ref;
	const char *from, *to;
	unsigned flags;
	struct node *moved, *exchanged; /* those the kernel knows */
	struct handle from_handle, to_handle;
	struct gone gone; /* handle.len 0: nothing was replaced */
};

static void move_done(struct move *m)
{
	node_unref(m->fs->nodes, m->from_dir);
	node_unref(m->fs->nodes, m->to_dir);
	node_unref(m->fs->nodes, m->moved);
	node_unref(m->fs->nodes, m->exchanged);
	fdref_put(m->from_ref);
	fdref_put(m->to_ref);
}

/* A worker just started has few nodes in memory; the kernel does not look names up again for it. */
static struct node *node_of(struct fs *fs, const struct handle *h)
{
	struct node *node = nodes_known(fs->nodes, h);
	uint64_t id;

	if (!node && (catalog_find_handle(fs->catalog, h, &id) < 0 ||
		      nodes_get(fs->nodes, id, &node) < 0))
		return NULL;
	return node;
}

static int move_prepare(struct move *m)
{
	int mount_id, r;

	r = name_visible(m->from_dir, m->from);
	if (r == 0)
		r = name_allowed(m->to_dir, m->to);
	if (r == 0)
		r = node_fd(m->fs, m->from_dir, FD_PATH, &m->from_ref);
	if (r == 0)
		r = node_fd(m->fs, m->to_dir, FD_PATH, &m->to_ref);
	if (r == 0)
		r = handle_get(fdref_fd(m->from_ref), m->from, &m->from_handle, &mount_id);
	if (r < 0)
		return r;
	if (mount_id != m->fs->store->mount_id)
		return -EBUSY;
	m->moved = node_of(m->fs, &m->from_handle);
	slate_names(session_slot(), m->from_dir->id, m->from, m->to_dir->id, m->to);
	session_slot()->record.before = m->from_handle;
	session_slot()->record.flags = m->flags;
	return 0;
}

/* The record is whole when this begins. */
static int do_rename(struct move *m)
{
	int r;

	slate_begin(session_slot());
	r = renameat2(fdref_fd(m->from_ref), m->from, fdref_fd(m->to_ref), m->to, m->flags);

	return r < 0 ? -errno : 0;
}

/* The target, if there is one, loses this name in the same step. */
static int rename_over(struct move *m)
{
	_cleanup_(victim_end) struct victim v = {
		.fs = m->fs, .dir = m->to_dir->id, .name = m->to};
	int r;

	r = victim_find(&v, fdref_fd(m->to_ref), m->to);
	if (r == -ENOENT)
		return do_rename(m);
	if (r < 0)
		return r;
	session_slot()->record.before2 = m->to_handle = v.handle;
	note_victim(&v);
	if (handle_equal(&v.handle, &m->from_handle))
		return do_rename(m); /* two names of one file: nothing happens */
	if (victim_stays(&v)) {
		r = orphan_link(m->fs, v.node, fdref_fd(m->to_ref), m->to);
		v.orphaned = r == 0;
	}
	if (r == 0)
		r = do_rename(m);
	if (r < 0 && v.orphaned)
		orphan_undo(m->fs, v.node);
	if (r == 0) {
		m->gone = (struct gone){v.handle, S_ISDIR(v.st.st_mode) || v.st.st_nlink <= 1};
		victim_is_gone(&v);
	}
	return r;
}

static int rename_exchange(struct move *m)
{
	int mount_id, r;

	r = name_visible(m->to_dir, m->to);
	if (r == 0)
		r = handle_get(fdref_fd(m->to_ref), m->to, &m->to_handle, &mount_id);
	if (r < 0)
		return r;
	m->exchanged = node_of(m->fs, &m->to_handle);
	session_slot()->record.before2 = m->to_handle;
	r = do_rename(m);
	if (r == 0 && m->exchanged)
		node_moved(m->fs->nodes, m->exchanged, m->from_dir->id, m->from);
	return r;
}

static int rename_now(struct move *m)
{
	int r = move_prepare(m);

	if (r < 0)
		return r;
	if (m->flags & RENAME_EXCHANGE)
		r = rename_exchange(m);
	else if (m->flags & RENAME_NOREPLACE)
		r = do_rename(m);
	else
		r = rename_over(m);
	slate_outcome(session_slot(), r);
	return r;
}

/* Done by the worker before us, who may not have come to what follows. */
static void rename_before(struct move *m)
{
	const struct slate_record *r = &session_slot()->record;

	m->from_handle = r->before;
	m->to_handle = r->before2;
	m->moved = node_of(m->fs, &r->before);
	if (m->flags & RENAME_EXCHANGE) {
		m->exchanged = node_of(m->fs, &r->before2);
		if (m->exchanged)
			node_moved(m->fs->nodes, m->exchanged, m->from_dir->id, m->from);
	}
	if (r->before2.len && !(m->flags & RENAME_EXCHANGE) &&
	    !handle_equal(&r->before, &r->before2)) {
		m->gone = gone_before(&r->before2);
		forget_gone(m->fs, &m->gone);
	}
}

static int move(struct move *m)
{
	int r;

	if (!resume_done(m->fs, &r))
		r = rename_now(m);
	else if (r == 0)
		rename_before(m);
	if (r == 0 && m->moved && !handle_equal(&m->from_handle, &m->to_handle)) {
		node_moved(m->fs->nodes, m->moved, m->to_dir->id, m->to);
		assign_file_moved(m->fs, m->moved);
	}
	if (r == 0 && m->gone.handle.len)
		assign_file_replaced(m->fs, &m->gone.handle, &m->from_handle, m->gone.last_name);
	return r;
}

void fs_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	       const char *new_name, unsigned flags)
{
	_cleanup_(move_done) struct move m = {
		.fs = request_fs(req), .from = name, .to = new_name, .flags = flags};
	int r = 0;

	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		r = -EINVAL; /* RENAME_WHITEOUT: for layers of overlayfs, which we are not */
	if (r == 0)
		r = nodes_get(m.fs->nodes, parent, &m.from_dir);
	if (r == 0)
		r = nodes_get(m.fs->nodes, new_parent, &m.to_dir);
	if (r == 0)
		r = move(&m);
	reply_result(req, r);
}
