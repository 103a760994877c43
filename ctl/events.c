/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/events.c - weir events: one line for each change of state in a mount.
 *
 * Reads user.weir.events.SEQ of the mount's root: the events with a number above SEQ, at most
 * 64 KiB at a time.  No descriptor is kept on the mount, so watching never makes it busy.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "ctl/attributes.h"
#include "ctl/command.h"
#include "ctl/text.h"

#define POLL_NS (200 * 1000 * 1000L)

static const char help[] =
	"Usage: weir events [--follow] [--json] MOUNTPOINT\n"
	"Show what happened in a mount: policies attached, refused, cleared, out of date; disks\n"
	"recognised and found broken.\n"
	"\n"
	"  -f, --follow   go on with what happens from now on, until the mount ends\n"
	"  -j, --json     a JSON object a line: seq, time, event, path, policy, text\n"
	"  -h, --help     this text\n"
	"\n"
	"Exit codes: 0 shown; 1 not; 2 the command line is wrong.\n";

static const struct option long_options[] = {
	{"follow", no_argument, NULL, 'f'},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{NULL},
};

static void print_event(const json_t *event, bool as_json)
{
	const char *path = member_text(event, "path", "");
	_cleanup_(freep) char *text = NULL, *safe = NULL;

	if (as_json) {
		json_dumpf(event, stdout, JSON_COMPACT);
		putchar('\n');
		return;
	}
	if (asprintf(&text, "%s %-18s %s%s%s", member_text(event, "time", "?"),
		     member_text(event, "event", "?"), path, *path ? ": " : "",
		     member_text(event, "text", "")) < 0) {
		text = NULL;
		return;
	}
	safe = text_safe(text);
	puts(safe ? safe : "?");
}

/* Print what is newer than *seq; returns how many that were, or a negative errno. */
static int print_newer(const char *root, bool as_json, uint64_t *seq)
{
	_cleanup_(json_decrefp) json_t *events = NULL;
	const json_t *event;
	char name[64];
	size_t i;
	int r;

	snprintf(name, sizeof name, "user.weir.events.%" PRIu64, *seq);
	r = attribute_read_json(root, name, &events);
	if (r < 0)
		return r;
	json_array_foreach(events, i, event)
	{
		print_event(event, as_json);
		*seq = MAX(*seq, member_number(event, "seq"));
	}
	return (int)json_array_size(events);
}

static int show(const char *root, bool follow, bool as_json)
{
	const struct timespec pause = {.tv_nsec = POLL_NS};
	uint64_t seq = 0, before;
	int r;

	for (;;) {
		before = seq;
		r = print_newer(root, as_json, &seq);
		if (fflush(stdout) != 0)
			return EXIT_CODE_FAILED;
		if (r < 0)
			break;
		if (r > 0 && seq > before)
			continue; /* there may be more than fits into one answer */
		if (!follow)
			return EXIT_CODE_OK;
		nanosleep(&pause, NULL);
	}
	if (seq > 0 && (r == -ENODATA || r == -ENOTSUP || r == -ENOTCONN || r == -ECONNABORTED ||
			r == -ENOENT)) {
		complain("%s: the mount has ended", root);
		return EXIT_CODE_OK;
	}
	if (r == -ENODATA || r == -ENOTSUP)
		complain("%s is not the root of a weir mount", root);
	else
		complain("%s: cannot read its events: %s", root, strerror(-r));
	return EXIT_CODE_FAILED;
}

static int events_run(int argc, char **argv)
{
	bool follow = false, as_json = false;
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, ":fjh", long_options, NULL)) != -1) {
		switch (c) {
		case 'f':
			follow = true;
			break;
		case 'j':
			as_json = true;
			break;
		case 'h':
			return print_help(&command_events);
		default:
			return option_error(&command_events, argc, argv);
		}
	}
	if (argc - optind != 1)
		return usage_error(&command_events, "events takes one MOUNTPOINT");
	return show(argv[optind], follow, as_json);
}

const struct command command_events = {
	.name = "events",
	.summary = "show what happens in a mount",
	.help = help,
	.run = events_run,
};
