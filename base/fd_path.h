/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/fd_path.h - "/proc/self/fd/N": a path of the very file, for calls that take no descriptor,
 * or not one opened with O_PATH.
 */
#ifndef BASE_FD_PATH_H
#define BASE_FD_PATH_H

#include <stdio.h>

struct fd_path {
	char text[32];
};

static inline struct fd_path fd_path(int fd)
{
	struct fd_path p;

	snprintf(p.text, sizeof p.text, "/proc/self/fd/%d", fd);
	return p;
}

#endif
