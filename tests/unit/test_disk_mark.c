/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Marks are written, read and removed, also through O_PATH; ids have one spelling. */
#include <sys/xattr.h>

#include "tests/unit/header_rig.h"

static void ids(void)
{
	struct disk_id a, b;
	char text[33];

	disk_id_new(&a);
	disk_id_new(&b);
	check(memcmp(&a, &b, sizeof a));
	disk_id_text(&a, text);
	check(strlen(text) == 32 && disk_id_parse(text, &b) == 0 && !memcmp(&a, &b, sizeof a));
	check(disk_id_parse("", &b) == -EINVAL);
	check(disk_id_parse("00112233445566778899aabbccddeef", &b) == -EINVAL);
	check(disk_id_parse("00112233445566778899aabbccddeeff0", &b) == -EINVAL);
	check(disk_id_parse("00112233445566778899AABBCCDDEEFF", &b) == -EINVAL);
	check(disk_id_parse("0011223344556677 899aabbccddeeff", &b) == -EINVAL);
	check(!memcmp(&a, &b, sizeof a));
}

static void marks(int fd, int path_fd)
{
	struct disk_id a, b;

	disk_id_new(&a);
	check(disk_mark_read(NULL, fd, &b) == -ENODATA && disk_mark_remove(NULL, fd) == -ENODATA);
	check(disk_mark_read(NULL, path_fd, &b) == -ENODATA);
	check(disk_mark_write(NULL, fd, &a) == 0);
	check(disk_mark_read(NULL, path_fd, &b) == 0 && !memcmp(&a, &b, sizeof a));
	disk_id_new(&a);
	check(disk_mark_write(NULL, path_fd, &a) == 0);
	check(disk_mark_read(NULL, fd, &b) == 0 && !memcmp(&a, &b, sizeof a));
	check(disk_mark_remove(NULL, path_fd) == 0 && disk_mark_read(NULL, fd, &b) == -ENODATA);

	check(fsetxattr(fd, "trusted.weir.disk", "nonsense", 8, 0) == 0);
	check(disk_mark_read(NULL, fd, &b) == -EUCLEAN);
	check(fsetxattr(fd, "trusted.weir.disk", "00112233445566778899aabbccddeeff00", 34, 0) == 0);
	check(disk_mark_read(NULL, fd, &b) == -EUCLEAN);
}

static void test(const char *dir)
{
	int disks = rig_directory(dir), fd, path_fd;

	ids();
	fd = openat(disks, "disk.raw", O_CREAT | O_RDWR, 0600);
	path_fd = openat(disks, "disk.raw", O_PATH);
	check(fd >= 0 && path_fd >= 0);
	if (fsetxattr(fd, "trusted.weir.probe", "", 0, 0) < 0)
		exit(77); /* not root, or a filesystem without them: skipped */
	marks(fd, path_fd);
	close(fd);
	close(path_fd);
	close(disks);
}

int main(void)
{
	return scratch_run(test);
}
