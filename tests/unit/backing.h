/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/backing.h - a directory of real files for a test, gone when the test ends.
 *
 * In /var/tmp, which is a real filesystem with handles and holes (not tmpfs).  Needs
 * CAP_DAC_READ_SEARCH: without it, or without handles there, the test is skipped (exit 77).
 */
#ifndef TESTS_UNIT_BACKING_H
#define TESTS_UNIT_BACKING_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/handle.h"
#include "tests/unit/check.h"

static char backing_path[] = "/var/tmp/weir-unit-XXXXXX";
static int backing_fd = -1;

/* atexit, so that a failed check cleans up as well. */
static inline void backing_remove(void)
{
	char command[sizeof backing_path + 20];

	snprintf(command, sizeof command, "rm -rf '%s'", backing_path);
	if (system(command) != 0)
		fprintf(stderr, "%s: not removed\n", backing_path);
}

/* The directory's descriptor. */
static inline int backing_make(void)
{
	struct handle h;
	int mount, fd;

	check(mkdtemp(backing_path));
	atexit(backing_remove);
	backing_fd = open(backing_path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	check(backing_fd >= 0);

	if (handle_get(backing_fd, "", &h, &mount) < 0)
		exit(77);
	fd = handle_open(backing_fd, &h, O_PATH | O_CLOEXEC);
	if (fd == -EPERM)
		exit(77);
	check(fd >= 0);
	close(fd);
	return backing_fd;
}

/* Make a file of @size bytes, all hole. */
static inline struct handle backing_file(const char *name, off_t size)
{
	struct handle h;
	int mount, fd;

	fd = openat(backing_fd, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	check(fd >= 0);
	check(ftruncate(fd, size) == 0);
	close(fd);
	check(handle_get(backing_fd, name, &h, &mount) == 0);
	return h;
}

#endif
