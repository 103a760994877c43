/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/attributes.h - the xattrs through which the filesystem is asked and told (docs/policies.md).
 *
 * A file is on a weir mount when it has a user.weir.status: nothing is written to a file that
 * has none, so a policy is never "attached" to a file of an ordinary filesystem.
 */
#ifndef CTL_ATTRIBUTES_H
#define CTL_ATTRIBUTES_H

#include <jansson.h>
#include <stdint.h>

/* The value as text, malloc'ed.  -ENODATA, -ENOTSUP: not there; or what getxattr said. */
int attribute_read(const char *path, const char *name, char **ret);
int attribute_read_json(const char *path, const char *name, json_t **ret); /* -EPROTO: no JSON */

/* user.weir.status.  -ENOTSUP: not on a weir mount, and *ret_why (base/why.h) says so; other
 * errors are explained there as well. */
int attribute_status(const char *path, json_t **ret, char **ret_why);

/* Write @name ("policy", "apply", "resume") as user.weir.@name or, on a mount with
 * policy-xattr=trusted, as trusted.weir.@name.  @value NULL removes it. */
int attribute_write(const char *path, const char *name, const char *value);

/* Strings and numbers of an object, with a value for what is absent or of another type. */
const char *member_text(const json_t *object, const char *name, const char *otherwise);
uint64_t member_number(const json_t *object, const char *name);

#endif
