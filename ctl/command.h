/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/command.h - what the subcommands of weir have in common.
 *
 * A subcommand is one file with one struct command; ctl/main.c has the table of them.  run gets
 * argv with argv[0] being the subcommand's name, and returns an exit code.
 *
 * Everything for people goes through complain() or text_safe() (ctl/text.h): file names come
 * from guests and may hold anything.
 */
#ifndef CTL_COMMAND_H
#define CTL_COMMAND_H

enum exit_code {
	EXIT_CODE_OK = 0,
	EXIT_CODE_FAILED = 1, /* it was tried, or looked at, and is not well */
	EXIT_CODE_USAGE = 2,  /* the command line is wrong; nothing was done */
};

struct command {
	const char *name;
	const char *summary; /* half a line, for `weir --help` */
	const char *help;    /* whole text of `weir NAME --help`, ends with a newline */
	int (*run)(int argc, char **argv);
};

extern const struct command command_mount, command_umount, command_status, command_policy,
	command_check, command_events, command_upgrade, command_resume;

/* The table, ended by NULL. */
extern const struct command *const commands[];

/* One line on stderr, "weir: " in front, control characters escaped. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* complain(), the way to the help, and EXIT_CODE_USAGE. */
int usage_error(const struct command *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* `--help` was given: the text to stdout, and EXIT_CODE_OK. */
int print_help(const struct command *c);

/* What getopt_long returns '?' or ':' for, as a sentence, and EXIT_CODE_USAGE. */
int option_error(const struct command *c, int argc, char **argv);

/* Run as mount(8)'s helper: mount.weir SOURCE DIRECTORY [-sfnv] [-o OPTIONS]. */
int mount_helper_run(int argc, char **argv);

#endif
