/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random operations on a real file through the leaf give the bytes and the size that a leaf in
 * memory gives, and what is in the file is what was written at the same offsets. */
#include <string.h>
#include <sys/stat.h>

#include "base/leaf.h"
#include "base/split.h"
#include "tests/unit/backing.h"
#include "tests/unit/random.h"
#include "tests/unit/stages/memory.h"

#define SIZE 300000u

static uint8_t buf[SIZE], got[SIZE];

static void step(struct stage *leaf, struct stage *model, uint64_t *seed)
{
	uint64_t off = random_below(seed, SIZE);
	uint64_t len = random_below(seed, SIZE - off);
	unsigned kind = (unsigned)random_below(seed, 8);
	unsigned flags = random_below(seed, 8) == 0 ? STAGE_FUA : 0;
	struct stage *both[] = {leaf, model};

	if (random_below(seed, 2))
		len %= 5000;
	memset(buf, (int)random_below(seed, 255) + 1, len);
	for (unsigned i = 0; i < 2; i++) {
		if (kind == 0)
			check(split_resize(both[i], off) == 0);
		else if (kind == 1)
			check(split_trim(both[i], off, len) == 0);
		else if (kind == 2)
			check(split_zero(both[i], off, len) == 0);
		else
			check(split_write(both[i], buf, off, len, flags) == 0);
	}
	check(stage_size(leaf) == stage_size(model));
}

static bool same(struct stage *leaf, struct stage *model)
{
	uint64_t size = stage_size(model);
	struct stat attr;
	size_t n;
	int fd;

	check(split_read(leaf, got, 0, SIZE, &n) == 0);
	if (n != size || memcmp(got, memory_bytes(model), n))
		return false;

	fd = openat(backing_fd, "disk", O_RDONLY | O_CLOEXEC);
	check(fd >= 0 && fstat(fd, &attr) == 0);
	check((uint64_t)attr.st_size == size);
	check(pread(fd, got, SIZE, 0) == (ssize_t)size);
	close(fd);
	return memcmp(got, memory_bytes(model), size) == 0;
}

int main(void)
{
	struct fdcache *cache;
	struct stage *leaf, *model;
	struct seal seal;
	struct handle h;
	uint64_t seed = 20261122;

	check(fdcache_new(backing_make(), 4, &cache) == 0);
	h = backing_file("disk", 12345);
	check(leaf_new(cache, &h, &leaf) == 0);
	check(memory_new(12345, 1, &model) == 0);
	check(stage_size(leaf) == 12345);

	for (unsigned i = 0; i < 400; i++) {
		step(leaf, model, &seed);
		if (i % 8 == 0)
			check(same(leaf, model));
	}
	check(same(leaf, model));
	check(stage_flush(leaf) == 0 && stage_drain(leaf) == 0);

	leaf->sealed = true;
	check(stage_read(leaf, buf, &seal, 0, 1) == -EINVAL);
	check(stage_write(leaf, buf, &seal, 0, 1, 0) == -EINVAL);

	leaf_free(leaf);
	leaf_free(NULL);
	memory_free(model);
	fdcache_free(cache);
	return 0;
}
