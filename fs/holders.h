/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/holders.h - which processes have a file of the mount open. */
#ifndef FS_HOLDERS_H
#define FS_HOLDERS_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

/* Look through /proc for descriptors and mappings of the file @ino on device @device, and on
 * @backing (those who go around us).  A JSON array of {"pid", "command"}, at most 16; what
 * cannot be looked at is left out.  Asks no filesystem (AT_STATX_DONT_SYNC): safe in a FUSE
 * callback. */
json_t *holders_find(dev_t device, dev_t backing, ino_t ino);

#endif
