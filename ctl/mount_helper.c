/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/mount_helper.c - mount.weir: what mount(8) calls for `mount -t weir` and /etc/fstab.
 *
 * Options that are meant for mount(8) or systemd are dropped; unknown ones are a mistake unless
 * -s (sloppy) is given.  Exit codes are mount(8)'s: 1 wrong invocation, 32 the mount failed.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "ctl/command.h"
#include "ctl/options.h"
#include "ctl/start.h"

enum { MOUNT_EX_USAGE = 1, MOUNT_EX_SYSERR = 2, MOUNT_EX_FAIL = 32 };

struct helper {
	const char *options; /* the last -o: mount(8) gives one */
	bool fake, sloppy, verbose;
};

static int usage(void)
{
	fprintf(stderr, "Usage: mount.weir DATASTORE MOUNTPOINT [-sfnv] [-o OPTIONS]\n");
	return MOUNT_EX_USAGE;
}

/* mount(8) puts the options behind the two names; getopt sorts that out. */
static int arguments(int argc, char **argv, struct helper *h)
{
	int c;

	optind = 0;
	while ((c = getopt(argc, argv, "sfnvo:N:t:")) != -1) {
		switch (c) {
		case 's':
			h->sloppy = true;
			break;
		case 'f':
			h->fake = true;
			break;
		case 'v':
			h->verbose = true;
			break;
		case 'o':
			h->options = optarg;
			break;
		case 'n': /* no /etc/mtab: nobody has one any more */
		case 't': /* the type: weir */
			break;
		default: /* -N too: another mount namespace is entered with nsenter(1) */
			return -EINVAL;
		}
	}
	return argc - optind == 2 ? 0 : -EINVAL;
}

static int run_holder(const struct start *s)
{
	int status, r;
	pid_t pid = fork();

	if (pid < 0)
		return MOUNT_EX_SYSERR;
	if (pid == 0) {
		r = start_exec(s);
		complain("cannot run %s: %s", s->holder, strerror(-r));
		_exit(MOUNT_EX_FAIL);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return MOUNT_EX_SYSERR;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : MOUNT_EX_FAIL;
}

static bool asks_for_remount(const char *options)
{
	for (const char *o = options; o; o = strchr(o, ',') ? strchr(o, ',') + 1 : NULL)
		if (strncmp(o, "remount", 7) == 0 && (o[7] == 0 || o[7] == ','))
			return true;
	return false;
}

int mount_helper_run(int argc, char **argv)
{
	_cleanup_(mounts_done) struct mounts mounts = {0};
	_cleanup_(start_done) struct start s = {0};
	_cleanup_(freep) char *why = NULL;
	struct helper h = {0};

	if (arguments(argc, argv, &h) < 0)
		return usage();
	if (asks_for_remount(h.options)) {
		complain(
			"options of a weir mount cannot change while it is mounted: unmount first");
		return MOUNT_EX_FAIL;
	}
	if (options_add(h.options, h.sloppy ? OPTIONS_SLOPPY : OPTIONS_FSTAB, &s.options, &why) <
	    0) {
		complain("%s", why ? why : "out of memory");
		return MOUNT_EX_USAGE;
	}
	if (mounts_read(MOUNTS_FILE, &mounts) < 0 ||
	    start_check(&s, argv[optind], argv[optind + 1], &mounts, &why) < 0) {
		complain("%s", why ? why : "cannot read " MOUNTS_FILE);
		return MOUNT_EX_FAIL;
	}
	if (h.verbose)
		printf("mount.weir: %s -o %s %s %s\n", s.holder, s.options ? s.options : "defaults",
		       s.datastore, s.point);
	return h.fake ? 0 : run_holder(&s);
}
