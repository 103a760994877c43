/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/facts.h - facts of recognition: reading them, and as the text that the catalog keeps.
 *
 * The record of a file is {"size": bytes, "changed": ctime in ns, "facts": {...}}, at most 16 KiB
 * of text; "{}" stands for nothing.  A list that is too long for it is cut, and its true length
 * kept beside it ("extents_count", "disks_count", "files_count"): facts with such a member are
 * not whole.
 * Pure: no files, no state.
 */
#ifndef FS_FACTS_H
#define FS_FACTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define FACTS_TEXT_MAX 16000 /* the catalog takes 16 KiB */

/* {"type": "unknown", "problem": "recognition of this file failed: @why"}; NULL: no memory. */
json_t *facts_unknown(const char *why);

/* The helper's answer, checked to be an object with a type; NULL: it is none. */
json_t *facts_parse(const char *line);

const char *facts_type(const json_t *facts); /* "unknown" when there is none */
bool facts_flag(const json_t *facts, const char *key);

/* Set "problem" unless there is one. */
void facts_problem(json_t *object, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* True for types that are remembered. */
bool facts_keepable(const json_t *facts);

/* The record; NULL: no memory, or nothing of it fits. */
char *facts_record(const json_t *facts, const struct stat *st);
/* The facts in a record and whether the file is still as it was then (@st NULL: as if it were);
 * NULL: none. */
json_t *facts_of_record(const char *record, const struct stat *st, bool *ret_current);

/* What to do with remembered facts of a file that changed since. */
enum facts_change {
	FACTS_KEEP,   /* decided once */
	FACTS_FORMAT, /* look again, but it keeps its type */
	FACTS_AGAIN,  /* look again */
};
enum facts_change facts_when_changed(const json_t *facts);
bool facts_whole(const json_t *facts);

/* A name as bytes: @escaped ones have %XX for a byte.  -EINVAL: no name of a file (a NUL in it,
 * a wrong escape, empty); -ENAMETOOLONG. */
int facts_name(const char *text, bool escaped, char *ret, size_t size);

#endif
