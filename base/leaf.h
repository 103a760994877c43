/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/leaf.h - the bottom of a stack: the backing file itself.
 *
 * Same offsets, same size.  Seals that reach the leaf are refused with -EINVAL until there is a
 * seal file to put them in.  Descriptors come from the fd cache for the time of a call, so a disk
 * that nobody uses holds none.
 *
 * The space of a trim is given back with FALLOC_FL_PUNCH_HOLE, zero is FALLOC_FL_ZERO_RANGE with
 * a written fallback, reserve is FALLOC_FL_KEEP_SIZE; where the filesystem lacks one of them the
 * result is the same bytes, or -EOPNOTSUPP for reserve.
 *
 * Shrunk     a file that became shorter than its size here, behind our back, is read up to its
 *            end; past it reads fail with -EIO and one line in the log.  Zeros would be an
 *            invention.  stack_note_size accepts the new size.
 * Flush      a failed flush sticks: after it the kernel has dropped the dirty marks, so a later
 *            success would prove nothing (FINDINGS).  All flushes and STAGE_FUA writes of this
 *            leaf return its error from then on; reads and other writes go on.
 * Extending  a failed write past the end leaves the old size.
 */
#ifndef BASE_LEAF_H
#define BASE_LEAF_H

#include "base/fdcache.h"
#include "base/stage.h"

/* An open leaf on the file of @h.  @cache is borrowed, @h is copied.
 * Ended by stack_free, or leaf_free while it is in no stack.
 *
 * -EINVAL  not a regular file
 * -ENOMEM, or what fdcache_get returned */
int leaf_new(struct fdcache *cache, const struct handle *h, struct stage **ret);
void leaf_free(struct stage *leaf);

/* While @by sums up to more than 0 a flush makes times and owner durable, too (fsync instead of
 * fdatasync): one barrier for both.  Any thread. */
void leaf_sync_attributes(struct stage *leaf, int by); /* accepts NULL */

#endif
