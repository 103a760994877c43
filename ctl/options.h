/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/options.h - the options of a mount, checked before a daemon is started.
 *
 * Two kinds of caller: `weir mount`, where an unknown option is a mistake, and mount(8) with
 * what stands in /etc/fstab, where x-systemd.automount, nofail and their like are for others.
 *
 * What comes out is what weir-worker gets: its own options and the mount flags (nosuid, nodev,
 * noexec, noatime, ro ...), each checked, paths made absolute (the worker changes its
 * directory), everything that is the default anyway left out.
 */
#ifndef CTL_OPTIONS_H
#define CTL_OPTIONS_H

#include <stdbool.h>

enum options_mode {
	OPTIONS_STRICT = 0,
	OPTIONS_FSTAB = 1,  /* drop what is meant for mount(8), systemd and their like */
	OPTIONS_SLOPPY = 3, /* mount -s: as FSTAB, and drop unknown ones, too */
};

/* Check @text (options separated by commas, may be "" or NULL) and append the result to *list,
 * a malloc'ed string or NULL.  -EINVAL: *ret_why says which option is wrong and what is right. */
int options_add(const char *text, enum options_mode mode, char **list, char **ret_why);

/* The value of the option @name in a list, malloc'ed; NULL when it is not there. */
char *options_value(const char *list, const char *name);

#endif
