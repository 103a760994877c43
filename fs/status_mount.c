/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/status_mount.c - see fs/status_mount.h. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "fs/held.h"
#include "fs/status_mount.h"
#include "fs/wire.h"

static json_t *time_of(uint64_t ns)
{
	time_t seconds = (time_t)(ns / 1000000000u);
	char text[40];
	struct tm tm;
	size_t n;

	gmtime_r(&seconds, &tm);
	n = strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof text - n, ".%03uZ", (unsigned)(ns / 1000000u % 1000u));
	return json_string(text);
}

void status_of_end(int status, char *ret, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(ret, size, "was killed by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) == WIRE_EXIT_HANDED_OVER)
		snprintf(ret, size, "handed over");
	else
		snprintf(ret, size, "ended with code %d", WEXITSTATUS(status));
}

static json_t *last_worker(const struct ledger *l)
{
	json_t *last = json_object();
	char why[128];

	status_of_end(l->last_status, why, sizeof why);
	json_object_set_new(last, "end", time_of(l->last_end));
	json_object_set_new(last, "why", json_string(why));
	json_object_set_new(last, "pause_ms", json_real((double)(l->last_pause_ns / 1000) / 1000));
	return last;
}

json_t *status_of_mount(struct fs *fs)
{
	const struct ledger *l = held_ledger(fs->held);
	json_t *s = json_object();

	json_object_set_new(s, "holder",
			    held_alone(fs->held) ? json_null() : json_integer(l->holder));
	json_object_set_new(s, "worker", json_integer(l->worker));
	json_object_set_new(s, "broker", json_integer(l->broker));
	json_object_set_new(s, "starts", json_integer(l->starts));
	json_object_set_new(s, "upgrades", json_integer(l->upgrades));
	json_object_set_new(s, "ready", time_of(l->ready));
	if (l->last_end)
		json_object_set_new(s, "last", last_worker(l));
	return s;
}
