/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/helper.h - have weir-recognise look at one file and take its answer.
 *
 * The broker starts it (fs/broker.h), with the file as descriptor 0, a pipe as descriptor 1 and
 * nothing else of ours.  What it prints is bounded in size and time; it is killed when it exceeds
 * its time, and by SIGPIPE when it says too much.
 * Threads    any.
 */
#ifndef FS_HELPER_H
#define FS_HELPER_H

#define HELPER_SECONDS	  5
#define HELPER_OUTPUT_MAX (2u << 20)

struct broker_client;

/* @fd is a descriptor opened for reading only.  *ret is what it printed, a malloc'ed string.  On
 * failure *ret_why is a malloc'ed part of a sentence (or NULL).
 *
 * -ENOENT     the program is not where it should be
 * -EIO        it died, failed, or printed nothing or too much
 * -ETIMEDOUT  it took too long
 * or what the system said */
int helper_run(struct broker_client *broker, int fd, char **ret, char **ret_why);

#endif
