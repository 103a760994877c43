/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/yamlfile.h - a small YAML file read by schema, with errors a person can act on.
 *
 * libcyaml judges the text by a schema and fills a C struct.  Before that one pass of libyaml
 * notes the line of every key and refuses what a settings file has no use for, so that nothing of
 * it reaches the schema: anchors and aliases, tags, more than one document, a key twice, keys that
 * are not words, control characters (also when escaped), more than 64 KiB, 8 levels or 1000 keys.
 *
 * Errors     -EINVAL and a sentence "FILE:LINE: KEY: what is wrong; what to do", malloc'ed; KEY is
 *            the way from the top, "stages.limit.iops".  -ENOMEM, and *ret_why may be NULL.
 * Threads    any; a loaded file never changes.
 */
#ifndef BASE_YAMLFILE_H
#define BASE_YAMLFILE_H

#include <cyaml/cyaml.h>
#include <stddef.h>

#define YAMLFILE_MAX_BYTES 65536u
#define YAMLFILE_MAX_DEPTH 8u
#define YAMLFILE_MAX_KEYS  1000u
#define YAMLFILE_MAX_KEY   64u /* bytes of one key */

struct yamlfile;

/* Read @len bytes of @text.  @file is only the name in sentences (copied).  @schema is a mapping
 * with CYAML_FLAG_POINTER; it is kept, not copied, and must outlive the result. */
int yamlfile_load(const char *file, const char *text, size_t len,
		  const cyaml_schema_value_t *schema, struct yamlfile **ret, char **ret_why);

void yamlfile_free(struct yamlfile *y); /* accepts NULL */

const void *yamlfile_data(const struct yamlfile *y); /* by the schema; lives as long as @y */

/* Line of the key, or of the nearest one above it that the file has, counted from 1. */
unsigned yamlfile_line(const struct yamlfile *y, const char *path);

/* "FILE:LINE: PATH: what", malloc'ed, or NULL without memory. */
char *yamlfile_sentence(const struct yamlfile *y, const char *path, const char *what);

#endif
