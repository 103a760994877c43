/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/holders.h - which processes use files below a directory.
 *
 * Reads /proc only, by names: no file of the mount is touched, so a mount whose daemon is gone
 * does not hang us.  Sees the processes that the caller may look into (root: all).
 */
#ifndef CTL_HOLDERS_H
#define CTL_HOLDERS_H

#include <stddef.h>
#include <sys/types.h>

struct holder {
	pid_t pid;
	char command[32]; /* as the kernel names it */
	char path[256];	  /* one file or directory it uses, cut if longer */
};

/* Processes with an open file, a mapping, or their current or root directory at or below the
 * absolute path @directory, by pid.  *ret is malloc'ed. */
int holders_find(const char *directory, struct holder **ret, size_t *ret_n);

#endif
