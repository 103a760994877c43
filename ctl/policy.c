/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/policy.c - weir policy: finds which of its parts is meant. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/command.h"
#include "ctl/policy.h"
#include "ctl/text.h"

static const char help[] =
	"Usage: weir policy list  [--policies=DIR]\n"
	"       weir policy show  [--policies=DIR] [--json] NAME\n"
	"       weir policy check [--policies=DIR] FILE|NAME...\n"
	"       weir policy set   [--dry-run] NAME PATH...\n"
	"       weir policy clear [--dry-run] PATH...\n"
	"       weir policy apply [PATH]...\n"
	"Look at policies, and attach them to disks, VMs (their .vmx) and directories.\n"
	"\n"
	"  list    the policies there are\n"
	"  show    what a policy promises\n"
	"  check   read policies and say what is wrong in them: file, line, key\n"
	"  set     attach a policy; a directory's is for all that is and comes below it, and a\n"
	"          nearer one wins\n"
	"  clear   take an object's own policy away (one from above it counts again)\n"
	"  apply   bring disks up to the current version of their policies (default: all mounts)\n"
	"\n"
	"  -n, --dry-run       say what would change, what it needs and who is in the way\n"
	"  -p, --policies=DIR  look for policy files there, and only there\n"
	"  -j, --json          as JSON\n"
	"  -h, --help          this text\n"
	"\n"
	"Policy files are described in weir-policy(5).\n"
	"Exit codes: 0 done; 1 refused, or a file is wrong; 2 the command line is wrong.\n";

static const struct part {
	const char *name;
	int (*run)(int argc, char **argv);
} parts[] = {
	{"list", policy_list_run}, {"show", policy_show_run},	{"check", policy_check_run},
	{"set", policy_set_run},   {"clear", policy_clear_run}, {"apply", policy_apply_run},
};

static int unknown(const char *name)
{
	const char *names[ARRAY_SIZE(parts) + 1] = {0}, *near;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		names[i] = parts[i].name;
	near = text_nearest(name, names);
	if (near)
		return usage_error(&command_policy,
				   "there is no \"policy %s\": did you mean \"%s\"?", name, near);
	return usage_error(&command_policy, "there is no \"policy %s\"", name);
}

static int policy_run(int argc, char **argv)
{
	if (argc < 2)
		return usage_error(&command_policy, "policy takes list, show, check, set, clear or "
						    "apply");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return print_help(&command_policy);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (strcmp(argv[1], parts[i].name) == 0)
			return parts[i].run(argc - 1, argv + 1);
	return unknown(argv[1]);
}

const struct command command_policy = {
	.name = "policy",
	.summary = "look at policies, attach, clear and apply them",
	.help = help,
	.run = policy_run,
};
