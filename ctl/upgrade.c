/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/upgrade.c - weir upgrade: the installed programs take over a mount that goes on.
 *
 * The holder does it.  Where there is none any more, or it is to be exchanged itself, a new one
 * takes the mount over from the worker, with the options that the worker was started with.
 */
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/paths.h"
#include "ctl/command.h"
#include "ctl/daemon.h"

#define ANSWER_MS 60000
#define GONE_MS	  5000
#define WORDS_MAX 32

static const char help[] =
	"Usage: weir upgrade [--holder] MOUNTPOINT\n"
	"Let the installed version of weir serve a mount, without unmounting it. Open files stay\n"
	"open; who uses them waits for some milliseconds. When the new version does not come up,\n"
	"the old one goes on.\n"
	"\n"
	"  -H, --holder   exchange the process that keeps the mount, too\n"
	"  -h, --help     this text\n"
	"\n"
	"A mount whose holder died, and whose worker serves on, gets a new holder.\n"
	"\n"
	"Exit codes: 0 done; 1 not: the message says which version serves; 2 the command line is\n"
	"wrong.\n";

static const struct option long_options[] = {
	{"holder", no_argument, NULL, 'H'},
	{"help", no_argument, NULL, 'h'},
	{NULL},
};

static int ask(int holder, const char *point)
{
	char text[1000], *rest;
	int r = daemon_ask(holder, "upgrade", ANSWER_MS, text, sizeof text);

	if (r < 0) {
		complain("%s: the holder does not answer: %s", point, strerror(-r));
		return EXIT_CODE_FAILED;
	}
	rest = strchr(text, ' ');
	rest = rest ? rest + 1 : text;
	if (strncmp(text, "ok ", 3) != 0) {
		complain("%s: not upgraded: %s", point, rest);
		return EXIT_CODE_FAILED;
	}
	printf("%s: %s\n", point, rest);
	return EXIT_CODE_OK;
}

/* The worker's words, without its name and what only the holder's start decides. */
static int words_of(pid_t pid, char *text, size_t size, const char **argv, size_t room)
{
	_cleanup_(closep) int fd = -1;
	size_t n = 0;
	ssize_t got;

	snprintf(text, size, "/proc/%d/cmdline", (int)pid);
	fd = open(text, O_RDONLY | O_CLOEXEC);
	got = fd < 0 ? -1 : read(fd, text, size - 1);
	if (got <= 0)
		return -ESRCH;
	text[got] = 0;
	for (char *w = text + strlen(text) + 1; w < text + got; w += strlen(w) + 1) {
		if (n == 0 && (!strcmp(w, "-r") || !strcmp(w, "-f")))
			continue;
		if (n + 1 == room)
			return -E2BIG;
		argv[n++] = w;
	}
	argv[n] = NULL;
	return n >= 2 ? 0 : -EINVAL;
}

/* Become the new holder: returns when it cannot be run. */
static int adopt(const struct weir_mount *m)
{
	_cleanup_(freep) char *program = NULL;
	_cleanup_(closep) int pidfd = -1;
	const char *argv[WORDS_MAX] = {"weir-holder"};
	char text[16384], who[32];
	pid_t pid;
	int r;

	pidfd = daemon_worker(m->source, &pid);
	r = pidfd < 0 ? pidfd : words_of(pid, text, sizeof text, argv + 2, WORDS_MAX - 2);
	if (r == -ESRCH) {
		complain("%s: nobody serves it any more: `weir umount' and `weir mount' it",
			 m->point);
		return EXIT_CODE_FAILED;
	}
	snprintf(who, sizeof who, "--adopt=%d", (int)pid);
	argv[1] = who;
	if (r == 0)
		r = paths_find_program(argv[0], &program);
	if (r == 0) {
		execv(program, (char *const *)argv);
		r = -errno;
	}
	complain("%s: cannot start a holder: %s", m->point, strerror(-r));
	return EXIT_CODE_FAILED;
}

/* systemd would start one more as soon as this one ends: fs/notify.h. */
static bool is_systemds(const struct weir_mount *m)
{
	_cleanup_(closep) int connection = daemon_connect(m);
	char text[1000];

	return connection >= 0 &&
	       daemon_ask(connection, "status", ANSWER_MS, text, sizeof text) == 0 &&
	       strstr(text, " store=1");
}

/* The worker goes on without it. */
static int end_holder(int connection, const char *point)
{
	_cleanup_(closep) int pidfd = daemon_holder(connection);
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	if (pidfd >= 0 && syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == 0 &&
	    poll(&p, 1, GONE_MS) > 0)
		return 0;
	complain("%s: the holder cannot be ended: %s", point, strerror(errno));
	return -EBUSY;
}

static int upgrade(const char *path, bool holder)
{
	_cleanup_(mounts_done) struct mounts mounts = {0};
	_cleanup_(closep) int connection = -1;
	const struct weir_mount *m;

	m = mounts_read(MOUNTS_FILE, &mounts) < 0 ? NULL : mounts_find_path(&mounts, path);
	if (!m) {
		complain("%s is not a weir mount", path);
		return EXIT_CODE_FAILED;
	}
	if (holder && is_systemds(m)) {
		complain("%s: its holder is systemd's: `systemctl restart' its unit, which keeps "
			 "the mount", m->point);
		return EXIT_CODE_FAILED;
	}
	connection = daemon_connect(m);
	if (connection == -EACCES || connection == -EPERM) {
		complain("only root can upgrade %s", m->point);
		return EXIT_CODE_FAILED;
	}
	if (connection < 0)
		return adopt(m);
	if (!holder)
		return ask(connection, m->point);
	return end_holder(connection, m->point) < 0 ? EXIT_CODE_FAILED : adopt(m);
}

static int upgrade_run(int argc, char **argv)
{
	bool holder = false;
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, ":Hh", long_options, NULL)) != -1) {
		if (c == 'h')
			return print_help(&command_upgrade);
		if (c != 'H')
			return option_error(&command_upgrade, argc, argv);
		holder = true;
	}
	if (argc - optind != 1)
		return usage_error(&command_upgrade, "upgrade takes one MOUNTPOINT");
	return upgrade(argv[optind], holder);
}

const struct command command_upgrade = {
	.name = "upgrade",
	.summary = "let the installed version take over a mount",
	.help = help,
	.run = upgrade_run,
};
