/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/attributes.c - see ctl/attributes.h. */
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/why.h"
#include "ctl/attributes.h"

int attribute_read(const char *path, const char *name, char **ret)
{
	_cleanup_(freep) char *value = malloc(XATTR_SIZE_MAX + 1);
	char *fitted;
	ssize_t n;

	if (!value)
		return -ENOMEM;
	n = lgetxattr(path, name, value, XATTR_SIZE_MAX);
	if (n < 0)
		return -errno;
	value[n] = 0;

	fitted = realloc(value, (size_t)n + 1);
	if (!fitted)
		return -ENOMEM;
	value = NULL;
	*ret = fitted;
	return 0;
}

int attribute_read_json(const char *path, const char *name, json_t **ret)
{
	_cleanup_(freep) char *text = NULL;
	json_t *json;
	int r;

	r = attribute_read(path, name, &text);
	if (r < 0)
		return r;
	json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	if (!json)
		return -EPROTO;
	*ret = json;
	return 0;
}

int attribute_status(const char *path, json_t **ret, char **ret_why)
{
	json_t *json;
	int r;

	r = attribute_read_json(path, "user.weir.status", &json);
	if (r == -ENODATA || r == -ENOTSUP || r == -EPERM)
		return why_set(-ENOTSUP, ret_why, "%s is not on a weir mount", path);
	if (r == -ENOTCONN || r == -ECONNABORTED)
		return why_set(
			r, ret_why,
			"%s: the daemon of this mount is gone: `weir umount' it, and mount it "
			"again",
			path);
	if (r == -EPROTO)
		return why_set(r, ret_why,
			       "%s: its status is no JSON: is this another version's mount?", path);
	if (r < 0)
		return why_set(r, ret_why, "%s: %s", path, strerror(-r));
	if (!json_is_object(json)) {
		json_decref(json);
		return why_set(-EPROTO, ret_why, "%s: its status is no JSON object", path);
	}
	*ret = json;
	return 0;
}

static int write_as(const char *space, const char *path, const char *name, const char *value)
{
	char full[64];

	snprintf(full, sizeof full, "%s.weir.%s", space, name);
	if (value)
		return lsetxattr(path, full, value, strlen(value), 0) < 0 ? -errno : 0;
	return lremovexattr(path, full) < 0 ? -errno : 0;
}

int attribute_write(const char *path, const char *name, const char *value)
{
	int r, trusted;

	r = write_as("user", path, name, value);
	if (r != -EPERM && r != -EACCES && r != -ENOTSUP)
		return r;

	/* Either we may not, or this mount wants the other name. */
	trusted = write_as("trusted", path, name, value);
	return trusted == -ENOTSUP || trusted == -EPERM ? r : trusted;
}

const char *member_text(const json_t *object, const char *name, const char *otherwise)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : otherwise;
}

uint64_t member_number(const json_t *object, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(object, name));

	return n > 0 ? (uint64_t)n : 0;
}
