/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/helper.h - run weir-recognise over one file and take its answer.
 *
 * The helper gets the file as descriptor 0, a pipe as descriptor 1, nothing else: no environment,
 * no other descriptor.  What it prints is bounded in size and time; it is killed when it exceeds
 * them, and always reaped before the call returns.
 * Threads    any; starts with posix_spawn, which is safe in a process with threads.
 */
#ifndef FS_HELPER_H
#define FS_HELPER_H

#define HELPER_SECONDS	  5
#define HELPER_OUTPUT_MAX (2u << 20)

/* @program is its path, @fd a descriptor opened for reading only.  *ret is what it printed, a
 * malloc'ed string.  On failure *ret_why is a malloc'ed part of a sentence (or NULL).
 *
 * -EIO        it died, failed, or printed nothing or too much
 * -ETIMEDOUT  it took too long
 * or what the system said */
int helper_run(const char *program, int fd, char **ret, char **ret_why);

#endif
