/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/check.h - the parts of `weir check`: what it finds, and what it mends.
 *
 * True are the disk headers (.weir/disks) and the marks on the backing files (trusted.weir.disk);
 * the catalog's rows are copies.  So:
 *
 *     mended always         catalog rows that differ from their headers
 *     mended with --rebuild the catalog (a new one), the identity file, headers whose file came
 *                           back as another inode (a restored or copied datastore), when exactly
 *                           one file has the header's mark
 *     never                 a header or a mark is never removed: later they lead to keys
 */
#ifndef CTL_CHECK_H
#define CTL_CHECK_H

#include <stdbool.h>

#include "base/datastore.h"
#include "base/header.h"

enum check_exit { /* as fsck(8) */
		  CHECK_GOOD = 0,
		  CHECK_MENDED = 1,
		  CHECK_DAMAGE_LEFT = 4,
		  CHECK_FAILED = 8,
		  CHECK_USAGE = 16,
};

/* A file or directory of the datastore that carries a mark, or whose recognition is known. */
struct check_file {
	char *path; /* below the datastore */
	struct handle handle;
	bool marked;
	struct disk_id id;
	char *facts; /* what the old catalog knew; NULL: nothing */
};

struct check {
	struct datastore *ds;
	struct catalog *catalog; /* what there was; borrowed, while headers are checked; or NULL */
	bool rebuild;
	struct check_file *files; /* marked ones first, by id */
	size_t n_files, n_marked;
	struct disk_header *headers;
	size_t n_headers;
	unsigned mended, damage;
};

void check_done(struct check *c); /* frees the contents; not the datastore */

/* Print one line about the datastore.  damage also counts it. */
void check_say(const struct check *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void check_damage(struct check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Fill c->files from the datastore and its orphans.  @old is the catalog to take facts from, or
 * NULL. */
int check_walk(struct check *c, struct catalog *old);

/* Read all headers and hold them against the files; bind them again when c->rebuild.  The header
 * of a change that was cut off is left out of c->headers: the next mount removes it. */
int check_headers(struct check *c);

/* Make the rows of @catalog what the headers say. */
int check_rows(struct check *c, struct catalog *catalog);

/* Into a new catalog: a row for each header, and the facts that the old one had. */
int check_fill(struct check *c, struct catalog *catalog);

#endif
