/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/yaml_index.h - where each key of a YAML text is: the first pass of base/yamlfile.h.
 *
 * Refuses what base/yamlfile.h lists.  Threads: callers serialise yaml_index_text; reading is free.
 */
#ifndef BASE_YAML_INDEX_H
#define BASE_YAML_INDEX_H

#include <stddef.h>

#include "base/yamlfile.h"

#define YAML_PATH_BYTES (YAMLFILE_MAX_DEPTH * (YAMLFILE_MAX_KEY + 16))

struct yaml_key {
	char *path; /* "stages.limit.iops"; an entry of a list is "list[0]" */
	unsigned line;
};

struct yaml_index {
	const char *file;      /* borrowed: the name in sentences */
	struct yaml_key *keys; /* in the order of the file */
	size_t n_keys;
};

/* -EINVAL with a sentence, or -ENOMEM; call yaml_index_done also after an error. */
int yaml_index_text(struct yaml_index *ix, const char *text, size_t len, char **ret_why);
void yaml_index_done(struct yaml_index *ix);

/* Line of the key, or of the nearest one above it that the file has, counted from 1. */
unsigned yaml_index_line(const struct yaml_index *ix, const char *path);

/* "FILE:LINE: PATH: WHAT", malloc'ed, or NULL without memory. */
char *yaml_sentence(const char *file, unsigned line, const char *path, const char *what);

#endif
