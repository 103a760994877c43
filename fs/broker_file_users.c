/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/broker_file_users.c - the broker's second duty: which processes have a file open.
 *
 * Runs in a child of the broker's, which is killed when it takes too long: a line of /proc can be
 * slow while its process is stuck.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "fs/broker_duties.h"

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

struct wanted {
	dev_t device, backing;
	ino_t ino;
};

static bool is_it(const struct wanted *w, dev_t device, uint64_t ino)
{
	return ino == w->ino && (device == w->device || device == w->backing);
}

static bool is_file(const char *path, const struct wanted *w)
{
	struct statx stx;

	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_INO, &stx) < 0)
		return false;
	return is_it(w, makedev(stx.stx_dev_major, stx.stx_dev_minor), stx.stx_ino);
}

static bool has_descriptor(const char *pid, const struct wanted *w)
{
	char path[600];
	_cleanup_(closedirp) DIR *d = NULL;
	struct dirent *e;

	snprintf(path, sizeof path, "/proc/%s/fd", pid);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		snprintf(path, sizeof path, "/proc/%s/fd/%s", pid, e->d_name);
		if (e->d_name[0] != '.' && is_file(path, w))
			return true;
	}
	return false;
}

static bool has_mapping(const char *pid, const struct wanted *w)
{
	char path[300];
	_cleanup_(freep) char *line = NULL;
	_cleanup_(fclosep) FILE *f = NULL;
	size_t size = 0;
	bool found = false;

	snprintf(path, sizeof path, "/proc/%s/maps", pid);
	f = fopen(path, "re");
	while (f && !found && getline(&line, &size, f) > 0) {
		unsigned major_, minor_;
		uint64_t at;

		if (sscanf(line, "%*s %*s %*s %x:%x %" SCNu64, &major_, &minor_, &at) == 3)
			found = is_it(w, makedev(major_, minor_), at);
	}
	return found;
}

/* A command may be called anything: what is not printable is '?'. */
static size_t add_holder(const char *pid, char *text, size_t room)
{
	char path[300], command[32] = "?";
	_cleanup_(closep) int fd = -1;
	ssize_t n;
	int len;

	snprintf(path, sizeof path, "/proc/%s/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, command, sizeof command - 1);
	if (n > 0)
		command[n - 1] = 0;
	for (char *c = command; *c; c++)
		if (!isprint((unsigned char)*c))
			*c = '?';
	len = snprintf(text, room, "%s %s\n", pid, command);
	return len < 0 || (size_t)len >= room ? 0 : (size_t)len;
}

size_t broker_find_users(dev_t device, dev_t backing, ino_t ino, pid_t not, char *text,
			   size_t room)
{
	const struct wanted w = {device, backing, ino};
	_cleanup_(closedirp) DIR *d = opendir("/proc");
	struct dirent *e;
	size_t len = 0;
	unsigned n = 0;

	while (d && n < BROKER_FILE_USERS_MAX && (e = readdir(d))) {
		if (!isdigit((unsigned char)e->d_name[0]) || atoi(e->d_name) == not )
			continue;
		if (has_descriptor(e->d_name, &w) || has_mapping(e->d_name, &w)) {
			len += add_holder(e->d_name, text + len, room - len);
			n++;
		}
	}
	return len;
}
