/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/listing.h - directory streams that are read in the middle.
 *
 * The offset of an entry is the backing filesystem's own cookie, so a listing can go on after
 * any restart: nothing about it must be remembered.  To save the seek and the entries that were
 * read ahead, a few streams that stopped are kept with their position; who continues there takes
 * the stream out, and nobody else uses it meanwhile.
 *
 * Threads    any; one lock inside, not held over system calls.
 */
#ifndef FS_LISTING_H
#define FS_LISTING_H

#include "fs/fs.h"

struct listings;

int listings_new(struct listings **ret);
void listings_free(struct listings *l);

/* The kernel asks for attributes with the first entries of every directory, wanted or not, and
 * to find them costs more than the listing itself.  So entries come without them (which the
 * protocol allows: a lookup follows where one is wanted) until the process has looked up a file:
 * then it is one that looks at what it lists, like `ls -l`, and not one like `find`.  A guess: a
 * wrong one costs time only. */
void listing_note_walker(struct fs *fs, pid_t pid);

#endif
