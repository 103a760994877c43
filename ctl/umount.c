/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/umount.c - weir umount: end a mount, and wait until its daemon has ended, too.
 *
 * The wait matters: the datastore's lock is free only then, and the backing files are closed.
 */
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "base/cleanup.h"
#include "ctl/command.h"
#include "ctl/daemon.h"
#include "ctl/holders.h"
#include "ctl/mounts.h"

#define WAIT_MS	    60000 /* for the daemon to finish what is in flight */
#define HOLDERS_MAX 20	  /* lines */

static const char help[] =
	"Usage: weir umount [-l] MOUNTPOINT...\n"
	"End mounts, and wait until their daemons have ended.\n"
	"\n"
	"  -l, --lazy   take the mount away now; the daemon ends when nobody uses it any more\n"
	"               (not waited for)\n"
	"  -h, --help   this text\n"
	"\n"
	"Exit codes: 0 unmounted; 1 not; 2 the command line is wrong.\n";

static const struct option long_options[] = {
	{"lazy", no_argument, NULL, 'l'},
	{"help", no_argument, NULL, 'h'},
	{NULL},
};

static void say_who_holds(const char *point)
{
	_cleanup_(freep) struct holder *list = NULL;
	size_t n = 0;

	if (holders_find(point, &list, &n) < 0 || n == 0) {
		complain("%s is busy, but no process seen here uses it: look for a mount or loop "
			 "device on it, or an NFS export of it",
			 point);
		return;
	}
	complain("%s is busy:", point);
	for (size_t i = 0; i < n && i < HOLDERS_MAX; i++)
		complain("    process %d (%s) uses %s", (int)list[i].pid, list[i].command,
			 list[i].path);
	if (n > HOLDERS_MAX)
		complain("    and %zu more", n - HOLDERS_MAX);
	complain("end them, or use `weir umount -l'");
}

/* The holder ends after its worker; a worker whose holder died has nobody to wait for but us. */
static int last_to_end(const struct weir_mount *m)
{
	_cleanup_(closep) int connection = daemon_connect(m);
	pid_t pid;

	return connection < 0 ? daemon_worker(m->source, &pid) : daemon_holder(connection);
}

static int wait_for(int process)
{
	struct pollfd p = {.fd = process, .events = POLLIN};

	if (process < 0)
		return EXIT_CODE_OK;
	if (poll(&p, 1, WAIT_MS) > 0)
		return EXIT_CODE_OK;
	complain("unmounted, but the daemon still runs after %d seconds", WAIT_MS / 1000);
	return EXIT_CODE_FAILED;
}

static int umount_one(const char *path, const struct mounts *mounts, bool lazy)
{
	_cleanup_(closep) int process = -1;
	const struct weir_mount *m;

	m = mounts_find_path(mounts, path);
	if (!m) {
		complain("%s is not a weir mount", path);
		return EXIT_CODE_FAILED;
	}
	process = last_to_end(m);
	if (umount2(m->point, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0)
		return lazy ? EXIT_CODE_OK : wait_for(process);

	if (errno == EBUSY)
		say_who_holds(m->point);
	else
		complain("cannot unmount %s: %s", m->point, strerror(errno));
	return EXIT_CODE_FAILED;
}

static int umount_run(int argc, char **argv)
{
	int c, code = EXIT_CODE_OK;
	bool lazy = false;

	optind = 0;
	while ((c = getopt_long(argc, argv, ":lh", long_options, NULL)) != -1) {
		if (c == 'h')
			return print_help(&command_umount);
		if (c != 'l')
			return option_error(&command_umount, argc, argv);
		lazy = true;
	}
	if (optind == argc)
		return usage_error(&command_umount, "umount takes a MOUNTPOINT");

	for (; optind < argc; optind++) {
		_cleanup_(mounts_done) struct mounts mounts = {0};

		if (mounts_read(MOUNTS_FILE, &mounts) < 0 ||
		    umount_one(argv[optind], &mounts, lazy) != EXIT_CODE_OK)
			code = EXIT_CODE_FAILED;
	}
	return code;
}

const struct command command_umount = {
	.name = "umount",
	.summary = "end a mount and wait for its daemon",
	.help = help,
	.run = umount_run,
};
