/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/place.c - see fs/place.h. */
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "fs/place.h"

#define TRIES 8 /* openat2 gives EAGAIN when a rename is in the way */

static int open_beneath(struct fs *fs, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			   RESOLVE_NO_XDEV,
	};
	unsigned tries = 0;
	int fd = -1;

	for (int i = 0; i < TRIES; i++) {
		fd = (int)syscall(SYS_openat2, fs->store->root_fd, path, &how, sizeof how);
		if (fd >= 0)
			break;
		if (fdcache_make_room(fs->fds, -errno, &tries))
			i--;
		else if (errno != EAGAIN && errno != EINTR)
			break;
	}
	return fd < 0 ? -errno : fd;
}

static int refusal(int r, const char **ret_why)
{
	switch (r) {
	case -ELOOP:
		*ret_why = "a symbolic link is on the way to it";
		return -EACCES;
	case -EXDEV:
		*ret_why = "it lies on another filesystem";
		return -EACCES;
	case -ENOTDIR:
		return -ENOENT;
	case -ENAMETOOLONG:
		*ret_why = "its name is too long";
		return -EACCES;
	}
	return r;
}

static const char *refused_kind(mode_t mode)
{
	if (S_ISREG(mode))
		return NULL;
	if (S_ISLNK(mode))
		return "it is a symbolic link";
	if (S_ISDIR(mode))
		return "it is a directory";
	return S_ISBLK(mode) || S_ISCHR(mode) ? "it is a device" : "it is no regular file";
}

int place_find(struct fs *fs, const char *path, struct place *ret, const char **ret_why)
{
	_cleanup_(closep) int fd = open_beneath(fs, path);
	struct stat st;
	int r, mount_id;

	if (fd < 0)
		return refusal(fd, ret_why);
	if (fstatat(fd, "", &st, AT_EMPTY_PATH) < 0)
		return -errno;
	*ret_why = refused_kind(st.st_mode);
	if (*ret_why)
		return -EACCES;
	r = handle_get(fd, "", &ret->handle, &mount_id);
	if (r < 0)
		return r;
	*ret_why = "it lies on another filesystem";
	if (mount_id != fs->store->mount_id)
		return -EACCES;
	ret->size = (uint64_t)st.st_size;
	snprintf(ret->path, sizeof ret->path, "%s", path);
	return 0;
}

int place_of_node(struct fs *fs, struct node *node, struct place *ret)
{
	char path[PATH_MAX];
	const char *why;
	int r;

	node_path(fs->nodes, node, path, sizeof path);
	r = place_find(fs, path, ret, &why);
	if (r == -EACCES || (r == 0 && !handle_equal(&ret->handle, &node->handle)))
		return -ENOENT;
	return r;
}

int place_resolve(struct fs *fs, const struct place *from, const char *name, unsigned flags,
		  struct place *ret, const char **ret_why)
{
	char dir[PATH_MAX], path[PATH_MAX];
	int r;

	snprintf(dir, sizeof dir, "%.*s", (int)place_directory(from->path), from->path);
	r = place_join(dir, name, flags, path, sizeof path, ret_why);
	return r < 0 ? r : place_find(fs, path, ret, ret_why);
}

int place_node(struct fs *fs, const char *path, struct node **ret)
{
	_node_ at = {.fs = fs};
	struct node *child;
	struct stat st;
	char name[256];
	size_t n;
	int r;

	r = nodes_get(fs->nodes, NODE_ROOT, &at.node);
	for (; r == 0 && *path; path += n + (path[n] == '/')) {
		n = strcspn(path, "/");
		if (n > 255)
			return -ENAMETOOLONG;
		memcpy(name, path, n);
		name[n] = 0;
		r = find_child(fs, at.node, name, &child, &st);
		if (r < 0)
			return r;
		node_unref(fs->nodes, at.node);
		at.node = child;
	}
	if (r == 0)
		*ret = TAKE_PTR(at.node);
	return r;
}
