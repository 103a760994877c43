/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/held.h - the holder, as the worker sees it (fs/wire.h is what they say).
 *
 * The holder keeps what must outlive the worker: the mount, /dev/fuse, the slate, the ledger, and
 * the backing ids of files that are open past us.  When it dies the worker goes on serving, and
 * whatever needs the holder answers -EPIPE.
 *
 * Threads    any.  One question at a time: a lock is held over the round trip, which waits for
 *            the holder alone and never for the backing store (docs/locking.md).
 */
#ifndef FS_HELD_H
#define FS_HELD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/ledger.h"

struct held;

/* Take over the descriptors that the holder gave.  -ENOTCONN: there is no holder. */
int held_new(struct held **ret);
void held_free(struct held *h);

const struct ledger *held_ledger(const struct held *h);
int held_control(const struct held *h); /* hangs up at its end: the holder is gone */
bool held_alone(const struct held *h);	/* it is */

/* Mount, trying to get the device number @wanted (0: any). */
int held_mount(struct held *h, dev_t wanted, dev_t *ret);

/* Requests are served from now on.  @r: -EOPNOTSUPP when the kernel cannot send requests again, so
 * that nobody can go on after us. */
int held_ready(struct held *h, int r);

/* The backing id for the open slot @slot: of the file @fd, or a negative errno. */
int held_backing_open(struct held *h, uint32_t slot, int fd);
int held_backing_close(struct held *h, uint32_t slot);

#endif
