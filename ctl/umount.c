/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/umount.c - weir umount: end a mount, and wait until its daemon has ended, too.
 *
 * The wait matters: the datastore's lock is free only then, and the backing files are closed.
 */
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/datastore.h"
#include "ctl/command.h"
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

/* A descriptor of the process that holds the datastore's lock file; -1: none that we can see.
 * The file may be an old one: then its number is most likely nobody's, or not a worker's. */
static int worker_open(const char *datastore)
{
	_cleanup_(freep) char *path = NULL;
	_cleanup_(closep) int fd = -1;
	char text[32], comm[32] = "";
	ssize_t n;
	int pid;

	if (asprintf(&path, "%s/" WEIR_DIRECTORY "/lock", datastore) < 0) {
		path = NULL;
		return -1;
	}
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (n <= 0)
		return -1;
	text[n] = 0;
	pid = atoi(text);
	closep(&fd);

	snprintf(text, sizeof text, "/proc/%d/comm", pid);
	fd = open(text, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, comm, sizeof comm - 1) <= 0 || strncmp(comm, "weir-", 5) != 0)
		return -1;
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

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

static int wait_for(int worker)
{
	struct pollfd p = {.fd = worker, .events = POLLIN};

	if (worker < 0)
		return EXIT_CODE_OK;
	if (poll(&p, 1, WAIT_MS) > 0)
		return EXIT_CODE_OK;
	complain("unmounted, but the daemon still runs after %d seconds", WAIT_MS / 1000);
	return EXIT_CODE_FAILED;
}

/* By its name, which works for a dead mount, too, or through a symlink to it. */
static const struct weir_mount *find(const char *path, const struct mounts *mounts)
{
	_cleanup_(freep) char *absolute = NULL, *resolved = NULL;
	const struct weir_mount *m = NULL;

	if (mounts_absolute(path, &absolute) == 0)
		m = mounts_find_point(mounts, absolute);
	if (!m)
		resolved = realpath(path, NULL);
	return resolved ? mounts_find_point(mounts, resolved) : m;
}

static int umount_one(const char *path, const struct mounts *mounts, bool lazy)
{
	_cleanup_(closep) int worker = -1;
	const struct weir_mount *m;

	m = find(path, mounts);
	if (!m) {
		complain("%s is not a weir mount", path);
		return EXIT_CODE_FAILED;
	}
	worker = worker_open(m->source);
	if (umount2(m->point, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0)
		return lazy ? EXIT_CODE_OK : wait_for(worker);

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
