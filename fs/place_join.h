/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/place_join.h - a name and the directory of who gives it, as a path below the datastore's root.
 *
 * The path has no ".." left: nothing on it will be a symlink (fs/place.h), so leaving a directory
 * by its name is the same as leaving it by "..", and one comparison shows whether it enters .weir.
 * Pure.
 */
#ifndef FS_PLACE_JOIN_H
#define FS_PLACE_JOIN_H

#include <stddef.h>

enum place_flags {
	PLACE_PARENT = 1, /* ".." may be in it, as in "../base/base.vmdk" */
};

/* @name, as a file in the directory @dir ("" is the root) gives it.
 * -EACCES: *ret_why is a static part of a sentence ("its name is absolute"). */
int place_join(const char *dir, const char *name, unsigned flags, char *ret, size_t size,
	       const char **ret_why);

/* The directory part of @path: its length. */
size_t place_directory(const char *path);

#endif
