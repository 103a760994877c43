/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/stages/memory.c - see memory.h.
 *
 * Invariant  bytes behind the size, up to the capacity, are zero and their units holes.
 */
#include <string.h>

#include "base/cleanup.h"
#include "tests/unit/stages/memory.h"

#define UNIT 512u /* bytes that are data or hole together */

struct memory {
	struct stage stage;
	uint8_t *bytes;
	bool *is_data; /* one for each unit */
	uint64_t capacity;
};

static struct memory *memory_of(struct stage *st)
{
	return container_of(st, struct memory, stage);
}

uint8_t *memory_bytes(struct stage *st)
{
	return memory_of(st)->bytes;
}

static int grow(struct memory *m, uint64_t size)
{
	uint64_t capacity = (size + size / 2 + 2 * UNIT) / UNIT * UNIT;
	uint8_t *bytes;
	bool *is_data;

	if (size <= m->capacity)
		return 0;

	bytes = realloc(m->bytes, capacity);
	if (!bytes)
		return -ENOMEM;
	m->bytes = bytes;
	is_data = realloc(m->is_data, capacity / UNIT * sizeof *is_data);
	if (!is_data)
		return -ENOMEM;
	m->is_data = is_data;

	memset(bytes + m->capacity, 0, capacity - m->capacity);
	memset(is_data + m->capacity / UNIT, 0, (capacity - m->capacity) / UNIT * sizeof *is_data);
	m->capacity = capacity;
	return 0;
}

static void mark_data(struct memory *m, uint64_t off, uint64_t len)
{
	for (uint64_t i = off / UNIT; len > 0 && i <= (off + len - 1) / UNIT; i++)
		m->is_data[i] = true;
}

/* Zero the range; units that lie in it whole become holes. */
static void punch(struct memory *m, uint64_t off, uint64_t end)
{
	memset(m->bytes + off, 0, end - off);
	for (uint64_t i = (off + UNIT - 1) / UNIT; (i + 1) * UNIT <= end; i++)
		m->is_data[i] = false;
}

static int memory_open(struct stage *st)
{
	return 0;
}

static int memory_read(struct stage *st, void *ret_buf, struct seal *ret_seals, uint64_t off,
		       size_t len)
{
	if (ret_seals)
		return -EINVAL;
	memcpy(ret_buf, memory_of(st)->bytes + off, len);
	return 0;
}

static int memory_write(struct stage *st, const void *buf, const struct seal *seals, uint64_t off,
			size_t len, unsigned flags)
{
	struct memory *m = memory_of(st);
	int r;

	if (seals)
		return -EINVAL;
	r = grow(m, off + len);
	if (r < 0)
		return r;

	memcpy(m->bytes + off, buf, len);
	mark_data(m, off, len);
	return 0;
}

static int memory_flush(struct stage *st)
{
	return 0;
}

static int memory_trim(struct stage *st, uint64_t off, uint64_t len)
{
	punch(memory_of(st), off, off + len);
	return 0;
}

static int memory_zero(struct stage *st, uint64_t off, uint64_t len)
{
	memset(memory_of(st)->bytes + off, 0, len);
	mark_data(memory_of(st), off, len);
	return 0;
}

static int memory_reserve(struct stage *st, uint64_t off, uint64_t len)
{
	return 0;
}

static int memory_resize(struct stage *st, uint64_t size)
{
	struct memory *m = memory_of(st);
	int r;

	r = grow(m, size);
	if (r < 0)
		return r;

	if (size < stage_size(st))
		punch(m, size, m->capacity);
	return 0;
}

static int memory_extent(struct stage *st, uint64_t off, struct stage_extent *ret)
{
	struct memory *m = memory_of(st);
	uint64_t size = stage_size(st), i = off / UNIT;
	bool is_data = m->is_data[i];

	while (i * UNIT < size && m->is_data[i] == is_data)
		i++;
	*ret = (struct stage_extent){MIN(i * UNIT, size), is_data ? STAGE_DATA : STAGE_HOLE};
	return 0;
}

static void memory_close(struct stage *st)
{
	struct memory *m = memory_of(st);

	free(m->bytes);
	free(m->is_data);
	free(m);
}

static const struct stage_ops memory_ops = {
	.name = "memory",
	.open = memory_open,
	.read = memory_read,
	.write = memory_write,
	.flush = memory_flush,
	.trim = memory_trim,
	.zero = memory_zero,
	.reserve = memory_reserve,
	.resize = memory_resize,
	.extent = memory_extent,
	.drain = memory_flush,
	.close = memory_close,
};

int memory_new(uint64_t size, uint32_t block, struct stage **ret)
{
	struct memory *m;

	m = calloc(1, sizeof *m);
	if (!m)
		return -ENOMEM;

	m->stage = (struct stage){.ops = &memory_ops, .size = size, .block = block};
	if (grow(m, size) < 0) {
		memory_close(&m->stage);
		return -ENOMEM;
	}
	*ret = &m->stage;
	return 0;
}

void memory_free(struct stage *st)
{
	if (st)
		st->ops->close(st);
}
