/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/broker_xattr.c - the broker's first duty: xattrs that need CAP_SYS_ADMIN.
 *
 * The kernel asks for that capability for every trusted.* name, also for reading, and for changing
 * security.* ones (security.capability: CAP_SETFCAP).
 *
 * Refuses    names outside the two namespaces, values longer than 64 KiB, and files that do not
 *            lie beneath the datastore.  The last is decided by the name the kernel has for the
 *            descriptor: the worker cannot mount, so it cannot make a file elsewhere look so.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <limits.h>

#include "base/fd_path.h"
#include "fs/broker_duties.h"
#include "fs/broker_wire.h"

bool broker_is_beneath(int fd, const char *datastore)
{
	size_t len = strcmp(datastore, "/") ? strlen(datastore) : 0;
	char path[PATH_MAX];
	ssize_t n = readlink(fd_path(fd).text, path, sizeof path - 1);

	if (n <= 0 || n == sizeof path - 1)
		return false;
	path[n] = 0;
	if (path[0] != '/' || strncmp(path, datastore, len))
		return false;
	return path[len] == '/' || path[len] == 0;
}

static bool is_ours(const char *name)
{
	return !strncmp(name, "trusted.", 8) || !strncmp(name, "security.", 9);
}

static long result(ssize_t n)
{
	return n < 0 ? -errno : n;
}

/* By its name in /proc: the calls take no O_PATH descriptor, and this leads to the very file,
 * symlinks included. */
long broker_xattr(const struct broker_question *q, int fd, char *value)
{
	struct fd_path path = fd_path(fd);

	if (q->kind == BROKER_XATTR_LIST)
		return result(listxattr(path.text, value, BROKER_VALUE_MAX));
	if (!is_ours(q->name))
		return -EPERM;
	switch (q->kind) {
	case BROKER_XATTR_GET:
		return result(getxattr(path.text, q->name, value, BROKER_VALUE_MAX));
	case BROKER_XATTR_SET:
		return result(setxattr(path.text, q->name, value, q->value_len, q->flags));
	case BROKER_XATTR_REMOVE:
		return result(removexattr(path.text, q->name));
	default:
		return -EINVAL;
	}
}
