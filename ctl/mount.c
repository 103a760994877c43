/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/mount.c - weir mount: check what can be checked, then become weir-holder.
 *
 * weir-holder returns when the mount is usable (or says why not), unless -f keeps it here.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/command.h"
#include "ctl/options.h"
#include "ctl/start.h"

static const char help[] =
	"Usage: weir mount [-f] [-o OPTION[,OPTION]...] DATASTORE MOUNTPOINT\n"
	"Show the directory DATASTORE at MOUNTPOINT, with policies at work on its disks.\n"
	"Returns when the mount can be used. Only root can do it.\n"
	"\n"
	"  -f, --foreground      stay, and write the log to stderr; Ctrl-C unmounts\n"
	"  -o, --options=LIST    options, separated by commas\n"
	"  -h, --help            this text\n"
	"\n"
	"Options:\n"
	"  ro                    no changes through the mount\n"
	"  passthrough=on|off    disks without a policy go straight to the kernel (default: on,\n"
	"                        where the kernel can)\n"
	"  cache=auto|none       page cache for the disks that pass weir (default: auto)\n"
	"  revalidate=SECONDS    how long the kernel trusts names and attributes: changes behind\n"
	"                        weir's back are seen after that (default: 1)\n"
	"  acl=on|off            off: POSIX ACLs are neither shown nor obeyed\n"
	"  resume=auto|off       off: a daemon that dies takes the mount along, as of other FUSE\n"
	"                        filesystems; auto (default): it is started again, and clients see\n"
	"                        a pause, where the kernel can (Linux 6.9)\n"
	"  threads=N             threads that serve requests, 2 to 64 (default: 48)\n"
	"  disk-threads=N        how many of them one disk may occupy\n"
	"  watchdog=SECONDS      report requests that take longer; 0: never (default: 30)\n"
	"  state=DIR             catalog and caches (default: DATASTORE/.weir/state); must be on\n"
	"                        a local filesystem\n"
	"  policies=DIR          policy files (default: /etc/weir/policies, then the shipped ones)\n"
	"  policy-xattr=user|trusted\n"
	"                        where policies are written: trusted is out of reach of NFS clients\n"
	"  policy-group=GROUP    who may attach policies, beside root\n"
	"  nosuid, nodev, noexec, noatime, nodiratime\n"
	"                        as for every mount\n"
	"\n"
	"Exit codes: 0 mounted; 1 not mounted; 2 the command line is wrong.\n";

static const struct option long_options[] = {
	{"foreground", no_argument, NULL, 'f'},
	{"options", required_argument, NULL, 'o'},
	{"help", no_argument, NULL, 'h'},
	{NULL},
};

static int start(struct start *s, const char *datastore, const char *point)
{
	_cleanup_(mounts_done) struct mounts mounts = {0};
	_cleanup_(freep) char *why = NULL;
	int r;

	r = mounts_read(MOUNTS_FILE, &mounts);
	if (r < 0) {
		complain("cannot read " MOUNTS_FILE ": %s", strerror(-r));
		return EXIT_CODE_FAILED;
	}
	r = start_check(s, datastore, point, &mounts, &why);
	if (r == 0) {
		r = start_exec(s);
		complain("cannot run %s: %s", s->holder, strerror(-r));
	} else {
		complain("%s", why ? why : strerror(-r));
	}
	return EXIT_CODE_FAILED;
}

static int mount_run(int argc, char **argv)
{
	_cleanup_(start_done) struct start s = {0};
	_cleanup_(freep) char *why = NULL;
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, ":fo:h", long_options, NULL)) != -1) {
		switch (c) {
		case 'f':
			s.foreground = true;
			break;
		case 'o':
			if (options_add(optarg, OPTIONS_STRICT, &s.options, &why) < 0)
				return usage_error(&command_mount, "%s", why ? why : optarg);
			break;
		case 'h':
			return print_help(&command_mount);
		default:
			return option_error(&command_mount, argc, argv);
		}
	}
	if (argc - optind != 2)
		return usage_error(&command_mount, "mount takes a DATASTORE and a MOUNTPOINT");
	return start(&s, argv[optind], argv[optind + 1]);
}

const struct command command_mount = {
	.name = "mount",
	.summary = "show a datastore at a mount point",
	.help = help,
	.run = mount_run,
};
