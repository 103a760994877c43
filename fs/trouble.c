/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/trouble.c - see fs/trouble.h. */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "fs/trouble.h"

#define QUIET_SECONDS 60

static const struct {
	int error;
	const char *advice;
} kinds[TROUBLES] = {
	{ENOSPC, "make room on the datastore's filesystem; guests can write again at once"},
	{EDQUOT, "raise the quota of the disk's owner on the datastore's filesystem, or make room "
		 "in it"},
	{EROFS, "the datastore's filesystem refuses writes: when the kernel's log tells of an "
		"error, repair it, then mount it for writing"},
	{EIO, "look for errors of the datastore's device in the kernel's log, and for the disk's "
	      "problem in `weir status`"},
	{EUCLEAN, "the datastore's filesystem or weir's catalog is damaged: unmount, repair the "
		  "filesystem, run `weir check`"},
	{EMFILE, "weir has no descriptors left: raise LimitNOFILE of its unit"},
	{ENFILE, "the host has no descriptors left, or more than 65536 files are open: raise "
		 "fs.file-max"},
	{ENOMEM, "weir gets no memory: raise MemoryMax of its unit, or free memory on the host"},
};

static int64_t now_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_sec + 1;
}

static void say(struct trouble *t, unsigned kind, int pid)
{
	int64_t said = t->kind[kind].said, now = now_seconds();
	uint32_t more;

	if ((said && now - said < QUIET_SECONDS) ||
	    !atomic_compare_exchange_strong(&t->kind[kind].said, &said, now)) {
		t->kind[kind].more++;
		return;
	}
	more = atomic_exchange(&t->kind[kind].more, 0);
	log_warning("a request of process %d failed: %s (%u more since this was last said); %s",
		    pid, strerror(kinds[kind].error), more, kinds[kind].advice);
}

void trouble_note(struct trouble *t, int r, int pid)
{
	for (unsigned i = 0; r < 0 && i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].error == -r)
			say(t, i, pid);
}
