/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fail the n-th call below the splitter, for every n until none is left and in every way: the
 * error reaches the caller, bytes outside the write stay, those inside are the old or the new
 * ones block by block, and doing it again gives what was wanted. */
#include <errno.h>
#include <string.h>

#include "base/split.h"
#include "tests/unit/check.h"
#include "tests/unit/stages/fault.h"
#include "tests/unit/stages/memory.h"

#define SIZE 10000u

struct range {
	uint64_t off, len;
	uint64_t size;       /* of the file before */
	unsigned long calls; /* below the splitter, for a write */
};

static uint8_t old[2 * SIZE], want[2 * SIZE], got[2 * SIZE];

static uint64_t end_after(const struct range *w)
{
	return w->off + w->len > w->size ? w->off + w->len : w->size;
}

/* Block by block the old or the new bytes; behind the old end old bytes are zeros. */
static bool blocks_are_old_or_new(struct stage *leaf, uint64_t size)
{
	for (uint64_t off = 0; off < size; off += 512) {
		size_t n = size - off < 512 ? size - off : 512;

		if (memcmp(memory_bytes(leaf) + off, old + off, n) &&
		    memcmp(memory_bytes(leaf) + off, want + off, n))
			return false;
	}
	return true;
}

static unsigned long sweep(const struct range *w, enum fault_how how, bool trim)
{
	struct fault plan;
	struct stage *leaf, *top;
	size_t n;
	int r;

	for (unsigned long at = 1;; at++) {
		plan = (struct fault){.fail_at = at, .how = how, .error = -EREMOTEIO};
		check(memory_new(w->size, 512, &leaf) == 0);
		memcpy(memory_bytes(leaf), old, w->size);
		check(fault_new(&plan, leaf, &top) == 0);

		r = trim ? split_trim(top, w->off, w->len)
			 : split_write(top, want + w->off, w->off, w->len, 0);
		check(r == (plan.fired ? -EREMOTEIO : 0));
		check(stage_size(top) == stage_size(leaf));
		check(stage_size(top) <= end_after(w) && stage_size(top) >= w->size);
		check(blocks_are_old_or_new(leaf, stage_size(leaf)));

		plan.fail_at = 0;
		r = trim ? split_trim(top, w->off, w->len)
			 : split_write(top, want + w->off, w->off, w->len, 0);
		check(r == 0);
		check(split_read(top, got, 0, sizeof got, &n) == 0);
		check(n == end_after(w) && memcmp(got, want, n) == 0);

		fault_free(top);
		memory_free(leaf);
		if (!plan.fired)
			return at - 1;
	}
}

static void prepare(const struct range *w, bool trim)
{
	memset(old, 0, sizeof old);
	memset(old, 'o', w->size);
	memcpy(want, old, sizeof want);
	memset(want + w->off, trim ? 0 : 'n', w->len);
}

int main(void)
{
	static const struct range ranges[] = {
		{1024, 512, SIZE, 1},  /* whole block */
		{1024, 2048, SIZE, 1}, /* whole blocks */
		{1030, 20, SIZE, 2},   /* inside a block: read, write */
		{1000, 3000, SIZE, 5}, /* two edges and a middle */
		{9700, 300, SIZE, 3},  /* an edge, and the short last block to its end */
		{9728, 272, SIZE, 1},  /* the short last block: whole */
		{9000, 1500, SIZE, 3}, /* extends: edge, and the rest is whole to the new end */
		{SIZE, 700, SIZE, 3},  /* appends to the short last block */
		{12001, 5, SIZE, 3},   /* behind the end: resize, read, write */
	};

	for (unsigned i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
		for (enum fault_how how = FAULT_BEFORE; how <= FAULT_AFTER; how++) {
			prepare(&ranges[i], false);
			check(sweep(&ranges[i], how, false) == ranges[i].calls);
			if (ranges[i].off + ranges[i].len > SIZE)
				continue;
			prepare(&ranges[i], true);
			check(sweep(&ranges[i], how, true) == ranges[i].calls);
		}
	return 0;
}
