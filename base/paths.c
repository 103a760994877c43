/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/paths.c - see base/paths.h. */
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/paths.h"

/* The directory of the running program, without a slash at its end. */
static int own_directory(char ret[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);
	char *slash;

	if (n < 0)
		return -errno;
	ret[n] = 0;
	slash = strrchr(ret, '/');
	if (!slash)
		return -ENOENT;
	*slash = 0;
	return 0;
}

static int find_in(const char *directory, const char *below, const char *name, char **ret)
{
	char path[2 * PATH_MAX];

	snprintf(path, sizeof path, "%s%s/%s", directory, below, name);
	if (access(path, X_OK) < 0)
		return -ENOENT;
	*ret = realpath(path, NULL);
	return *ret ? 0 : -errno;
}

static bool in_build_tree(const char *directory)
{
	char path[2 * PATH_MAX];

	snprintf(path, sizeof path, "%s/../meson-info", directory);
	return access(path, F_OK) == 0;
}

int paths_find_program(const char *name, char **ret)
{
	static const char *const tree[] = {"/../fs", "/../ctl"};
	char own[PATH_MAX];
	int r;

	r = own_directory(own);
	if (r < 0)
		return r;
	r = find_in(own, "", name, ret);
	if (r != -ENOENT)
		return r;
	for (size_t i = 0; in_build_tree(own) && i < ARRAY_SIZE(tree); i++) {
		r = find_in(own, tree[i], name, ret);
		if (r != -ENOENT)
			return r;
	}
	return find_in(WEIR_LIBEXECDIR, "", name, ret);
}

void paths_policy_dirs(const char *option, const char *ret[PATHS_POLICY_DIRS_MAX])
{
	char own[PATH_MAX];
	size_t n = 0;

	if (option) {
		ret[n++] = option;
		ret[n] = NULL;
		return;
	}
	ret[n++] = "/etc/weir/policies";
	if (own_directory(own) == 0 && in_build_tree(own))
		ret[n++] = WEIR_SOURCE_POLICYDIR;
	else
		ret[n++] = WEIR_POLICYDIR;
	ret[n] = NULL;
}
