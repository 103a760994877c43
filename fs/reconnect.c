/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/reconnect.c - see fs/reconnect.h. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "fs/broker.h"
#include "fs/reconnect.h"

#define HINT_TRIES 3 /* a rename may be under way */
#define WALK_MAX   (256u << 10)

/* @name in @dirfd when it is the file of @h: its O_PATH descriptor.  -ENOENT: it is another. */
static int open_if_same(struct fs *fs, int dirfd, const char *name, const struct handle *h)
{
	_cleanup_(closep) int fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct handle found;
	int mount_id, r;

	if (fd < 0)
		return -errno;
	r = handle_get(fd, "", &found, &mount_id);
	if (r < 0)
		return r;
	if (mount_id != fs->store->mount_id || !handle_equal(&found, h))
		return -ENOENT;
	return TAKE_FD(fd);
}

/* By handle, with the broker's help when the kernel may not look up its ancestors for us. */
static int open_connected(struct fs *fs, const struct handle *h, int flags)
{
	int r, fd = handle_open(fs->store->mount_fd, h, flags);

	if (fd != -ESTALE)
		return fd;
	r = broker_connect(fs->broker, h);
	return r < 0 ? r : handle_open(fs->store->mount_fd, h, flags);
}

static int open_directory(struct fs *fs, const struct handle *h, int flags)
{
	return open_connected(fs, h, flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* ---- where it was last seen --------------------------------------------------------------- */

/* The node of the file; from the catalog when it is not in memory. */
static int find_node(struct fs *fs, const struct handle *h, struct node **ret)
{
	uint64_t id;
	int r;

	if (!fs->nodes) /* the start: nobody asked for the catalog's nodes yet */
		return -ENOENT;
	*ret = nodes_known(fs->nodes, h);
	if (*ret)
		return 0;
	r = catalog_find_handle(fs->catalog, h, &id);
	return r < 0 ? r : nodes_get(fs->nodes, id, ret);
}

static int find_orphan(struct fs *fs, uint64_t id, const struct handle *h)
{
	char name[24];

	snprintf(name, sizeof name, "%016" PRIx64, id);
	return open_if_same(fs, fs->store->orphans_fd, name, h);
}

static int find_at_hint(struct fs *fs, struct node *node)
{
	_node_ parent = {.fs = fs};
	_cleanup_(closep) int dir = -1;
	char name[256];
	int r;

	node_name(fs->nodes, node, name);
	r = nodes_get(fs->nodes, node_parent(fs->nodes, node), &parent.node);
	if (r < 0 || !*name)
		return -ENOENT;
	dir = open_directory(fs, &parent.node->handle, O_PATH);
	return dir < 0 ? -ENOENT : open_if_same(fs, dir, name, &node->handle);
}

static int find_by_hints(struct fs *fs, const struct handle *h)
{
	_node_ at = {.fs = fs};
	int fd = find_node(fs, h, &at.node);

	for (int i = 0; fd >= 0 && i < HINT_TRIES; i++) {
		int found = find_at_hint(fs, at.node);

		if (found < 0)
			found = find_orphan(fs, at.node->id, h);
		if (found >= 0)
			return found;
	}
	return -ENOENT;
}

/* ---- the walk ----------------------------------------------------------------------------- */

struct walk {
	struct fs *fs;
	const struct handle *wanted;
	uint64_t ino;
	bool has_ino;
	struct handle *todo; /* directories not yet read: a stack */
	size_t n, room;
	unsigned looked; /* directories read */
};

static void walk_done(struct walk *w)
{
	free(w->todo);
}

static int push(struct walk *w, const struct handle *h)
{
	if (w->n == WALK_MAX)
		return -E2BIG;
	if (w->n == w->room) {
		size_t room = w->room ? 2 * w->room : 64;
		struct handle *todo = realloc(w->todo, room * sizeof *todo);

		if (!todo)
			return -ENOMEM;
		w->todo = todo;
		w->room = room;
	}
	w->todo[w->n++] = *h;
	return 0;
}

static int push_name(struct walk *w, int dirfd, const char *name)
{
	struct handle h;
	int mount_id;

	if (handle_get(dirfd, name, &h, &mount_id) < 0 || mount_id != w->fs->store->mount_id)
		return 0; /* gone meanwhile, or another filesystem */
	return push(w, &h);
}

static bool is_directory(int dirfd, const struct dirent *e)
{
	struct stat st;

	if (e->d_type != DT_UNKNOWN)
		return e->d_type == DT_DIR;
	return fstatat(dirfd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static bool skip(const struct walk *w, const struct dirent *e)
{
	return !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
	       (w->looked == 1 && !strcmp(e->d_name, WEIR_DIRECTORY)); /* the root comes first */
}

/* The file, when it is @e; -ENOENT: look on. */
static int look_at(struct walk *w, int dirfd, const struct dirent *e)
{
	int r;

	if (skip(w, e))
		return -ENOENT;
	if (is_directory(dirfd, e)) {
		r = push_name(w, dirfd, e->d_name);
		return r < 0 ? r : -ENOENT;
	}
	if (w->has_ino && e->d_ino != w->ino)
		return -ENOENT;
	return open_if_same(w->fs, dirfd, e->d_name, w->wanted);
}

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* What was seen there is the new hint, so that the next search is short. */
static void take_hint(struct walk *w, const struct handle *dir, const char *name)
{
	_node_ parent = {.fs = w->fs}, file = {.fs = w->fs};

	if (find_node(w->fs, w->wanted, &file.node) == 0 &&
	    !(file.node->flags & (NODE_GONE | NODE_ORPHAN)) && /* that name is going */
	    find_node(w->fs, dir, &parent.node) == 0)
		node_seen(w->fs->nodes, file.node, parent.node->id, name);
}

/* These end the walk: "not found" would be a lie.  After others (a directory is gone, say) it
 * goes on. */
static bool is_shortage(int r)
{
	return r == -E2BIG || r == -ENOMEM || r == -EMFILE || r == -ENFILE;
}

static int look_through(struct walk *w, const struct handle *h)
{
	_cleanup_(closedirp) DIR *d = NULL;
	struct dirent *e;
	int fd = open_directory(w->fs, h, O_RDONLY), r = -ENOENT;

	w->looked++;
	if (is_shortage(fd))
		return fd;
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d && fd >= 0)
		close(fd);
	while (d && r < 0 && !is_shortage(r) && (e = readdir(d))) {
		r = look_at(w, dirfd(d), e);
		if (r >= 0)
			take_hint(w, h, e->d_name);
	}
	return r >= 0 || is_shortage(r) ? r : -ENOENT;
}

static int find_by_walk(struct fs *fs, const struct handle *h)
{
	_cleanup_(walk_done) struct walk w = {.fs = fs, .wanted = h};
	struct handle dir;
	int r;

	w.has_ino = handle_inode(h, &w.ino);
	r = push_name(&w, fs->store->orphans_fd, "");
	if (r == 0)
		r = push(&w, &fs->store->who.root);
	if (r == 0)
		r = -ENOENT;
	while (r == -ENOENT && w.n) {
		dir = w.todo[--w.n];
		r = look_through(&w, &dir);
	}
	log_notice("a file is not where weir saw it last: looked for inode %" PRIu64 " in %u "
		   "directories, %s",
		   w.ino, w.looked, r >= 0 ? "found" : "not found");
	return r;
}

/* ---- both --------------------------------------------------------------------------------- */

static int find_by_name(struct fs *fs, const struct handle *h)
{
	int fd = find_by_hints(fs, h);

	if (fd < 0)
		fd = find_by_walk(fs, h);
	if (fd == -ENOENT) /* it may have moved through the mount while we walked */
		fd = find_by_hints(fs, h);
	return fd == -ENOENT ? -ESTALE : fd;
}

int reconnect_find(void *data, const struct handle *h, int error)
{
	if (error == -ESTALE)
		return open_connected(data, h, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return find_by_name(data, h);
}

int reconnect_open(struct fs *fs, const struct handle *h, int flags)
{
	_cleanup_(closep) int found = -1;
	int fd = open_connected(fs, h, flags);

	if (fd != -EACCES)
		return fd;
	found = find_by_name(fs, h);
	return found < 0 ? found : handle_reopen(found, flags);
}

int reconnect_link(struct fs *fs, const struct handle *h, int fd, int dirfd, const char *name)
{
	_cleanup_(closep) int found = -1;

	if (linkat(fd, "", dirfd, name, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno != EACCES && errno != EXDEV)
		return -errno;
	found = find_by_name(fs, h);
	if (found < 0)
		return found;
	return linkat(found, "", dirfd, name, AT_EMPTY_PATH) < 0 ? -errno : 0;
}
