/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/split.h - any byte range on top, whole blocks below.
 *
 * The one place where requests are cut to the block the stack asks for (its top stage's).  A
 * stack of block 1 gets every range as it is, without a copy.  Otherwise the edges of a write
 * that cover a block only in part are read, merged and written with it.
 *
 * The splitter never extends a file: a write is padded to the end of its last block or to the
 * end of the file, whichever comes first.  A write that begins behind the end grows the file
 * first (stage_resize), so the gap is a hole.
 *
 * Threads    as stages: the caller's queue (base/queue.h) works with ranges rounded out to
 *            blocks, so that two writes never share one (split_range).  The size changes only
 *            while a request runs alone, so a write that ends behind it has to: the caller asks
 *            split_grows when the write enters the queue, and again when it is in service as an
 *            ordinary write, because an older resize may have shrunk the file in between.  Then
 *            it leaves the queue and enters again as IO_ALONE.
 * Result     as stages; -ENOMEM when there is no memory for an edge.  A failed write or trim may
 *            be done in part, in whole blocks from its start, and one behind the end may have
 *            grown the file by a hole.
 */
#ifndef BASE_SPLIT_H
#define BASE_SPLIT_H

#include "base/stage.h"

/* Read up to @len bytes at @off; *ret_len says how many there were before the end of the file. */
int split_read(struct stage *top, void *ret_buf, uint64_t off, size_t len, size_t *ret_len);
/* -EFBIG  the range ends behind the largest file offset */
int split_write(struct stage *top, const void *buf, uint64_t off, size_t len, unsigned flags);
/* Would a write of this range change the size? */
bool split_grows(struct stage *top, uint64_t off, uint64_t len);
/* Whole blocks are trimmed (zeroed), the edges are written with zeros.  Behind the end of the
 * file nothing happens. */
int split_trim(struct stage *top, uint64_t off, uint64_t len);
int split_zero(struct stage *top, uint64_t off, uint64_t len);
int split_resize(struct stage *top, uint64_t size);

/* What of the file an operation on [off, off + len) may touch, rounded out to blocks. */
void split_range(uint32_t block, uint64_t off, uint64_t len, uint64_t *ret_off, uint64_t *ret_end);

/* SEEK_DATA, SEEK_HOLE as lseek(2) defines them: an offset, -ENXIO, or what a stage returned. */
int split_seek(struct stage *top, uint64_t off, enum stage_extent_kind kind, uint64_t *ret);

#endif
