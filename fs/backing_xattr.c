/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/backing_xattr.c - see fs/backing_xattr.h. */
#include <string.h>
#include <sys/xattr.h>

#include "fs/broker.h"
#include "fs/backing_xattr.h"
#include "fs/reconnect.h"

static bool is_trusted(const char *name)
{
	return !strncmp(name, "trusted.", 8);
}

static bool is_privileged(const char *name)
{
	return is_trusted(name) || !strncmp(name, "security.", 9);
}

/* ---- by the broker ------------------------------------------------------------------------- */

enum call { GET, SET, REMOVE, LIST };

struct xattr_call {
	enum call call;
	const char *name;
	void *buffer;
	size_t size;
	int flags;
};

static ssize_t by_broker(struct fs *fs, int fd, const struct xattr_call *x)
{
	switch (x->call) {
	case GET:
		return broker_getxattr(fs->broker, fd, x->name, x->buffer, x->size);
	case SET:
		return broker_setxattr(fs->broker, fd, x->name, x->buffer, x->size, x->flags);
	case REMOVE:
		return broker_removexattr(fs->broker, fd, x->name);
	case LIST:
		return broker_listxattr(fs->broker, fd, x->buffer, x->size);
	}
	return -EINVAL;
}

/* -EACCES: it cannot see where the file lies; found by name, it can. */
static ssize_t ask(struct fs *fs, int fd, const struct xattr_call *x)
{
	_cleanup_(closep) int found = -1;
	ssize_t n = by_broker(fs, fd, x);
	struct handle h;
	int r, mount_id;

	if (n != -EACCES)
		return n;
	r = handle_get(fd, "", &h, &mount_id);
	if (r < 0)
		return r;
	found = reconnect_find(fs, &h, -EACCES);
	return found < 0 ? found : by_broker(fs, found, x);
}

/* ---- either way ---------------------------------------------------------------------------- */

ssize_t backing_getxattr(struct fs *fs, int fd, const char *name, void *ret, size_t size)
{
	ssize_t n;

	if (is_trusted(name))
		return ask(fs, fd, &(struct xattr_call){GET, name, ret, size, 0});
	n = getxattr(fd_path(fd).text, name, ret, size);
	return n < 0 ? -errno : n;
}

int backing_setxattr(struct fs *fs, int fd, const char *name, const void *value, size_t size,
		     int flags)
{
	void *from = (void *)(uintptr_t)value;

	if (is_privileged(name))
		return (int)ask(fs, fd, &(struct xattr_call){SET, name, from, size, flags});
	return setxattr(fd_path(fd).text, name, value, size, flags) < 0 ? -errno : 0;
}

int backing_removexattr(struct fs *fs, int fd, const char *name)
{
	if (is_privileged(name))
		return (int)ask(fs, fd, &(struct xattr_call){REMOVE, name, NULL, 0, 0});
	return removexattr(fd_path(fd).text, name) < 0 ? -errno : 0;
}

ssize_t backing_listxattr(struct fs *fs, int fd, bool trusted, char *ret, size_t size)
{
	ssize_t n;

	if (trusted)
		return ask(fs, fd, &(struct xattr_call){LIST, NULL, ret, size, 0});
	n = listxattr(fd_path(fd).text, ret, size);
	return n < 0 ? -errno : n;
}

/* ---- marks of disks ------------------------------------------------------------------------ */

static ssize_t mark_get(void *data, int fd, const char *name, void *ret, size_t size)
{
	return backing_getxattr(data, fd, name, ret, size);
}

static int mark_set(void *data, int fd, const char *name, const void *value, size_t size, int flags)
{
	return backing_setxattr(data, fd, name, value, size, flags);
}

static int mark_remove(void *data, int fd, const char *name)
{
	return backing_removexattr(data, fd, name);
}

void backing_marks(struct fs *fs)
{
	fs->marks = (struct disk_mark_calls){
		.get = mark_get, .set = mark_set, .remove = mark_remove, .data = fs};
	fs->store->marks = &fs->marks;
}
