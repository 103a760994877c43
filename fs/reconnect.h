/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/reconnect.h - opening files by handle although the worker is confined.
 *
 * Landlock decides by where a file lies.  One opened by handle whose name the kernel has dropped
 * from memory lies nowhere (a "disconnected" dentry).  Measured on Linux 6.18:
 *     a directory    the kernel always looks up its ancestors' names, and reads directories for
 *                    that: denied, when those are forgotten, too.  -ESTALE, also with O_PATH
 *     another file   is opened with O_PATH; every other way is denied with -EACCES
 * For the first the broker opens the handle, which is not confined: then the kernel remembers.  For
 * the second the file is found by name:
 *     1. where the node's hints say it was last seen, or in .weir/orphans
 *     2. by a walk over the datastore that compares inode numbers, then handles; a last resort for
 *        what was renamed behind our back, logged at notice
 *
 * Memory     of a walk: the handles of directories not yet read, at most 256 Ki of them (13 MB).
 * Threads    any.  No lock is held; nothing waits but for the backing filesystem.
 */
#ifndef FS_RECONNECT_H
#define FS_RECONNECT_H

#include "fs/fs.h"

/* An O_PATH descriptor of the file of @h, which the kernel can name.  @data is the struct fs: the
 * fd cache calls this (base/fdcache.h).  @error is what opening it said.
 *
 * -ESTALE  it is gone, or has no name beneath the datastore
 * -E2BIG   the datastore has more directories than a walk can remember */
int reconnect_find(void *data, const struct handle *h, int error);

/* handle_open on the datastore's filesystem, with that search when it fails. */
int reconnect_open(struct fs *fs, const struct handle *h, int flags);

/* Another name for the file of @h, which @fd is (O_PATH); linkat of a disconnected file is denied,
 * too. */
int reconnect_link(struct fs *fs, const struct handle *h, int fd, int dirfd, const char *name);

#endif
