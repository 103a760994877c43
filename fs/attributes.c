/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/attributes.c - lookup, forget, getattr, setattr, readlink, statfs. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "fs/callbacks.h"
#include "fs/caller.h"
#include "fs/disk.h"
#include "fs/listing.h"
#include "fs/recognise.h"

/* "." is how the kernel asks for an id that an NFS client still holds, ".." for its parent. */
static int find_dots(struct fs *fs, struct node *dir, const char *name, struct node **ret,
		     struct stat *ret_st)
{
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	_cleanup_(closep) int fd = -1;
	int r;

	if (!name[1] || dir->id == NODE_ROOT) {
		r = dir->flags & NODE_GONE ? -ESTALE : node_attributes(fs, dir, ret_st);
		if (r == 0)
			*ret = node_ref(fs->nodes, dir);
		return r;
	}
	r = node_fd(fs, dir, FD_PATH, &ref);
	if (r < 0)
		return r;
	fd = open_with_room(fs, fdref_fd(ref), "..", O_PATH | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	return find_directory(fs, fd, ret, ret_st);
}

/* A directory that was reached by "..": its own name is not known from that. */
int find_directory(struct fs *fs, int fd, struct node **ret, struct stat *ret_st)
{
	struct handle h;
	int r, mount_id;

	r = handle_get(fd, "", &h, &mount_id);
	if (r < 0)
		return r;
	*ret = nodes_known(fs->nodes, &h);
	if (!*ret) {
		uint64_t id;

		r = catalog_find_handle(fs->catalog, &h, &id);
		if (r < 0)
			return -ESTALE;
		r = nodes_get(fs->nodes, id, ret);
		if (r < 0)
			return r;
	}
	if (fstatat(fd, "", ret_st, AT_EMPTY_PATH) < 0) {
		node_unref(fs->nodes, *ret);
		return -errno;
	}
	show_attributes(fs, *ret, ret_st);
	return 0;
}

void fs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	_node_ dir = {.fs = request_fs(req)}, child = {.fs = request_fs(req)};
	struct stat st;
	int r;

	r = nodes_get(dir.fs->nodes, parent, &dir.node);
	if (r == 0 && name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2])))
		r = find_dots(dir.fs, dir.node, name, &child.node, &st);
	else if (r == 0)
		r = find_child(dir.fs, dir.node, name, &child.node, &st);
	if (r == 0 && !S_ISDIR(st.st_mode))
		listing_note_walker(dir.fs, fuse_req_ctx(req)->pid);
	if (r < 0)
		reply_result(req, r);
	else
		reply_entry(req, child.node, &st);
}

void fs_forget(fuse_req_t req, fuse_ino_t id, uint64_t count)
{
	nodes_forget(request_fs(req)->nodes, id, count);
	fuse_reply_none(req);
}

void fs_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		nodes_forget(request_fs(req)->nodes, forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

void fs_getattr(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	_node_ at = {.fs = request_fs(req)};
	struct stat st;
	int r;

	r = nodes_get(at.fs->nodes, id, &at.node);
	if (r == 0)
		r = node_attributes(at.fs, at.node, &st);
	if (r == 0)
		disk_notice_size(at.fs, at.node, (uint64_t)st.st_size);
	if (r < 0)
		reply_result(req, r);
	else
		fuse_reply_attr(req, &st, fs_timeout(at.fs));
}

/* ---- setattr ----------------------------------------------------------------------------- */

static int set_times(int fd, const struct stat *attr, int to_set)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};

	if (to_set & FUSE_SET_ATTR_ATIME_NOW)
		times[0].tv_nsec = UTIME_NOW;
	else if (to_set & FUSE_SET_ATTR_ATIME)
		times[0] = attr->st_atim;
	if (to_set & FUSE_SET_ATTR_MTIME_NOW)
		times[1].tv_nsec = UTIME_NOW;
	else if (to_set & FUSE_SET_ATTR_MTIME)
		times[1] = attr->st_mtim;
	return utimensat(fd, "", times, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

static int set_owner(int fd, const struct stat *attr, int to_set)
{
	uid_t uid = to_set & FUSE_SET_ATTR_UID ? attr->st_uid : (uid_t)-1;
	gid_t gid = to_set & FUSE_SET_ATTR_GID ? attr->st_gid : (gid_t)-1;

	return fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

/* A message that sets nothing is one of two things: the end of what the kernel does before a write
 * to a file with capabilities, which it has just removed; or chown(-1, -1), which moves the ctime
 * and drops set-id bits. */
static int set_nothing(struct node *node, int fd)
{
	if (atomic_fetch_and(&node->flags, ~(uint32_t)NODE_UNCAPPED) & NODE_UNCAPPED)
		return 0;
	return fchownat(fd, "", (uid_t)-1, (gid_t)-1, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

/* The kernel asks for it when the caller may not keep set-id bits (we may, as root). */
int drop_set_id(int fd)
{
	struct stat st;
	mode_t mode;

	if (fstatat(fd, "", &st, AT_EMPTY_PATH) < 0)
		return -errno;
	mode = st.st_mode & ~(mode_t)S_ISUID;
	if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		mode &= ~(mode_t)S_ISGID;
	if (mode == st.st_mode || !S_ISREG(st.st_mode))
		return 0;
	return chmod(fd_path(fd).text, mode & 07777) < 0 ? -errno : 0;
}

static int set_attributes(struct fs *fs, struct node *node, const struct stat *attr, int to_set)
{
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	int fd, r = node_fd(fs, node, FD_PATH, &ref);

	if (r < 0)
		return r;
	fd = fdref_fd(ref);
	if (to_set & FUSE_SET_ATTR_SIZE)
		r = disk_resize(fs, node, (uint64_t)attr->st_size);
	if (r == 0 && (to_set & FUSE_SET_ATTR_SIZE) && attr->st_size == 0)
		recognise_emptied(fs, node);
	if (r == 0 && (to_set & FUSE_SET_ATTR_KILL_SUID))
		r = drop_set_id(fd);
	if (!to_set)
		r = set_nothing(node, fd);
	if (r == 0 && (to_set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)))
		r = set_owner(fd, attr, to_set);
	if (r == 0 && (to_set & FUSE_SET_ATTR_MODE))
		r = chmod(fd_path(fd).text, attr->st_mode & 07777) < 0 ? -errno : 0;
	if (r == 0 && (to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME |
				 FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME_NOW)))
		r = set_times(fd, attr, to_set);
	return r;
}

void fs_setattr(fuse_req_t req, fuse_ino_t id, struct stat *attr, int to_set,
		struct fuse_file_info *fi)
{
	_node_ at = {.fs = request_fs(req)};
	struct stat st;
	int r;

	r = nodes_get(at.fs->nodes, id, &at.node);
	if (r == 0)
		r = set_attributes(at.fs, at.node, attr, to_set);
	if (r == 0)
		r = node_attributes(at.fs, at.node, &st);
	if (r < 0)
		reply_result(req, r);
	else
		fuse_reply_attr(req, &st, fs_timeout(at.fs));
}

void fs_readlink(fuse_req_t req, fuse_ino_t id)
{
	_node_ at = {.fs = request_fs(req)};
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	char target[4097];
	ssize_t n = 0;
	int r;

	r = nodes_get(at.fs->nodes, id, &at.node);
	if (r == 0)
		r = node_fd(at.fs, at.node, FD_PATH, &ref);
	if (r == 0) {
		n = readlinkat(fdref_fd(ref), "", target, sizeof target - 1);
		r = n < 0 ? -errno : 0;
	}
	if (r < 0) {
		reply_result(req, r);
		return;
	}
	target[n] = 0;
	fuse_reply_readlink(req, target);
}

void fs_statfs(fuse_req_t req, fuse_ino_t id)
{
	struct statvfs st;

	if (fstatvfs(request_fs(req)->store->root_fd, &st) < 0)
		reply_result(req, -errno);
	else
		fuse_reply_statfs(req, &st);
}
