/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A handle finds its file after a rename, names a symlink and not its target, and is ESTALE when
 * the file is gone, also when a new one has its name. */
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/backing.h"

static bool is_file(const struct handle *h, ino_t inode)
{
	struct stat attr;
	int fd = handle_open(backing_fd, h, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	check(fd >= 0 && fstat(fd, &attr) == 0);
	close(fd);
	return attr.st_ino == inode;
}

int main(void)
{
	struct handle h, again, link;
	struct stat attr;
	int mount, fd;

	backing_make();
	h = backing_file("a", 0);
	check(fstatat(backing_fd, "a", &attr, 0) == 0);
	check(renameat(backing_fd, "a", backing_fd, "b") == 0);
	check(is_file(&h, attr.st_ino));

	fd = openat(backing_fd, "b", O_PATH | O_CLOEXEC);
	check(fd >= 0 && handle_get(fd, "", &again, &mount) == 0);
	close(fd);
	check(handle_equal(&h, &again) && memcmp(&h, &again, sizeof h) == 0);
	check(handle_hash(&h) == handle_hash(&again));

	check(symlinkat("b", backing_fd, "link") == 0);
	check(handle_get(backing_fd, "link", &link, &mount) == 0);
	check(!handle_equal(&h, &link));
	check(fstatat(backing_fd, "link", &attr, AT_SYMLINK_NOFOLLOW) == 0);
	check(is_file(&link, attr.st_ino));

	check(unlinkat(backing_fd, "b", 0) == 0);
	again = backing_file("b", 0);
	check(!handle_equal(&h, &again));
	check(handle_open(backing_fd, &h, O_RDONLY | O_CLOEXEC) == -ESTALE);
	h.len = HANDLE_MAX + 1;
	check(handle_open(backing_fd, &h, O_RDONLY | O_CLOEXEC) == -EINVAL);
	check(handle_get(backing_fd, "none", &h, &mount) == -ENOENT);
	return 0;
}
