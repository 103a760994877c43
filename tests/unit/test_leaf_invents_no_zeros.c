/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file that became shorter behind us is read up to its end, and EIO comes past it, not zeros.
 * A file that is gone is ESTALE. */
#include <sys/stat.h>

#include "base/leaf.h"
#include "base/log.h"
#include "tests/unit/backing.h"

int main(void)
{
	char path[sizeof backing_path + 5];
	struct fdcache *cache;
	struct stage *leaf;
	struct handle h;
	char buf[100];

	check(fdcache_new(backing_make(), 4, &cache) == 0);
	h = backing_file("disk", 1000);
	check(leaf_new(cache, &h, &leaf) == 0);
	log_set_level(LOG_LEVEL_ERROR); /* the line it logs is expected */

	snprintf(path, sizeof path, "%s/disk", backing_path);
	check(truncate(path, 550) == 0);
	check(stage_read(leaf, buf, NULL, 450, 100) == 0);
	check(stage_read(leaf, buf, NULL, 500, 100) == -EIO);
	check(stage_read(leaf, buf, NULL, 900, 100) == -EIO);
	check(stage_size(leaf) == 1000);

	check(unlink(path) == 0);
	fdcache_forget(cache, &h);
	check(stage_read(leaf, buf, NULL, 0, 100) == -ESTALE);
	leaf_free(leaf);

	check(leaf_new(cache, &h, &leaf) == -ESTALE);
	check(mkdirat(backing_fd, "directory", 0700) == 0);
	check(handle_get(backing_fd, "directory", &h, &(int){0}) == 0);
	check(leaf_new(cache, &h, &leaf) == -EINVAL);
	fdcache_free(cache);
	return 0;
}
