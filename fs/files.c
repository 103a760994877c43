/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/files.c - what the operations share: descriptors of nodes, children by name, attributes.
 *
 * A child is found by name and identified by handle; both answers must be about the same inode
 * although the directory may change between the two calls.  So the inode number inside the handle
 * must be the one of the attributes; where a handle does not show it, the file is held by an
 * O_PATH descriptor meanwhile.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "fs/disk.h"
#include "fs/fs.h"

#ifndef AT_NO_AUTOMOUNT
#define AT_NO_AUTOMOUNT 0x800
#endif

void reply_result(fuse_req_t req, int r)
{
	if (r < 0)
		trouble_note(&request_fs(req)->trouble, r, fuse_req_ctx(req)->pid);
	fuse_reply_err(req, -r);
}

int node_fd(struct fs *fs, struct node *node, enum fd_kind kind, struct fdref **ret)
{
	int r = fdcache_get(fs->fds, &node->handle, kind, ret);

	return r == -ESTALE && (node->flags & NODE_GONE) ? -ENOENT : r;
}

int open_with_room(struct fs *fs, int dirfd, const char *name, int flags, mode_t mode)
{
	unsigned tries = 0;
	int fd;

	do {
		fd = openat(dirfd, name, flags, mode);
		fd = fd < 0 ? -errno : fd;
	} while (fd < 0 && fdcache_make_room(fs->fds, fd, &tries));
	return fd;
}

static bool is_weir_directory(const struct node *dir, const char *name)
{
	return dir->id == NODE_ROOT && !strcmp(name, WEIR_DIRECTORY);
}

int name_visible(const struct node *dir, const char *name)
{
	return is_weir_directory(dir, name) ? -ENOENT : 0;
}

int name_allowed(const struct node *dir, const char *name)
{
	return is_weir_directory(dir, name) ? -EPERM : 0;
}

void show_attributes(struct fs *fs, struct node *node, struct stat *st)
{
	/* A file system of several devices (btrfs subvolumes) repeats inode numbers. */
	if (st->st_dev != fs->device)
		st->st_ino = node->id;
	if ((node->flags & NODE_ORPHAN) && st->st_nlink)
		st->st_nlink--; /* the link in .weir/orphans is ours */
	disk_show_attributes(node, st);
}

int node_attributes(struct fs *fs, struct node *node, struct stat *ret)
{
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	int r = node_fd(fs, node, FD_PATH, &ref);

	if (r == -ENOENT || r == -ESTALE)
		return node_epitaph(fs->nodes, node, ret) == 0 ? 0 : -ESTALE;
	if (r < 0)
		return r;
	if (fstatat(fdref_fd(ref), "", ret, AT_EMPTY_PATH) < 0)
		return -errno;
	if (ret->st_nlink == 0 && !node->open && !node->grave) {
		/* Removed behind us; only our cached descriptor kept it. */
		fdcache_forget(fs->fds, &node->handle);
		return node_epitaph(fs->nodes, node, ret) == 0 ? 0 : -ESTALE;
	}
	show_attributes(fs, node, ret);
	return 0;
}

int find_opened(struct fs *fs, struct node *dir, const char *name, int fd, struct node **ret,
		struct stat *ret_st)
{
	struct handle h;
	int r, mount_id;

	r = handle_get(fd, "", &h, &mount_id);
	if (r < 0)
		return r;
	if (mount_id != fs->store->mount_id)
		return -EXDEV; /* a datastore is one filesystem */
	if (fstatat(fd, "", ret_st, AT_EMPTY_PATH) < 0)
		return -errno;
	r = nodes_find(fs->nodes, &h, ret_st->st_ino, S_ISDIR(ret_st->st_mode), dir->id, name, ret);
	if (r < 0)
		return r;
	show_attributes(fs, *ret, ret_st);
	return 0;
}

/* By two calls instead of five where the handle itself says the inode number, so that both answers
 * are known to be about one inode.  -EAGAIN: ask the slow way. */
static int find_quickly(struct fs *fs, struct node *dir, int dirfd, const char *name,
			struct node **ret, struct stat *ret_st)
{
	struct handle h;
	uint64_t ino;
	int r, mount_id;

	r = handle_get(dirfd, name, &h, &mount_id);
	if (r < 0)
		return r;
	if (mount_id != fs->store->mount_id)
		return -EXDEV;
	if (!handle_inode(&h, &ino))
		return -EAGAIN;
	if (fstatat(dirfd, name, ret_st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return -errno;
	if (ret_st->st_ino != ino)
		return -EAGAIN; /* it was replaced in between */
	r = nodes_find(fs->nodes, &h, ino, S_ISDIR(ret_st->st_mode), dir->id, name, ret);
	if (r == 0)
		show_attributes(fs, *ret, ret_st);
	return r;
}

int find_child(struct fs *fs, struct node *dir, const char *name, struct node **ret,
	       struct stat *ret_st)
{
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	_cleanup_(closep) int fd = -1;
	int r;

	r = name_visible(dir, name);
	if (r == 0)
		r = node_fd(fs, dir, FD_PATH, &ref);
	if (r == 0)
		r = find_quickly(fs, dir, fdref_fd(ref), name, ret, ret_st);
	if (r != -EAGAIN)
		return r;
	fd = open_with_room(fs, fdref_fd(ref), name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	return find_opened(fs, dir, name, fd, ret, ret_st);
}

void fill_entry(struct fs *fs, struct fuse_entry_param *e, const struct node *node,
		const struct stat *st)
{
	*e = (struct fuse_entry_param){
		.ino = node->id,
		.generation = 0, /* ids are never used again, so none is needed */
		.attr = *st,
		.attr_timeout = fs_timeout(fs),
		.entry_timeout = fs_timeout(fs),
	};
}

/* The same as the kernel sees it, for a reply that libfuse cannot compose. */
void fill_entry_out(struct fs *fs, struct fuse_entry_out *e, const struct node *node,
		    const struct stat *st)
{
	*e = (struct fuse_entry_out){
		.nodeid = node->id,
		.entry_valid = (uint64_t)fs_timeout(fs),
		.attr_valid = (uint64_t)fs_timeout(fs),
		.attr = {
			.ino = st->st_ino,
			.size = (uint64_t)st->st_size,
			.blocks = (uint64_t)st->st_blocks,
			.atime = (uint64_t)st->st_atim.tv_sec,
			.mtime = (uint64_t)st->st_mtim.tv_sec,
			.ctime = (uint64_t)st->st_ctim.tv_sec,
			.atimensec = (uint32_t)st->st_atim.tv_nsec,
			.mtimensec = (uint32_t)st->st_mtim.tv_nsec,
			.ctimensec = (uint32_t)st->st_ctim.tv_nsec,
			.mode = st->st_mode,
			.nlink = (uint32_t)st->st_nlink,
			.uid = st->st_uid,
			.gid = st->st_gid,
			.rdev = (uint32_t)st->st_rdev,
			.blksize = (uint32_t)st->st_blksize,
		},
	};
}

void reply_entry(fuse_req_t req, struct node *node, const struct stat *st)
{
	struct fs *fs = request_fs(req);
	struct fuse_entry_param e;
	uint64_t id = node->id;

	fill_entry(fs, &e, node, st);
	node_add_lookup(fs->nodes, node);
	if (fuse_reply_entry(req, &e) == -ENOENT)
		nodes_forget(fs->nodes, id, 1); /* nobody waited for the reply */
}
