/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/caller.c - see fs/caller.h. */
#include <linux/securebits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "fs/caller.h"
#include "fs/session.h"

/* Inherited from the main thread (fs/privilege.c), where it is set while that is allowed. */
static bool keeps_capabilities(void)
{
	int bits = prctl(PR_GET_SECUREBITS);

	return bits >= 0 && (bits & SECBIT_NO_SETUID_FIXUP);
}

void caller_init_thread(void)
{
	if (unshare(CLONE_FS) < 0)
		log_error("cannot unshare the umask: %s; new files may get the wrong mode",
			  strerror(errno));
	if (!keeps_capabilities())
		log_error("capabilities are lost over setfsuid: files are not served to all users");
	umask(0);
}

/* glibc's setfsuid and setfsgid are the bare system calls: they change this thread only. */
void caller_enter(const struct fuse_ctx *ctx)
{
	umask(ctx->umask);
	setfsgid(ctx->gid);
	setfsuid(ctx->uid);
}

void caller_leave(void)
{
	setfsuid(0);
	setfsgid(0);
	umask(0);
}

static void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

/* "Gid:" lists the real, effective, saved and filesystem gid; the last one counts for files. */
static bool line_has(const char *numbers, gid_t gid, bool only_last)
{
	unsigned long last = (unsigned long)-1;
	char *end;

	for (const char *p = numbers;; p = end) {
		unsigned long g = strtoul(p, &end, 10);

		if (end == p)
			return only_last && last == gid;
		if (!only_last && g == gid)
			return true;
		last = g;
	}
}

bool caller_in_group(pid_t pid, gid_t gid)
{
	char path[64];
	_cleanup_(fclosep) FILE *f = NULL;
	_cleanup_(freep) char *line = NULL;
	size_t size = 0;
	bool found = false;

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	while (f && !found && getline(&line, &size, f) > 0) {
		if (!strncmp(line, "Gid:", 4))
			found = line_has(line + 4, gid, true);
		else if (!strncmp(line, "Groups:", 7))
			found = line_has(line + 7, gid, false);
	}
	return found;
}
