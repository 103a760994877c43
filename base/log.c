/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/log.c - see base/log.h.
 *
 * Not syslog(3): that waits for as long as the log's reader does not read, and a request, or the
 * holder, would wait with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"

static _Atomic int log_level = LOG_LEVEL_NOTICE;
static _Atomic int log_syslog;
static _Atomic int log_socket = -1; /* the number stays when it is connected anew */
static _Atomic unsigned log_lost;   /* lines since the last one that was taken */
static const char *_Atomic log_name = "weir";

static const int syslog_priority[] = {
	[LOG_LEVEL_ERROR] = LOG_ERR,
	[LOG_LEVEL_WARNING] = LOG_WARNING,
	[LOG_LEVEL_NOTICE] = LOG_NOTICE,
	[LOG_LEVEL_DEBUG] = LOG_DEBUG,
};

static int connected(void)
{
	static const struct sockaddr_un where = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && connect(fd, (const struct sockaddr *)&where, sizeof where) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Several threads may do it at once: one of their sockets stays. */
static bool connect_again(void)
{
	int fd = connected(), old = log_socket;

	if (fd < 0)
		return false;
	if (old >= 0) {
		dup3(fd, old, O_CLOEXEC);
		close(fd);
	} else if (!atomic_compare_exchange_strong(&log_socket, &old, fd)) {
		close(fd);
	}
	return true;
}

void log_connect(const char *name)
{
	log_name = name;
	connect_again();
}

void log_to_syslog(const char *name)
{
	log_name = name;
	if (log_socket < 0)
		connect_again();
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

static bool send_packet(int priority, const char *line)
{
	char packet[1200];
	int n = snprintf(packet, sizeof packet, "<%d>%s[%d]: %s", LOG_DAEMON | priority, log_name,
			 (int)getpid(), line);

	return send(log_socket, packet, (size_t)n, MSG_NOSIGNAL) == n;
}

/* A log that was started anew has another socket.  One that does not read gets no more. */
static void to_system(enum log_level level, const char *line)
{
	char text[64];
	unsigned lost;

	if (!send_packet(syslog_priority[level], line) &&
	    (errno == EAGAIN || !connect_again() ||
	     !send_packet(syslog_priority[level], line))) {
		log_lost++;
		return;
	}
	lost = atomic_exchange(&log_lost, 0);
	if (!lost)
		return;
	snprintf(text, sizeof text, "%u lines before this one were lost", lost);
	send_packet(LOG_WARNING, text);
}

/* It may be a pipe or socket that nobody reads. */
static void to_stderr(const char *line, size_t n)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

	if (poll(&p, 1, 0) <= 0 || !(p.revents & POLLOUT))
		return;
	if (write(STDERR_FILENO, line, n) < 0)
		return; /* nobody is left to tell */
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
		to_system(level, line);
		return;
	}
	n = strlen(line);
	line[n++] = '\n';
	to_stderr(line, n);
}
