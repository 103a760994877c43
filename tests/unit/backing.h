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
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/handle.h"
#include "tests/unit/check.h"

static char backing_path[] = "/var/tmp/weir-unit-XXXXXX";
static int backing_fd = -1;

static int backing_end = -1; /* closed when we end, however that is */
static pid_t backing_remover;

/* A child outlives us for a moment: an assertion, a time limit or a crash cleans up as well.  Out
 * of our process group, which a time limit kills as a whole. */
static inline void backing_remove_at_end(void)
{
	int ends[2];
	char none;

	check(pipe2(ends, O_CLOEXEC) == 0);
	backing_remover = fork();
	check(backing_remover >= 0);
	if (backing_remover == 0) {
		setsid();
		close(ends[1]);
		while (read(ends[0], &none, 1) < 0 && errno == EINTR)
			;
		execlp("rm", "rm", "-rf", backing_path, (char *)NULL);
		_exit(1);
	}
	close(ends[0]);
	backing_end = ends[1];
}

static inline void backing_remove(void)
{
	close(backing_end);
	waitpid(backing_remover, NULL, 0);
}

/* The directory's descriptor. */
static inline int backing_make(void)
{
	struct handle h;
	int mount, fd;

	check(mkdtemp(backing_path));
	backing_remove_at_end();
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
