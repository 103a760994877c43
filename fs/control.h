/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/control.h - weir's own xattrs: the filesystem is the interface (DESIGN section 7).
 *
 * Names: user.weir.policy, .status, .compliance, .stats, .plan.NAME, .events.SEQ, .apply,
 * .resume; docs:
 * weir(1).  None of them is ever listed: backup tools would copy them.
 */
#ifndef FS_CONTROL_H
#define FS_CONTROL_H

#include "fs/fs.h"

/* True when @name belongs to weir, so the backing file's xattr is never asked. */
bool control_owns(const char *name);

/* The value as malloc'ed text, or a negative errno (-ENODATA: no such thing here). */
int control_get(fuse_req_t req, struct node *node, const char *name, char **ret, size_t *ret_len);
int control_set(fuse_req_t req, struct node *node, const char *name, const char *value,
		size_t size);
int control_remove(fuse_req_t req, struct node *node, const char *name);

#endif
