/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/log.h - one line per event, to stderr or the system log.
 *
 * The log is the one global of the program.  A line carries what errno cannot: which file, which
 * block, which peer.  Who reports a failure to its caller does not log it as well.
 *
 * Threads    any; a line is written with one write(2) and never torn.
 * Names      file names from guests may hold anything: control characters are escaped here.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level {
	LOG_LEVEL_ERROR,   /* somebody must act */
	LOG_LEVEL_WARNING, /* survived; somebody should look */
	LOG_LEVEL_NOTICE,  /* a change of state an administrator wants to know */
	LOG_LEVEL_DEBUG,   /* off unless asked for */
};

/* Connect to the system log now, for a process that will not be able to later; lines go to stderr
 * still.  @name is kept, not copied. */
void log_connect(const char *name);

/* Send lines to the system log from now on instead of stderr; @name is kept, not copied.  Nobody
 * ever waits for the log: lines that it does not take are lost, and the next one says how many. */
void log_to_syslog(const char *name);

/* Lines above @level are dropped.  The start value is LOG_LEVEL_NOTICE. */
void log_set_level(enum log_level level);

void log_line(enum log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#define log_error(...)   log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
