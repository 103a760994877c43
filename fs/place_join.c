/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/place_join.c - see fs/place_join.h. */
#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/datastore.h"
#include "fs/place_join.h"

size_t place_directory(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) : 0;
}

static bool is_url(const char *name)
{
	size_t n = 0;

	while (isalnum((unsigned char)name[n]) || (n && strchr("+.-", name[n]) && name[n]))
		n++;
	return n > 1 && name[n] == ':'; /* also "json:" and "nbd:" of qemu */
}

static const char *refused_by_sight(const char *name)
{
	if (*name == '/')
		return "its name is absolute";
	if (isalpha((unsigned char)name[0]) && name[1] == ':')
		return "its name begins with a drive";
	if (is_url(name))
		return "its name is a URL";
	if (strchr(name, '\\'))
		return "its name has a backslash";
	return NULL;
}

/* Append one part of a path to @path (of @len bytes) or take its last one away. */
static int step(const char *part, size_t n, unsigned flags, char *path, size_t size, size_t *len,
		const char **ret_why)
{
	if (n == 0 || (n == 1 && part[0] == '.'))
		return 0;
	*ret_why = "\"..\" is in its name";
	if (n == 2 && !memcmp(part, "..", 2)) {
		if (!(flags & PLACE_PARENT))
			return -EACCES;
		*ret_why = "it lies outside of the datastore";
		if (*len == 0)
			return -EACCES;
		path[*len] = 0;
		*len = place_directory(path);
		return 0;
	}
	*ret_why = "its name is too long";
	if (n > 255 || *len + n + 2 > size)
		return -EACCES;
	if (*len)
		path[(*len)++] = '/';
	memcpy(path + *len, part, n);
	*len += n;
	return 0;
}

static bool enters_weir(const char *path)
{
	size_t n = strlen(WEIR_DIRECTORY);

	return !strncmp(path, WEIR_DIRECTORY, n) && (!path[n] || path[n] == '/');
}

int place_join(const char *dir, const char *name, unsigned flags, char *ret, size_t size,
	       const char **ret_why)
{
	size_t len = strlen(dir), n;
	int r = 0;

	*ret_why = refused_by_sight(name);
	if (*ret_why)
		return -EACCES;
	*ret_why = "its name is too long";
	if (len >= size)
		return -EACCES;
	memcpy(ret, dir, len);
	for (const char *at = name; *at && r == 0; at += n + (at[n] == '/')) {
		n = strcspn(at, "/");
		r = step(at, n, flags, ret, size, &len, ret_why);
	}
	ret[len] = 0;
	if (r < 0)
		return r;
	*ret_why = enters_weir(ret) ? "it lies in weir's own directory" : "its name is empty";
	return enters_weir(ret) || len == 0 ? -EACCES : 0;
}
