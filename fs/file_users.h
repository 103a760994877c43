/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/file_users.h - which processes have a file of the mount open. */
#ifndef FS_FILE_USERS_H
#define FS_FILE_USERS_H

#include <jansson.h>
#include <sys/types.h>

struct broker_client;

/* Have the broker look through /proc for descriptors and mappings of the file @ino on device
 * @device, and on @backing (those who go around us).  A JSON array of {"pid", "command"}, at most
 * 16; what cannot be looked at is left out, and the array is empty when the broker does not
 * answer.  Asks no filesystem: safe in a FUSE callback. */
json_t *file_users_find(struct broker_client *broker, dev_t device, dev_t backing, ino_t ino);

#endif
