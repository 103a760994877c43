/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/split.c - see base/split.h.
 *
 * A range is worked off in pieces from its start: a piece is as many whole blocks as there are,
 * straight from or to the caller's buffer, or the part of one block, through a bounce buffer.
 */
#include <assert.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/split.h"

/* The bounce buffer holds plaintext of a guest: it does not stay in the heap. */
struct bounce {
	uint8_t *bytes;
	size_t size;
};

static void bounce_done(struct bounce *b)
{
	if (b->bytes)
		explicit_bzero(b->bytes, b->size);
	free(b->bytes);
}

static int bounce_need(struct bounce *b, uint32_t block)
{
	if (b->bytes)
		return 0;
	b->bytes = malloc(block);
	b->size = block;
	return b->bytes ? 0 : -ENOMEM;
}

/* How many bytes at @off, at most @len, are whole blocks of a file that ends at @end (its short
 * last block is whole).  0: @off or the next end of block cuts one. */
static uint64_t whole_blocks(uint32_t block, uint64_t off, uint64_t len, uint64_t end)
{
	if (off & (block - 1))
		return 0;
	return off + len >= end ? len : len & ~(uint64_t)(block - 1);
}

/* How many bytes at @off, at most @len, lie in the block of @off. */
static uint64_t rest_of_block(uint32_t block, uint64_t off, uint64_t len)
{
	return MIN(len, block - (off & (block - 1)));
}

void split_range(uint32_t block, uint64_t off, uint64_t len, uint64_t *ret_off, uint64_t *ret_end)
{
	uint64_t mask = block - 1;
	uint64_t end = len > UINT64_MAX - off ? UINT64_MAX : off + len;

	*ret_off = off & ~mask;
	*ret_end = len == 0                  ? *ret_off
		   : end > UINT64_MAX - mask ? UINT64_MAX
					     : (end + mask) & ~mask;
}

bool split_grows(struct stage *top, uint64_t off, uint64_t len)
{
	return len > 0 && (off > stage_size(top) || len > stage_size(top) - off);
}

/* The block of @off, as far as the file has it, into the bounce buffer. */
static int read_block(struct stage *top, struct bounce *b, uint64_t off, uint64_t *ret_have)
{
	uint64_t start = off & ~(uint64_t)(top->block - 1);
	uint64_t size = stage_size(top);
	int r;

	r = bounce_need(b, top->block);
	if (r < 0)
		return r;

	*ret_have = start < size ? MIN(size - start, top->block) : 0;
	return *ret_have ? stage_read(top, b->bytes, NULL, start, (size_t)*ret_have) : 0;
}

static int read_part(struct stage *top, struct bounce *b, uint8_t *to, uint64_t off, uint64_t len)
{
	uint64_t have;
	int r;

	r = read_block(top, b, off, &have);
	if (r < 0)
		return r;

	memcpy(to, b->bytes + (off & (top->block - 1)), len);
	return 0;
}

int split_read(struct stage *top, void *ret_buf, uint64_t off, size_t len, size_t *ret_len)
{
	_cleanup_(bounce_done) struct bounce b = {0};
	uint64_t size = stage_size(top), n;
	uint8_t *to = ret_buf;
	int r;

	len = off < size ? (size_t)MIN(len, size - off) : 0;
	*ret_len = len;
	while (len > 0) {
		n = whole_blocks(top->block, off, len, size);
		if (n > 0) {
			r = stage_read(top, to, NULL, off, (size_t)n);
		} else {
			n = rest_of_block(top->block, off, len);
			r = read_part(top, &b, to, off, n);
		}
		if (r < 0)
			return r;
		to += n;
		off += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Part of one block: read it, put @from over it, write it.  The block ends with what the file
 * has of it or with the new bytes, so the file never gets longer than the caller's write. */
static int write_part(struct stage *top, struct bounce *b, const uint8_t *from, uint64_t off,
		      uint64_t len, unsigned flags)
{
	uint64_t inside = off & (top->block - 1);
	uint64_t have;
	int r;

	r = read_block(top, b, off, &have);
	if (r < 0)
		return r;

	assert(inside <= have); /* split_write closed the gap */
	if (from)
		memcpy(b->bytes + inside, from, len);
	else
		memset(b->bytes + inside, 0, len);
	return stage_write(top, b->bytes, NULL, off - inside, (size_t)MAX(have, inside + len),
			   flags);
}

int split_write(struct stage *top, const void *buf, uint64_t off, size_t len, unsigned flags)
{
	_cleanup_(bounce_done) struct bounce b = {0};
	const uint8_t *from = buf;
	uint64_t end, n;
	int r = 0;

	if (len == 0)
		return 0;
	if (len > INT64_MAX || off > INT64_MAX - len)
		return -EFBIG;
	if (off > stage_size(top))
		r = stage_resize(top, off);

	end = MAX(stage_size(top), off + len);
	for (; r == 0 && len > 0; from += n, off += n, len -= (size_t)n) {
		n = whole_blocks(top->block, off, len, end);
		if (n > 0) {
			r = stage_write(top, from, NULL, off, (size_t)n, flags);
		} else {
			n = rest_of_block(top->block, off, len);
			r = write_part(top, &b, from, off, n, flags);
		}
	}
	return r;
}

/* Trim or zero: @whole for whole blocks, written zeros for parts. */
static int clear_range(struct stage *top, uint64_t off, uint64_t len,
		       int (*whole)(struct stage *, uint64_t, uint64_t))
{
	_cleanup_(bounce_done) struct bounce b = {0};
	uint64_t size = stage_size(top), n;
	int r = 0;

	len = off < size ? MIN(len, size - off) : 0;
	for (; r == 0 && len > 0; off += n, len -= n) {
		n = whole_blocks(top->block, off, len, size);
		if (n > 0) {
			r = whole(top, off, n);
		} else {
			n = rest_of_block(top->block, off, len);
			r = write_part(top, &b, NULL, off, n, 0);
		}
	}
	return r;
}

int split_trim(struct stage *top, uint64_t off, uint64_t len)
{
	return clear_range(top, off, len, stage_trim);
}

int split_zero(struct stage *top, uint64_t off, uint64_t len)
{
	return clear_range(top, off, len, stage_zero);
}

int split_resize(struct stage *top, uint64_t size)
{
	return size > INT64_MAX ? -EFBIG : stage_resize(top, size);
}

int split_seek(struct stage *top, uint64_t off, enum stage_extent_kind kind, uint64_t *ret)
{
	uint64_t size = stage_size(top);
	struct stage_extent e;
	int r;

	if (off >= size)
		return -ENXIO;

	while (off < size) {
		r = stage_extent(top, off, &e);
		if (r < 0)
			return r;
		if (e.kind == kind)
			break;
		off = e.end;
	}
	if (off >= size && kind == STAGE_DATA)
		return -ENXIO;
	*ret = off; /* behind the last byte there is always a hole */
	return 0;
}
