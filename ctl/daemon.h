/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/daemon.h - the processes behind a mount: its holder, and the worker that the holder keeps.
 *
 * None of this touches the mount: it works for one that nobody serves at the moment.
 */
#ifndef CTL_DAEMON_H
#define CTL_DAEMON_H

#include <stddef.h>
#include <sys/types.h>

#include "ctl/mounts.h"

/* A pidfd of the process that holds the datastore's lock file, and its pid; -ESRCH: none that can
 * be seen. */
int daemon_worker(const char *datastore, pid_t *ret);

/* A connection to the holder of @m.  -ECONNREFUSED, -ENOENT: there is none. */
int daemon_connect(const struct weir_mount *m);

/* A pidfd of the holder at the other end of @connection. */
int daemon_holder(int connection);

/* Ask @connection for @what, and wait @timeout_ms for the answer: one line.  -ETIME: none came. */
int daemon_ask(int connection, const char *what, int timeout_ms, char *ret, size_t size);

#endif
