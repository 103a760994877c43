/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/chain_parts.h - what a disk consists of, as files: its extents and its ancestors.
 *
 * Between fs/chain.c and fs/vm.c only.  A *disk* here is a place and its facts.
 */
#ifndef FS_CHAIN_PARTS_H
#define FS_CHAIN_PARTS_H

#include <jansson.h>

#include "fs/place.h"

#define PARTS_MAX 8192 /* handles that are collected for one disk or VM */

/* One extent of a descriptor. */
struct extent {
	const char *file; /* as written; NULL: it has none */
	const char *type;
	const char *state; /* "ok", "missing", "refused" */
	const char *why;   /* NULL: nothing is wrong with it */
	uint64_t size;	   /* bytes of the disk */
	bool found;	   /* it is another file, at ->place */
	struct place place;
};

/* @facts and @extent are lent, and *ret points into them. */
void extent_look(struct fs *fs, const struct place *disk, const json_t *facts, const json_t *extent,
		 struct extent *ret);

struct ancestor {
	struct place place;
	json_t *facts;
};

struct ancestors { /* nearest first */
	struct ancestor *at;
	size_t n;
	char problem[1024]; /* why the walk ended early, or what does not fit; "": nothing */
};
void ancestors_done(struct ancestors *a);

/* All disks below the disk at @disk.  -ENOMEM only. */
int ancestors_find(struct fs *fs, const struct place *disk, const json_t *facts,
		   struct ancestors *ret);

/* The name of the parent, decoded; 0: there is one, -ENOENT: none, -EACCES: *ret_why says what is
 * wrong with it. */
int parent_name(const json_t *facts, char *ret, size_t size, const char **ret_why);

struct handles { /* without doubles */
	struct handle *at;
	size_t n;
};
void handles_done(struct handles *h);
int handles_add(struct handles *h, const struct handle *one); /* -ENOMEM, -E2BIG */
int handles_add_extents(struct fs *fs, const struct place *disk, const json_t *facts,
			struct handles *h);

#endif
