/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/resume.c - weir resume: end the quarantine of disks. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/attributes.h"
#include "ctl/command.h"
#include "ctl/text.h"

static const char help[] =
	"Usage: weir resume PATH...\n"
	"Let disks that are in quarantine be read and written again.\n"
	"\n"
	"A disk over which weir's worker died three times fails all I/O with EIO, so that the\n"
	"others can go on; `weir status' says why. First take away what it died of (change or\n"
	"clear its policy, upgrade weir), or it is in quarantine again after three more.\n"
	"PATH is a disk, or the mount point: that is all disks of the datastore.\n"
	"\n"
	"  -h, --help   this text\n"
	"\n"
	"Exit codes: 0 done, or there was no quarantine; 1 it failed; 2 the command line is wrong.\n";

static const struct option long_options[] = {
	{"help", no_argument, NULL, 'h'},
	{NULL},
};

static bool is_quarantined(const json_t *status)
{
	return json_object_get(status, "quarantine") ||
	       json_array_size(json_object_get(status, "quarantined"));
}

static int fail(const char *path, int r)
{
	if (r == -EPERM || r == -EACCES)
		complain("%s: only root and members of the policy group may do this", path);
	else
		complain("%s: %s", path, strerror(-r));
	return EXIT_CODE_FAILED;
}

static int resume(const char *path)
{
	_cleanup_(json_decrefp) json_t *status = NULL;
	_cleanup_(freep) char *why = NULL, *safe = text_safe(path);
	bool was;
	int r = attribute_status(path, &status, &why);

	if (r < 0) {
		complain("%s", why ? why : path);
		return EXIT_CODE_FAILED;
	}
	was = is_quarantined(status);
	if (was)
		r = attribute_write(path, "resume", "1");
	if (r < 0)
		return fail(path, r);
	printf("%s: %s\n", safe ? safe : "?", was ? "resumed" : "is not in quarantine");
	return EXIT_CODE_OK;
}

static int resume_run(int argc, char **argv)
{
	int code = EXIT_CODE_OK, c;

	optind = 0;
	while ((c = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
		if (c == 'h')
			return print_help(&command_resume);
		return option_error(&command_resume, argc, argv);
	}
	if (optind == argc)
		return usage_error(&command_resume, "resume takes a PATH or more");
	for (; optind < argc; optind++)
		if (resume(argv[optind]) != EXIT_CODE_OK)
			code = EXIT_CODE_FAILED;
	return code;
}

const struct command command_resume = {
	.name = "resume",
	.summary = "let disks that are in quarantine be used again",
	.help = help,
	.run = resume_run,
};
