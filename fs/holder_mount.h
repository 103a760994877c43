/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/holder_mount.h - the mount itself: mount(2), and the device number.
 *
 * Done by hand and not by libfuse: the holder has libc only.
 */
#ifndef FS_HOLDER_MOUNT_H
#define FS_HOLDER_MOUNT_H

#include <sys/types.h>

#include "fs/options.h"

/* Mount with source o->datastore; requests are read from @fd, an open /dev/fuse.  @device is the
 * number it should get (0: any); *ret_device is the one it got. */
int mount_datastore(const struct options *o, int fd, dev_t device, dev_t *ret_device);

/* @lazy: out of sight at once, gone when the last user closes.  -EBUSY: what lies on top there is
 * another mount, not @device. */
int unmount_datastore(const char *mountpoint, dev_t device, bool lazy);

/* The device number at @mountpoint, without asking the daemon, which may not answer.  0: none. */
dev_t mount_device(const char *mountpoint);

#endif
