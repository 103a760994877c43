/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/test_mounts_table.c - weir's mounts are found in the kernel's table, odd names too. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "check.h"
#include "ctl/mounts.h"

static const char table[] =
	"22 1 254:0 / / rw,relatime - ext4 /dev/root rw\n"
	"30 22 0:40 / /mnt/plain rw,nosuid shared:7 - fuse.weir /data/store rw,user_id=0\n"
	"31 22 0:41 / /mnt/with\\040blank\\134 rw shared:7 master:2 - fuse.weir /data/\\012x rw\n"
	"32 22 0:42 / /mnt/other rw - fuse.sshfs host:/ rw\n"
	"33 22 0:43 / /mnt/plain rw - fuse.weir /data/newer rw\n"
	"garbage\n"
	"34 22 0:43 / /mnt/cut - fuse.weir\n";

static void read_table(struct mounts *ret)
{
	char path[] = "/tmp/weir-test-mounts-XXXXXX";
	int fd = mkstemp(path);

	check(fd >= 0);
	check(write(fd, table, strlen(table)) == (ssize_t)strlen(table));
	check(mounts_read(path, ret) == 0);
	close(fd);
	unlink(path);
}

static void test_read(void)
{
	_cleanup_(mounts_done) struct mounts m = {0};
	const struct weir_mount *found;

	read_table(&m);
	check(m.n == 3);
	check(strcmp(m.list[1].point, "/mnt/with blank\\") == 0);
	check(strcmp(m.list[1].source, "/data/\nx") == 0);
	check(m.list[1].major == 0 && m.list[1].minor == 41);

	found = mounts_find_point(&m, "/mnt/plain");
	check(found && strcmp(found->source, "/data/newer") == 0); /* the one on top */
	check(mounts_find_source(&m, "/data/store") == &m.list[0]);
	check(!mounts_find_point(&m, "/mnt/other"));
	check(mounts_read("/not/there", &m) == -ENOENT);
}

static void absolute_is(const char *path, const char *expected)
{
	_cleanup_(freep) char *absolute = NULL;

	check(mounts_absolute(path, &absolute) == 0);
	check(strcmp(absolute, expected) == 0);
}

static void test_paths(void)
{
	char *none = NULL;

	check(chdir("/usr") == 0);
	absolute_is("/", "/");
	absolute_is("/tmp/", "/tmp");
	absolute_is("/tmp/../usr/not-there", "/usr/not-there");
	absolute_is("not-there//", "/usr/not-there");
	absolute_is(".", "/usr");
	absolute_is("/usr/..", "/");
	check(mounts_absolute("/not/there/x", &none) == -ENOENT && !none);

	check(mounts_is_below("/a/b", "/a") && mounts_is_below("/a", "/a"));
	check(!mounts_is_below("/ab", "/a") && mounts_is_below("/ab", "/"));
}

int main(void)
{
	test_read();
	test_paths();
	return 0;
}
