/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A sparse file stays sparse: extents show the holes, trim gives space back, reserve takes it
 * without a change of size, and zero leaves zeros. */
#include <string.h>
#include <sys/stat.h>

#include "base/leaf.h"
#include "base/split.h"
#include "tests/unit/backing.h"

#define BLOCK 65536u

static off_t allocated(void)
{
	struct stat attr;

	check(fstatat(backing_fd, "disk", &attr, 0) == 0);
	return attr.st_blocks * 512;
}

int main(void)
{
	static uint8_t buf[BLOCK], zeros[BLOCK];
	struct fdcache *cache;
	struct stage *leaf;
	struct handle h;
	uint64_t at;
	int r;

	check(fdcache_new(backing_make(), 4, &cache) == 0);
	h = backing_file("disk", 8 * BLOCK);
	check(leaf_new(cache, &h, &leaf) == 0);
	check(split_seek(leaf, 0, STAGE_DATA, &at) == -ENXIO);

	memset(buf, 'x', sizeof buf);
	check(stage_write(leaf, buf, NULL, 2 * BLOCK, BLOCK, 0) == 0);
	check(stage_write(leaf, buf, NULL, 7 * BLOCK, BLOCK, 0) == 0);
	check(split_seek(leaf, 0, STAGE_DATA, &at) == 0 && at == 2 * BLOCK);
	check(split_seek(leaf, 2 * BLOCK, STAGE_HOLE, &at) == 0 && at == 3 * BLOCK);
	check(split_seek(leaf, 3 * BLOCK, STAGE_DATA, &at) == 0 && at == 7 * BLOCK);
	check(split_seek(leaf, 7 * BLOCK, STAGE_HOLE, &at) == 0 && at == 8 * BLOCK);

	check(stage_flush(leaf) == 0);
	check(allocated() == 2 * BLOCK);
	check(stage_trim(leaf, 2 * BLOCK, BLOCK) == 0);
	check(allocated() == BLOCK);
	check(split_seek(leaf, 0, STAGE_DATA, &at) == 0 && at == 7 * BLOCK);

	check(stage_zero(leaf, 7 * BLOCK, BLOCK) == 0);
	check(stage_read(leaf, buf, NULL, 7 * BLOCK, BLOCK) == 0);
	check(memcmp(buf, zeros, BLOCK) == 0);

	r = stage_reserve(leaf, 100 * BLOCK, BLOCK);
	check(r == 0 || r == -EOPNOTSUPP);
	check(r < 0 || allocated() >= BLOCK);
	check(stage_size(leaf) == 8 * BLOCK);

	leaf_free(leaf);
	fdcache_free(cache);
	return 0;
}
