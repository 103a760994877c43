/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/broker.h - the worker's way to ask weir-broker (fs/broker_wire.h).
 *
 * The worker is confined before it serves: no CAP_SYS_ADMIN, no exec, nothing of /proc but what
 * Landlock leaves.  The broker is not, and does these few things for it.
 *
 * Threads    any; one question at a time.  The lock is held over the round trip, which is an
 *            exception (docs/locking.md, C): answers come in the order of questions.
 * Errors     of all calls: -EIO, the broker is gone or silent (logged once; the worker goes on,
 *            and the holder starts both again when the broker has died); -ETIMEDOUT: it did not
 *            answer in 5 s.
 */
#ifndef FS_BROKER_H
#define FS_BROKER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/broker_wire.h"

struct broker_client;
struct handle;

/* @socket becomes the client's.  Tells the broker which directory is the datastore. */
int broker_client_new(int socket, int datastore_fd, struct broker_client **ret);
void broker_client_free(struct broker_client *b); /* accepts NULL; the broker ends */

/* Called, in whatever thread notices, when the broker is gone, before anybody gets -EIO for that.
 */
void broker_client_on_loss(struct broker_client *b, void (*on_loss)(void *data), void *data);

/* As getxattr, setxattr, removexattr and listxattr for the file of @fd, which may be O_PATH, but
 * negative errnos.  Names in trusted.* and security.* only (-EPERM).
 *
 * -EACCES  the file does not lie beneath the datastore, or the kernel has forgotten its name
 *          (fs/reconnect.h finds it again) */
ssize_t broker_getxattr(struct broker_client *b, int fd, const char *name, void *ret, size_t size);
int broker_setxattr(struct broker_client *b, int fd, const char *name, const void *value,
		    size_t size, int flags);
int broker_removexattr(struct broker_client *b, int fd, const char *name);
ssize_t broker_listxattr(struct broker_client *b, int fd, char *ret, size_t size);

/* Have the kernel remember the ancestors of the directory of @h.  -ESTALE: there is none. */
int broker_connect(struct broker_client *b, const struct handle *h);

/* Who has the file open: lines "PID COMMAND\n".  *ret is malloc'ed. */
int broker_file_users(struct broker_client *b, dev_t device, dev_t backing, ino_t ino, char **ret);

/* Start @program with @in and @out as descriptors 0 and 1.  *ret_status is the caller's: a struct
 * broker_exit comes out of it when the program has ended, or end of file when the broker died. */
int broker_run(struct broker_client *b, enum broker_program program, int in, int out,
	       uint32_t limit_ms, int *ret_status);

#endif
