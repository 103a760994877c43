/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/notify.h - words to systemd: see sd_notify(3), which is not used because libc is enough.
 *
 * Every call does nothing when there is no systemd to tell (no NOTIFY_SOCKET at the start).  The
 * variables that systemd set are taken out of the environment: what we start is not a service.
 */
#ifndef FS_NOTIFY_H
#define FS_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>

/* Read the environment.  True: there is a systemd to tell. */
bool notify_start(void);

/* Tell @text: assignments, one a line. */
void notify_state(const char *text);

/* Have systemd keep a copy of @fd under @name, or forget the one it has.  What could not be said is
 * a negative errno, and logged; -ENOTCONN: there is nobody to tell. */
int notify_store(const char *name, int fd);
void notify_store_remove(const char *name);

/* The descriptors that systemd gave us back: ret_fds[i] is the one stored under names[i], or -1.
 * They are the caller's; others are closed.  How many of the names were found. */
size_t notify_take(const char *const names[], size_t n, int ret_fds[]);

#endif
