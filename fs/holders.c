/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/holders.c - see fs/holders.h. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <stdbool.h>

#include "base/cleanup.h"
#include "fs/holders.h"

#define MAX_HOLDERS 16

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

static bool is_file(const char *path, dev_t device, dev_t backing, ino_t ino)
{
	struct statx stx;
	dev_t dev;

	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_INO, &stx) < 0)
		return false;
	dev = makedev(stx.stx_dev_major, stx.stx_dev_minor);
	return stx.stx_ino == ino && (dev == device || dev == backing);
}

static bool has_descriptor(const char *pid, dev_t device, dev_t backing, ino_t ino)
{
	char path[600];
	_cleanup_(closedirp) DIR *d = NULL;
	struct dirent *e;

	snprintf(path, sizeof path, "/proc/%s/fd", pid);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		snprintf(path, sizeof path, "/proc/%s/fd/%s", pid, e->d_name);
		if (e->d_name[0] != '.' && is_file(path, device, backing, ino))
			return true;
	}
	return false;
}

static bool has_mapping(const char *pid, dev_t device, dev_t backing, ino_t ino)
{
	char path[300], *line = NULL;
	_cleanup_(fclosep) FILE *f = NULL;
	size_t size = 0;
	bool found = false;

	snprintf(path, sizeof path, "/proc/%s/maps", pid);
	f = fopen(path, "re");
	while (f && !found && getline(&line, &size, f) > 0) {
		unsigned major_, minor_;
		uint64_t at;

		if (sscanf(line, "%*s %*s %*s %x:%x %" SCNu64, &major_, &minor_, &at) == 3)
			found = at == ino && (makedev(major_, minor_) == device ||
					      makedev(major_, minor_) == backing);
	}
	free(line);
	return found;
}

static void add_holder(json_t *list, const char *pid)
{
	char path[300], command[32] = "?";
	_cleanup_(closep) int fd = -1;
	json_t *one = json_object();
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%s/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, command, sizeof command - 1);
	if (n > 0)
		command[n - 1] = 0;
	json_object_set_new(one, "pid", json_integer(atoi(pid)));
	json_object_set_new(one, "command", json_string_nocheck(command));
	json_array_append_new(list, one);
}

json_t *holders_find(dev_t device, dev_t backing, ino_t ino)
{
	_cleanup_(closedirp) DIR *d = opendir("/proc");
	json_t *list = json_array();
	int self = getpid();
	struct dirent *e;

	while (d && json_array_size(list) < MAX_HOLDERS && (e = readdir(d))) {
		if (e->d_name[0] < '1' || e->d_name[0] > '9' || atoi(e->d_name) == self)
			continue;
		if (has_descriptor(e->d_name, device, backing, ino) ||
		    has_mapping(e->d_name, device, backing, ino))
			add_holder(list, e->d_name);
	}
	return list;
}
