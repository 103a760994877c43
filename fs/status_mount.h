/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/status_mount.h - how the mount itself does: its processes and what became of those before.
 *
 *     {"holder": 100, "worker": 123, "broker": 122, "starts": 3, "upgrades": 1, "ready": "TIME",
 *      "last": {"end": "TIME", "why": "was killed by signal 9 (Killed)", "pause_ms": 12.3}}
 *
 * holder is null when it is gone; last is absent for the first worker.
 */
#ifndef FS_STATUS_MOUNT_H
#define FS_STATUS_MOUNT_H

#include <jansson.h>

#include "fs/fs.h"

json_t *status_of_mount(struct fs *fs);

/* How a worker ended, from waitpid's status: "was killed by signal 9 (Killed)". */
void status_of_end(int status, char *ret, size_t size);

#endif
