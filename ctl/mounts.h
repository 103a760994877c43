/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/mounts.h - which weir mounts there are, from the kernel's table of mounts.
 *
 * Never touches a mount point itself: a mount whose daemon is gone answers every call with
 * ENOTCONN, and must still be found and unmounted.
 */
#ifndef CTL_MOUNTS_H
#define CTL_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>

#define MOUNTS_FILE "/proc/self/mountinfo"

struct weir_mount {
	char *point;  /* the mount point, absolute */
	char *source; /* the datastore, absolute */
	unsigned major, minor; /* the device number */
};

struct mounts {
	struct weir_mount *list; /* oldest first */
	size_t n;
};

/* The mounts of type fuse.weir in @file, which is MOUNTS_FILE but for tests. */
int mounts_read(const char *file, struct mounts *ret);
void mounts_done(struct mounts *m); /* frees the contents */

/* The newest mount on exactly the absolute path @point, or of the datastore @source; NULL: none. */
const struct weir_mount *mounts_find_point(const struct mounts *m, const char *point);
const struct weir_mount *mounts_find_source(const struct mounts *m, const char *source);

/* The mount on @path: by that name, which works for a dead one, too, or through symlinks to it. */
const struct weir_mount *mounts_find_path(const struct mounts *m, const char *path);

/* @path made absolute, symlinks resolved in all parts but the last, which is not touched.
 * malloc'ed. */
int mounts_absolute(const char *path, char **ret);

/* True when @path is @directory or lies below it; both absolute and resolved. */
bool mounts_is_below(const char *path, const char *directory);

#endif
