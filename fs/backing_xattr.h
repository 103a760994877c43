/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/backing_xattr.h - xattrs of backing files, also those that the confined worker may not touch.
 *
 * What needs which capability (xattr_permission and commoncap in the kernel, and tried out):
 *     trusted.*    CAP_SYS_ADMIN for everything; without it reading says ENODATA, listing hides
 *     security.*   nothing for reading; CAP_SYS_ADMIN, or for security.capability CAP_SETFCAP, for
 *                  changing
 *     user.*, system.posix_acl_*   what the file's owner may, so CAP_FOWNER does
 * So only trusted names, and changes of security ones, go to the broker; what the kernel asks all
 * the time (security.capability before writes, ACLs, SELinux labels) stays one system call.
 *
 * Threads    any.  A file whose name the kernel has forgotten is found again (fs/reconnect.h), as
 *            the broker serves only files that it can see to lie beneath the datastore.
 */
#ifndef FS_BACKING_XATTR_H
#define FS_BACKING_XATTR_H

#include "fs/fs.h"

/* As the system calls, but negative errnos, and @fd may be O_PATH.  -EIO: the broker is gone. */
ssize_t backing_getxattr(struct fs *fs, int fd, const char *name, void *ret, size_t size);
int backing_setxattr(struct fs *fs, int fd, const char *name, const void *value, size_t size,
		     int flags);
int backing_removexattr(struct fs *fs, int fd, const char *name);
/* @trusted: those names are wanted, too. */
ssize_t backing_listxattr(struct fs *fs, int fd, bool trusted, char *ret, size_t size);

/* Let marks of disks (base/header.h) be read and written this way, from now on. */
void backing_marks(struct fs *fs);

#endif
