/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/options.c - see ctl/options.h. */
#include <grp.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/why.h"
#include "ctl/options.h"
#include "ctl/text.h"


enum kind {
	KIND_FLAG,    /* handed on as it is */
	KIND_WORDS,   /* one of a few words */
	KIND_PATH,    /* an existing directory */
	KIND_NEWPATH, /* a directory that may be made */
	KIND_GROUP,
	KIND_NUMBER,
	KIND_DEFAULT, /* says what is so anyway: dropped */
	KIND_FSTAB,   /* for mount(8), systemd...: dropped, a mistake in strict mode */
};

static const struct option_kind {
	const char *name;
	enum kind kind;
	const char *words[3];
	long least, most; /* of KIND_NUMBER */
} kinds[] = {
	{"passthrough", KIND_WORDS, {"on", "off"}},
	{"cache", KIND_WORDS, {"auto", "none"}},
	{"policy-xattr", KIND_WORDS, {"user", "trusted"}},
	{"state", KIND_NEWPATH},
	{"policies", KIND_PATH},
	{"policy-group", KIND_GROUP},
	{"threads", KIND_NUMBER, .least = 2, .most = 64},
	{"disk-threads", KIND_NUMBER, .least = 1, .most = 63},
	{"watchdog", KIND_NUMBER, .least = 0, .most = 86400},
	{"revalidate", KIND_NUMBER, .least = 0, .most = 3600},
	{"acl", KIND_WORDS, {"on", "off"}},
	{"resume", KIND_WORDS, {"auto", "off"}},
	{"ro", KIND_FLAG},
	{"nosuid", KIND_FLAG},
	{"nodev", KIND_FLAG},
	{"noexec", KIND_FLAG},
	{"noatime", KIND_FLAG},
	{"nodiratime", KIND_FLAG},
	{"relatime", KIND_DEFAULT},
	{"rw", KIND_DEFAULT},
	{"suid", KIND_DEFAULT},
	{"dev", KIND_DEFAULT},
	{"exec", KIND_DEFAULT},
	{"atime", KIND_DEFAULT},
	{"diratime", KIND_DEFAULT},
	{"async", KIND_DEFAULT},
	{"defaults", KIND_DEFAULT},
	{"allow_other", KIND_DEFAULT},
	{"default_permissions", KIND_DEFAULT},
	{"auto", KIND_FSTAB},
	{"noauto", KIND_FSTAB},
	{"nofail", KIND_FSTAB},
	{"_netdev", KIND_FSTAB},
	{"nouser", KIND_FSTAB},
	{"group", KIND_FSTAB},
	{"comment", KIND_FSTAB},
	{NULL},
};

static const struct option_kind *kind_find(const char *name)
{
	for (const struct option_kind *k = kinds; k->name; k++)
		if (strcmp(k->name, name) == 0)
			return k;
	return NULL;
}

static int unknown(const char *name, enum options_mode mode, char **ret_why)
{
	const char *names[ARRAY_SIZE(kinds)] = {0}, *near;

	for (size_t i = 0, n = 0; kinds[i].name; i++)
		if (kinds[i].kind < KIND_DEFAULT || mode != OPTIONS_STRICT)
			names[n++] = kinds[i].name;
	near = text_nearest(name, names);
	if (near)
		return why_set(-EINVAL, ret_why,
			       "unknown mount option \"%s\": did you mean \"%s\"?", name, near);
	return why_set(-EINVAL, ret_why,
		       "unknown mount option \"%s\": see `weir mount --help` for those there are",
		       name);
}

static int append(char **list, const char *name, const char *value)
{
	char *longer;

	if (asprintf(&longer, "%s%s%s%s%s", *list ? *list : "", *list ? "," : "", name,
		     value ? "=" : "", value ? value : "") < 0)
		return -ENOMEM;
	free(*list);
	*list = longer;
	return 0;
}

static int words_check(const struct option_kind *k, const char *value, char **ret_why)
{
	for (size_t i = 0; k->words[i]; i++)
		if (strcmp(k->words[i], value) == 0)
			return 0;
	return why_set(-EINVAL, ret_why, "%s=%s: it is %s or %s", k->name, value, k->words[0],
		       k->words[1]);
}

/* A directory that is made later: its parent must be there, and makes the path absolute. */
static char *new_path(const char *value)
{
	_cleanup_(freep) char *copy = strdup(value), *parent = NULL;
	char *slash, *path;

	if (!copy)
		return NULL;
	while (strlen(copy) > 1 && copy[strlen(copy) - 1] == '/')
		copy[strlen(copy) - 1] = 0;
	slash = strrchr(copy, '/');
	if (slash)
		*slash = 0;
	parent = realpath(!slash ? "." : *copy ? copy : "/", NULL);
	if (!parent || asprintf(&path, "%s/%s", parent, slash ? slash + 1 : copy) < 0)
		return NULL;
	return path;
}

static int path_add(const struct option_kind *k, const char *value, char **list, char **ret_why)
{
	_cleanup_(freep) char *path = realpath(value, NULL);

	if (!path && errno == ENOENT && k->kind == KIND_NEWPATH)
		path = new_path(value);
	if (!path)
		return why_set(-EINVAL, ret_why, "%s=%s: %m", k->name, value);
	if (strchr(path, ','))
		return why_set(-EINVAL, ret_why, "%s=%s: the path must have no comma", k->name,
			       path);
	return append(list, k->name, path);
}

static int number_check(const struct option_kind *k, const char *value, char **ret_why)
{
	char *end;
	long n = strtol(value, &end, 10);

	if (*value < '0' || *value > '9' || *end || n < k->least || n > k->most)
		return why_set(-EINVAL, ret_why, "%s=%s: it is a number from %ld to %ld", k->name,
			       value, k->least, k->most);
	return 0;
}

static int group_check(const char *value, char **ret_why)
{
	char *end;

	strtoul(value, &end, 10);
	if (getgrnam(value) || (*value && !*end))
		return 0;
	return why_set(-EINVAL, ret_why, "policy-group=%s: there is no such group", value);
}

static int value_add(const struct option_kind *k, const char *value, char **list, char **ret_why)
{
	int r = 0;

	if (!value || !*value)
		return why_set(-EINVAL, ret_why, "the mount option \"%s\" needs a value: %s=...",
			       k->name, k->name);
	if (k->kind == KIND_PATH || k->kind == KIND_NEWPATH)
		return path_add(k, value, list, ret_why);
	if (k->kind == KIND_WORDS)
		r = words_check(k, value, ret_why);
	else if (k->kind == KIND_NUMBER)
		r = number_check(k, value, ret_why);
	else
		r = group_check(value, ret_why);
	return r < 0 ? r : append(list, k->name, value);
}

static bool for_others(const char *name)
{
	return strncmp(name, "x-", 2) == 0 || strncmp(name, "X-", 2) == 0;
}

static int one_add(const char *name, const char *value, enum options_mode mode, char **list,
		   char **ret_why)
{
	const struct option_kind *k = kind_find(name);

	if (mode != OPTIONS_STRICT && (for_others(name) || (k && k->kind == KIND_FSTAB)))
		return 0;
	if (!k || k->kind == KIND_FSTAB)
		return mode == OPTIONS_SLOPPY ? 0 : unknown(name, mode, ret_why);
	if (k->kind != KIND_FLAG && k->kind != KIND_DEFAULT)
		return value_add(k, value, list, ret_why);
	if (value)
		return why_set(-EINVAL, ret_why, "the mount option \"%s\" takes no value", name);
	return k->kind == KIND_FLAG ? append(list, name, NULL) : 0;
}

int options_add(const char *text, enum options_mode mode, char **list, char **ret_why)
{
	_cleanup_(freep) char *copy = strdup(text ? text : "");
	char *rest = copy, *one;
	int r;

	if (!copy)
		return -ENOMEM;
	while ((one = strsep(&rest, ","))) {
		char *value = strchr(one, '=');

		if (!*one)
			continue;
		if (value)
			*value++ = 0;
		r = one_add(one, value, mode, list, ret_why);
		if (r < 0)
			return r;
	}
	return 0;
}

char *options_value(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (; list && *list; list = strchr(list, ',') ? strchr(list, ',') + 1 : NULL)
		if (strncmp(list, name, n) == 0 && list[n] == '=')
			return strndup(list + n + 1, strcspn(list + n + 1, ","));
	return NULL;
}
