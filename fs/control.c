/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/control.c - see fs/control.h. */
#include <string.h>

#include "fs/control.h"
#include "fs/events.h"

bool control_owns(const char *name)
{
	return !strncmp(name, "user.weir.", 10) || !strncmp(name, "trusted.weir.", 13);
}

int control_get(fuse_req_t req, struct node *node, const char *name, char **ret, size_t *ret_len)
{
	return -ENODATA;
}

int control_set(fuse_req_t req, struct node *node, const char *name, const char *value, size_t size)
{
	return -EPERM;
}

int control_remove(fuse_req_t req, struct node *node, const char *name)
{
	return -EPERM;
}
