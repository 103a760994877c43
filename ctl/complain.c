/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/complain.c - errors and help on the terminal: see ctl/command.h. */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "ctl/command.h"
#include "ctl/text.h"

__attribute__((format(printf, 1, 0)))
static void complain_list(const char *format, va_list ap)
{
	_cleanup_(freep) char *text = NULL, *safe = NULL;

	if (vasprintf(&text, format, ap) < 0) {
		text = NULL;
		return;
	}
	safe = text_safe(text);
	fprintf(stderr, "weir: %s\n", safe ? safe : "out of memory");
}

void complain(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	complain_list(format, ap);
	va_end(ap);
}

int usage_error(const struct command *c, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	complain_list(format, ap);
	va_end(ap);
	fprintf(stderr, "Try `weir %s --help'.\n", c->name);
	return EXIT_CODE_USAGE;
}

int print_help(const struct command *c)
{
	fputs(c->help, stdout);
	return EXIT_CODE_OK;
}

int option_error(const struct command *c, int argc, char **argv)
{
	const char *word = optind > 0 && optind <= argc ? argv[optind - 1] : "";

	/* getopt gives the letter of a short option, and nothing for a long one. */
	if (optopt > 0 && optopt < 128 && word[0] == '-' && word[1] != '-')
		return usage_error(c, "unknown option or missing value: -%c", optopt);
	return usage_error(c, "unknown option or missing value: %s", word);
}
