/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/start.h - everything between the words of a user and the start of weir-holder. */
#ifndef CTL_START_H
#define CTL_START_H

#include <stdbool.h>

#include "ctl/mounts.h"

struct start {
	char *datastore; /* absolute, symlinks resolved */
	char *point;	 /* likewise */
	char *options;	 /* checked, NULL: none */
	char *holder;	 /* path of weir-holder */
	bool foreground;
};

void start_done(struct start *s); /* frees the contents */

/* Resolve and check @datastore and @point against each other and @mounts.  s->options is set
 * already.  -EINVAL, -EBUSY, -EPERM, -ENOENT, -ENOTDIR: *ret_why says what is wrong. */
int start_check(struct start *s, const char *datastore, const char *point,
		const struct mounts *mounts, char **ret_why);

/* Become weir-holder.  Returns only when that fails, with a negative errno. */
int start_exec(const struct start *s);

#endif
