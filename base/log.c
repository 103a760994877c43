/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/log.c - see base/log.h. */
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

static _Atomic int log_level = LOG_LEVEL_NOTICE;
static _Atomic int log_syslog;

static const int syslog_priority[] = {
	[LOG_LEVEL_ERROR] = LOG_ERR,
	[LOG_LEVEL_WARNING] = LOG_WARNING,
	[LOG_LEVEL_NOTICE] = LOG_NOTICE,
	[LOG_LEVEL_DEBUG] = LOG_DEBUG,
};

void log_connect(const char *name)
{
	tzset(); /* /etc/localtime is out of reach, too */
	openlog(name, LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void log_to_syslog(const char *name)
{
	openlog(name, LOG_PID, LOG_DAEMON);
	log_syslog = 1;
}

void log_set_level(enum log_level level)
{
	log_level = level;
}

/* A name with a newline must not become a second, invented line. */
static void escape_controls(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
}

void log_line(enum log_level level, const char *format, ...)
{
	char line[1024];
	va_list ap;
	size_t n = 0;

	if ((int)level > log_level)
		return;

	va_start(ap, format);
	if (!log_syslog && level <= LOG_LEVEL_WARNING)
		n = (size_t)snprintf(line, sizeof line, "%s: ",
				     level == LOG_LEVEL_ERROR ? "error" : "warning");
	vsnprintf(line + n, sizeof line - 1 - n, format, ap);
	va_end(ap);
	escape_controls(line);

	if (log_syslog) {
		syslog(syslog_priority[level], "%s", line);
		return;
	}
	n = strlen(line);
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0)
		return; /* nobody is left to tell */
}
