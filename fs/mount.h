/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/mount.h - the mount itself: /dev/fuse, mount(2), and the device number.
 *
 * Done by hand and not by libfuse, since later another process (the holder) does it and keeps the
 * descriptor.
 */
#ifndef FS_MOUNT_H
#define FS_MOUNT_H

#include <sys/types.h>

#include "fs/options.h"

/* Mount with source @datastore; the mount is answered by whoever reads *ret_fd.  @device is the
 * number it should get (0: any); *ret_device is the one it got. */
int mount_datastore(const struct options *o, const char *datastore, dev_t device, int *ret_fd,
		    dev_t *ret_device);

/* @lazy: out of sight at once, gone when the last user closes.  -EBUSY: what lies on top there is
 * another mount, not @device. */
int unmount_datastore(const char *mountpoint, dev_t device, bool lazy);


#endif
