/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/main.c - the weir command: finds the subcommand and runs it.
 *
 * Called by the name mount.weir it is mount(8)'s helper instead.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ctl/command.h"
#include "ctl/text.h"

const struct command *const commands[] = {
	&command_mount, &command_umount, &command_status, &command_policy,
	&command_check, &command_events, &command_upgrade, &command_resume, NULL,
};

static const char usage[] = "Usage: weir COMMAND [OPTION]... [ARGUMENT]...\n"
			    "Data services for the virtual disks of a datastore directory.\n"
			    "\n"
			    "Commands:\n";

static const char usage_tail[] =
	"\n"
	"  weir COMMAND --help   what a command takes and does\n"
	"  weir --version        which weir this is\n"
	"\n"
	"Exit codes: 0 done and well; 1 it failed, or something is not well; 2 the command\n"
	"line is wrong. `weir check' has its own, see `weir check --help'.\n"
	"\n"
	"Manual: weir(1), weir-policy(5), mount.weir(8)\n";

static int print_usage(FILE *to)
{
	fputs(usage, to);
	for (const struct command *const *c = commands; *c; c++)
		fprintf(to, "  %-8s %s\n", (*c)->name, (*c)->summary);
	fputs(usage_tail, to);
	return EXIT_CODE_OK;
}

static const struct command *find(const char *name)
{
	for (const struct command *const *c = commands; *c; c++)
		if (strcmp((*c)->name, name) == 0)
			return *c;
	return NULL;
}

static int unknown(const char *name)
{
	const char *names[ARRAY_SIZE(commands)] = {0}, *near;

	for (size_t i = 0; commands[i]; i++)
		names[i] = commands[i]->name;
	near = strcmp(name, "unmount") == 0 ? "umount" : text_nearest(name, names);
	if (near)
		complain("there is no command \"%s\": did you mean \"%s\"?", name, near);
	else
		complain("there is no command \"%s\"", name);
	fprintf(stderr, "Try `weir --help'.\n");
	return EXIT_CODE_USAGE;
}

static int run(int argc, char **argv)
{
	const struct command *c;
	const char *name;

	if (argc < 2) {
		print_usage(stderr);
		return EXIT_CODE_USAGE;
	}
	name = argv[1];
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
		printf("weir %s\n", WEIR_VERSION);
		return EXIT_CODE_OK;
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		return print_usage(stdout);

	if (strcmp(name, "help") == 0 && argc > 2)
		c = find(name = argv[2]);
	else if (strcmp(name, "help") == 0)
		return print_usage(stdout);
	else
		c = find(name);
	if (!c)
		return unknown(name);
	return strcmp(argv[1], "help") == 0 ? print_help(c) : c->run(argc - 1, argv + 1);
}

/* A full disk or a closed pipe must not look like success. */
static int flushed(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	if (errno != EPIPE)
		complain("cannot write: %s", strerror(errno));
	return code == EXIT_CODE_OK ? EXIT_CODE_FAILED : code;
}

/* What we open must never become a missing stdin, stdout or stderr. */
static void open_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	closep(&fd);
}

int main(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;

	open_standard();
	text_start();
	if (argc > 0 && strcmp(slash ? slash + 1 : argv[0], "mount.weir") == 0)
		return mount_helper_run(argc, argv);
	return flushed(run(argc, argv));
}
