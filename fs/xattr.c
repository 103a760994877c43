/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/xattr.c - extended attributes: weir's own (fs/control.h), all others the backing file's.
 *
 * The descriptor is an O_PATH one, which the xattr calls do not take: they get the file by its
 * name in /proc/self/fd, which leads to the very inode, symlinks included.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "fs/assign.h"
#include "fs/backing_xattr.h"
#include "fs/callbacks.h"
#include "fs/caller.h"
#include "fs/control.h"
#include "fs/resume.h"

#define XATTR_SIZE 65536u

/* As setattr does for chmod: an access ACL that is set by somebody outside the file's group takes
 * the set-gid bit away, which the backing filesystem does not do for us, being root. */
static int drop_set_gid(int fd)
{
	struct stat st;

	if (fstatat(fd, "", &st, AT_EMPTY_PATH) < 0)
		return -errno;
	if (!(st.st_mode & S_ISGID))
		return 0;
	return chmod(fd_path(fd).text, st.st_mode & 07777 & ~(mode_t)S_ISGID) < 0 ? -errno : 0;
}

/* ---- what must not be done twice ---------------------------------------------------------- */

static bool has_value(struct fs *fs, int fd, const char *name, const char *value, size_t size)
{
	ssize_t n = backing_getxattr(fs, fd, name, session_scratch(), XATTR_SIZE);

	return n >= 0 && (size_t)n == size && !memcmp(session_scratch(), value, size);
}

/* XATTR_CREATE and removexattr: a worker that died around the call may have done it.  Only what can
 * be done once is recorded: a name that was free, a value that was there. */
static void begin_change(const struct node *node, const char *name)
{
	if (resume_begun())
		return; /* a second kill must find the first one's record */
	slate_names(session_slot(), node->id, name, 0, NULL);
	slate_begin(session_slot());
}

static int set_value(struct fs *fs, struct node *node, int fd, const char *name,
		     const char *value, size_t size, int flags)
{
	int r;

	if (resume_done(fs, &r))
		return r;
	if (!(flags & XATTR_CREATE) ||
	    (!resume_begun() && backing_getxattr(fs, fd, name, NULL, 0) >= 0))
		return backing_setxattr(fs, fd, name, value, size, flags);
	if (resume_begun() && has_value(fs, fd, name, value, size))
		return 0;
	begin_change(node, name);
	r = backing_setxattr(fs, fd, name, value, size, flags);
	slate_outcome(session_slot(), r);
	return r;
}

static int remove_value(struct fs *fs, struct node *node, int fd, const char *name)
{
	ssize_t there;
	int r;

	if (resume_done(fs, &r))
		return r;
	there = backing_getxattr(fs, fd, name, NULL, 0);
	if (there == -ENODATA && resume_begun())
		return 0; /* it was there when that worker began */
	if (there < 0)
		return backing_removexattr(fs, fd, name);
	begin_change(node, name);
	r = backing_removexattr(fs, fd, name);
	slate_outcome(session_slot(), r);
	return r;
}

/* The kernel asks for the drop with a default ACL too, but only an access ACL concerns the mode:
 * without its set-gid bit a directory would no longer give its group to what is made in it. */
static bool kills_set_gid(fuse_req_t req, const char *name)
{
	const struct fuse_setxattr_in *in = (const void *)(session_request() + 1);

	return session_abilities(request_fs(req)->session)->setxattr_ext &&
	       (in->setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID) &&
	       !strcmp(name, "system.posix_acl_access");
}

static int set_backing(fuse_req_t req, struct node *node, const char *name, const char *value,
		       size_t size, int flags)
{
	struct fs *fs = request_fs(req);
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	int r = node_fd(fs, node, FD_PATH, &ref);

	if (r < 0)
		return r;
	r = set_value(fs, node, fdref_fd(ref), name, value, size, flags);
	if (r < 0)
		return r;
	if (kills_set_gid(req, name))
		return drop_set_gid(fdref_fd(ref));
	return 0;
}

/* As a filesystem without them says it: `ls` then asks once and not for every file. */
static bool unsupported(struct fs *fs, const char *name)
{
	return fs->options.no_acl && !strncmp(name, "system.posix_acl_", 17);
}

/* libfuse 3.14 knows only the short message: in the long one the name begins behind it. */
static void find_value(fuse_req_t req, const char **name, const char **value)
{
	const struct fuse_setxattr_in *in = (const void *)(session_request() + 1);

	if (!session_abilities(request_fs(req)->session)->setxattr_ext)
		return;
	*name = (const char *)(in + 1);
	*value = *name + strlen(*name) + 1;
}

/* Weir's own attributes.  Taking a policy off a file (by removal, or an empty value) is many
 * durable steps; a worker that died after the one that counts has done it, and the second time
 * there is none. */
static int change_control(fuse_req_t req, struct node *node, const char *name, const char *value,
			  size_t size)
{
	struct fs *fs = request_fs(req);
	struct assigned own;
	bool was_there;
	int r;

	if (resume_done(fs, &r))
		return r;
	was_there = resume_begun() ? session_slot()->record.links
				   : assign_find(fs, &node->handle, &own);
	if (!resume_begun()) {
		slate_names(session_slot(), node->id, name, 0, NULL);
		session_slot()->record.links = was_there;
		slate_begin(session_slot());
	}
	r = value ? control_set(req, node, name, value, size) : control_remove(req, node, name);
	if (r == -ENODATA && was_there)
		r = 0;
	slate_outcome(session_slot(), r);
	return r;
}

void fs_setxattr(fuse_req_t req, fuse_ino_t id, const char *name, const char *value, size_t size,
		 int flags)
{
	struct fs *fs = request_fs(req);
	_node_ at = {.fs = fs};
	int r;

	find_value(req, &name, &value);
	r = nodes_get(fs->nodes, id, &at.node);
	if (r == 0 && control_owns(name))
		r = change_control(req, at.node, name, value, size);
	else if (r == 0 && unsupported(fs, name))
		r = -EOPNOTSUPP;
	else if (r == 0)
		r = set_backing(req, at.node, name, value, size, flags);
	reply_result(req, r);
}

void fs_removexattr(fuse_req_t req, fuse_ino_t id, const char *name)
{
	struct fs *fs = request_fs(req);
	_node_ at = {.fs = fs};
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	int r;

	r = nodes_get(fs->nodes, id, &at.node);
	if (r == 0 && control_owns(name)) {
		r = change_control(req, at.node, name, NULL, 0);
	} else if (r == 0) {
		r = node_fd(fs, at.node, FD_PATH, &ref);
		if (r == 0)
			r = remove_value(fs, at.node, fdref_fd(ref), name);
		if (r == 0 && !strcmp(name, "security.capability"))
			atomic_fetch_or(&at.node->flags, NODE_UNCAPPED);
	}
	reply_result(req, r);
}

/* Where the host has no SELinux a missing label is "no labels here" and not "none on this file":
 * `ls -l` asks for it with every file otherwise. */
static int missing_value(struct fs *fs, const char *name, int error)
{
	if (error == ENODATA && fs->no_selinux && !strcmp(name, "security.selinux"))
		return EOPNOTSUPP;
	return error;
}

/* A value, or with size 0 how long it is. */
static void reply_value(fuse_req_t req, size_t size, const char *value, size_t len)
{
	if (size == 0)
		fuse_reply_xattr(req, len);
	else if (len > size)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, value, len);
}

static void get_control(fuse_req_t req, struct node *node, const char *name, size_t size)
{
	_cleanup_(freep) char *value = NULL;
	size_t len = 0;
	int r = control_get(req, node, name, &value, &len);

	if (r < 0)
		reply_result(req, r);
	else
		reply_value(req, size, value, len);
}

void fs_getxattr(fuse_req_t req, fuse_ino_t id, const char *name, size_t size)
{
	struct fs *fs = request_fs(req);
	_node_ at = {.fs = fs};
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	ssize_t n;
	int r;

	r = nodes_get(fs->nodes, id, &at.node);
	if (r == 0 && control_owns(name)) {
		get_control(req, at.node, name, size);
		return;
	}
	if (r == 0 && unsupported(fs, name))
		r = -EOPNOTSUPP;
	if (r == 0)
		r = node_fd(fs, at.node, FD_PATH, &ref);
	if (r < 0) {
		reply_result(req, r);
		return;
	}
	n = backing_getxattr(fs, fdref_fd(ref), name, session_scratch(),
			     size ? MIN(size, XATTR_SIZE) : 0);
	if (n < 0)
		fuse_reply_err(req, missing_value(fs, name, (int)-n));
	else if (size == 0)
		fuse_reply_xattr(req, (size_t)n);
	else
		fuse_reply_buf(req, session_scratch(), (size_t)n);
}

/* Take out of the list weir's own names (the mark of a disk), and what only root may see; returns
 * what is left. */
static size_t strip(char *list, size_t len, bool root)
{
	size_t out = 0;

	for (size_t at = 0; at < len;) {
		size_t n = strnlen(list + at, len - at) + 1;

		if (!control_owns(list + at) && (root || strncmp(list + at, "trusted.", 8))) {
			memmove(list + out, list + at, n);
			out += n;
		}
		at += n;
	}
	return out;
}

void fs_listxattr(fuse_req_t req, fuse_ino_t id, size_t size)
{
	struct fs *fs = request_fs(req);
	bool root = fuse_req_ctx(req)->uid == 0; /* others are not shown trusted names */
	_node_ at = {.fs = fs};
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	ssize_t n;
	int r;

	r = nodes_get(fs->nodes, id, &at.node);
	if (r == 0)
		r = node_fd(fs, at.node, FD_PATH, &ref);
	if (r < 0) {
		reply_result(req, r);
		return;
	}
	n = backing_listxattr(fs, fdref_fd(ref), root, session_scratch(), XATTR_SIZE);
	if (n < 0)
		fuse_reply_err(req, (int)-n);
	else
		reply_value(req, size, session_scratch(), strip(session_scratch(), (size_t)n, root));
}
