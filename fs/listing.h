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

#endif
