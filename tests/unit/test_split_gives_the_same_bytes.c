/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random operations through the splitter, with blocks of 1, 512 and 4096 bytes and a short last
 * block, give the bytes, size and lengths of a plain array.  That the stage below sees only whole
 * blocks, and that no padding extends the file, is asserted by base/stage.c and the size. */
#include <errno.h>
#include <string.h>

#include "base/split.h"
#include "tests/unit/check.h"
#include "tests/unit/random.h"
#include "tests/unit/stages/memory.h"

#define SIZE_MAX_HERE 40000u

static uint8_t model[SIZE_MAX_HERE];
static uint64_t model_size;

static void model_clear(uint64_t off, uint64_t len)
{
	if (off < model_size)
		memset(model + off, 0, len < model_size - off ? len : model_size - off);
}

static void model_write(const uint8_t *buf, uint64_t off, uint64_t len)
{
	memcpy(model + off, buf, len);
	if (len > 0 && off + len > model_size)
		model_size = off + len;
}

static void model_resize(uint64_t size)
{
	if (size < model_size)
		model_clear(size, model_size - size);
	model_size = size;
}

static void check_read(struct stage *top, uint64_t off, uint64_t len)
{
	static uint8_t got[SIZE_MAX_HERE + 1];
	uint64_t expected = off < model_size ? model_size - off : 0;
	size_t n;

	expected = len < expected ? len : expected;
	memset(got, 0xee, sizeof got);
	check(split_read(top, got, off, len, &n) == 0);
	check(n == expected);
	check(memcmp(got, model + off, n) == 0);
	check(got[n] == 0xee); /* nothing behind what was asked for */
}

static void step(struct stage *top, uint64_t *seed)
{
	static uint8_t buf[SIZE_MAX_HERE];
	uint64_t off = random_below(seed, SIZE_MAX_HERE);
	uint64_t len = random_below(seed, SIZE_MAX_HERE - off);
	uint64_t old = model_size;

	if (random_below(seed, 2))
		len %= 700;
	if (random_below(seed, 4) == 0)
		off &= ~4095ull;
	if (random_below(seed, 4) == 0)
		len = (len + off) / 4096 * 4096 > off ? (len + off) / 4096 * 4096 - off : 0;
	for (uint64_t i = 0; i < len; i++)
		buf[i] = (uint8_t)random_below(seed, 256);

	switch (random_below(seed, 8)) {
	case 0:
		check(split_resize(top, off) == 0);
		model_resize(off);
		break;
	case 1:
		check(split_trim(top, off, len) == 0);
		model_clear(off, len);
		break;
	case 2:
		check(split_zero(top, off, len) == 0);
		model_clear(off, len);
		break;
	case 3:
	case 4:
		check_read(top, off, len);
		break;
	default:
		check(split_grows(top, off, len) == (len > 0 && off + len > old));
		check(split_write(top, buf, off, len, 0) == 0);
		model_write(buf, off, len);
	}
	check(stage_size(top) == model_size);
}

static void check_range(uint32_t block, uint64_t off, uint64_t len, uint64_t want_off,
			uint64_t want_end)
{
	uint64_t got_off, got_end;

	split_range(block, off, len, &got_off, &got_end);
	check(got_off == want_off && got_end == want_end);
}

int main(void)
{
	static const uint32_t blocks[] = {1, 512, 4096};
	struct stage *top;
	size_t n;

	for (uint64_t run = 1; run <= 60; run++) {
		uint64_t seed = run * 1000003;

		memset(model, 0, sizeof model);
		model_size = run * 331;
		check(memory_new(model_size, blocks[run % 3], &top) == 0);
		for (unsigned i = 0; i < 300; i++)
			step(top, &seed);
		check_read(top, 0, SIZE_MAX_HERE);
		memory_free(top);
	}

	check(memory_new(100, 512, &top) == 0);
	check(split_write(top, "x", INT64_MAX, 1, 0) == -EFBIG);
	check(split_resize(top, UINT64_MAX) == -EFBIG);
	check(split_read(top, &n, UINT64_MAX - 5, 100, &n) == 0 && n == 0);
	check(split_trim(top, 5, UINT64_MAX) == 0 && split_zero(top, UINT64_MAX, 5) == 0);
	check(stage_size(top) == 100);
	memory_free(top);

	check_range(512, 513, 1, 512, 1024);
	check_range(512, 512, 512, 512, 1024);
	check_range(512, 0, 0, 0, 0);
	check_range(1, 7, 3, 7, 10);
	check_range(4096, 5, UINT64_MAX, 0, UINT64_MAX);
	return 0;
}
