/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/holders.c - see ctl/holders.h. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/holders.h"
#include "ctl/mounts.h"

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

static void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

/* The link's target, when it lies below @directory. */
static bool link_below(int dir_fd, const char *name, const char *directory, char ret[PATH_MAX])
{
	ssize_t n = readlinkat(dir_fd, name, ret, PATH_MAX - 1);

	if (n < 0)
		return false;
	ret[n] = 0;
	return mounts_is_below(ret, directory);
}

static bool descriptor_below(int process_fd, const char *directory, char ret[PATH_MAX])
{
	_cleanup_(closedirp) DIR *dir = NULL;
	int fd = openat(process_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		closep(&fd);
		return false;
	}
	for (struct dirent *e; (e = readdir(dir));)
		if (link_below(dirfd(dir), e->d_name, directory, ret))
			return true;
	return false;
}

static bool mapping_below(int process_fd, const char *directory, char ret[PATH_MAX])
{
	_cleanup_(fclosep) FILE *f = NULL;
	_cleanup_(freep) char *line = NULL;
	int fd = openat(process_fd, "maps", O_RDONLY | O_CLOEXEC);
	size_t size = 0;

	f = fd < 0 ? NULL : fdopen(fd, "r");
	if (!f) {
		closep(&fd);
		return false;
	}
	while (getline(&line, &size, f) > 0) {
		char *path = strchr(line, '/');

		if (!path)
			continue;
		path[strcspn(path, "\n")] = 0;
		if (!mounts_is_below(path, directory))
			continue;
		snprintf(ret, PATH_MAX, "%s", path);
		return true;
	}
	return false;
}

static void command_of(int process_fd, char *ret, size_t size)
{
	_cleanup_(closep) int fd = openat(process_fd, "comm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, size - 1);

	ret[n > 0 ? n : 0] = 0;
	ret[strcspn(ret, "\n")] = 0;
}

static bool process_holds(int proc_fd, const char *pid, const char *directory, struct holder *ret)
{
	_cleanup_(closep) int fd = openat(proc_fd, pid, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char path[PATH_MAX];

	if (fd < 0)
		return false;
	if (!link_below(fd, "cwd", directory, path) && !link_below(fd, "root", directory, path) &&
	    !link_below(fd, "exe", directory, path) && !descriptor_below(fd, directory, path) &&
	    !mapping_below(fd, directory, path))
		return false;
	ret->pid = (pid_t)strtol(pid, NULL, 10);
	command_of(fd, ret->command, sizeof ret->command);
	snprintf(ret->path, sizeof ret->path, "%.*s", (int)sizeof ret->path - 1, path);
	return true;
}

static int by_pid(const void *a, const void *b)
{
	return ((const struct holder *)a)->pid - ((const struct holder *)b)->pid;
}

int holders_find(const char *directory, struct holder **ret, size_t *ret_n)
{
	_cleanup_(closedirp) DIR *proc = opendir("/proc");
	_cleanup_(freep) struct holder *list = NULL;
	struct holder one, *longer;
	size_t n = 0;

	if (!proc)
		return -errno;
	for (struct dirent *e; (e = readdir(proc));) {
		if (!isdigit((unsigned char)e->d_name[0]) ||
		    !process_holds(dirfd(proc), e->d_name, directory, &one))
			continue;
		longer = realloc(list, (n + 1) * sizeof *list);
		if (!longer)
			return -ENOMEM;
		list = longer;
		list[n++] = one;
	}
	if (n > 0)
		qsort(list, n, sizeof *list, by_pid);
	*ret = TAKE_PTR(list);
	*ret_n = n;
	return 0;
}
