/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policies/policy_dir.c - finding policies: NAME.yaml in the first directory that has it.
 *
 * Only regular files are read (a link to one is fine), whole and once, and never more than the
 * limit of base/yamlfile.h; so neither a pipe nor a huge file can hold anybody up.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/why.h"
#include "base/yamlfile.h"
#include "policies/policy_text.h"

#define SUFFIX ".yaml"

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* The length of a policy's name in the file name @file; 0: it is not one. */
static size_t name_length(const char *file)
{
	size_t len = strlen(file), suffix = strlen(SUFFIX);

	return len > suffix && strcmp(file + len - suffix, SUFFIX) == 0 ? len - suffix : 0;
}

/* ---- reading ---- */

static int explain_errno(const char *path, int r, char **ret_why)
{
	const char *what = r == -EINVAL ? "not a file; a policy is a regular file" : strerror(-r);

	return why_set(r, ret_why, "%s: %s", path, what);
}

static int open_regular(const char *path)
{
	_cleanup_(closep) int fd = -1;
	struct stat st;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	return TAKE_FD(fd);
}

/* At most @size bytes: one more than is allowed tells that there are too many. */
static ssize_t read_all(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;

	do {
		n = read(fd, text + len, size - len);
		if (n < 0 && errno != EINTR)
			return -errno;
		len += n > 0 ? (size_t)n : 0;
	} while (n != 0 && len < size);
	return (ssize_t)len;
}

static int load_as(const char *path, const char *name, struct policy **ret, char **ret_why)
{
	_cleanup_(freep) char *text = NULL;
	_cleanup_(closep) int fd = -1;
	ssize_t len;

	fd = open_regular(path);
	if (fd < 0)
		return explain_errno(path, fd, ret_why);
	text = malloc(YAMLFILE_MAX_BYTES + 1);
	if (!text)
		return -ENOMEM;
	len = read_all(fd, text, YAMLFILE_MAX_BYTES + 1);
	if (len < 0)
		return explain_errno(path, (int)len, ret_why);
	return policy_parse(path, name, text, (size_t)len, ret, ret_why);
}

int policy_load_file(const char *path, struct policy **ret, char **ret_why)
{
	const char *slash = strrchr(path, '/');
	const char *file = slash ? slash + 1 : path;
	char name[POLICY_NAME_MAX + 1];
	size_t len = name_length(file);

	*ret_why = NULL;
	snprintf(name, sizeof name, "%.*s", (int)len, file);
	if (len > POLICY_NAME_MAX || !policy_name_ok(name))
		return why_set(-EINVAL, ret_why,
			       "%s: not a policy's file name; call it NAME.yaml, NAME of letters, "
			       "digits, - and _",
			       path);
	return load_as(path, name, ret, ret_why);
}

/* ---- finding ---- */

/* "a, b and c": @list ended by NULL. */
static char *join(const char *const *list, const char *none)
{
	size_t size = strlen(none) + 1, len = 0;
	char *text;

	for (size_t i = 0; list[i]; i++)
		size += strlen(list[i]) + 2;
	text = calloc(1, size);
	for (size_t i = 0; text && list[i]; i++)
		len += (size_t)snprintf(text + len, size - len, "%s%s", i ? ", " : "", list[i]);
	if (text && len == 0)
		strcpy(text, none);
	return text;
}

static void policy_list_freep(char ***list)
{
	policy_list_free(*list);
}

static int no_such_policy(const char *const *dirs, const char *name, char **ret_why)
{
	_cleanup_(policy_list_freep) char **names = NULL;
	_cleanup_(freep) char *where = join(dirs, "(no directory)"), *known = NULL;

	if (policy_list(dirs, &names) == 0)
		known = join((const char *const *)names, "none");
	return why_set(-ENOENT, ret_why, "%s: no such policy in %s; there are: %s", name,
		       where ? where : "?", known ? known : "?");
}

int policy_load(const char *const *dirs, const char *name, struct policy **ret, char **ret_why)
{
	const char *const *dir = dirs;

	*ret_why = NULL;
	if (!policy_name_ok(name))
		return why_set(-EINVAL, ret_why,
			       "not a policy's name; use at most 63 letters, digits, - and _");

	for (; *dir; dir++) {
		_cleanup_(freep) char *path = NULL;
		int r;

		if (asprintf(&path, "%s/%s" SUFFIX, *dir, name) < 0)
			return -ENOMEM;
		r = load_as(path, name, ret, ret_why);
		if (r != -ENOENT && r != -ENOTDIR)
			return r;
		free(TAKE_PTR(*ret_why));
	}
	return no_such_policy(dirs, name, ret_why);
}

/* ---- listing ---- */

struct names {
	char **list; /* ended by NULL */
	size_t n, size;
};

static void names_done(struct names *names)
{
	policy_list_free(names->list);
}

static int names_add(struct names *names, const char *file, size_t len)
{
	char *name;

	if (names->n + 2 > names->size) {
		size_t size = MAX(names->size * 2, 16);
		char **list = realloc(names->list, size * sizeof *list);

		if (!list)
			return -ENOMEM;
		names->list = list;
		names->size = size;
		names->list[names->n] = NULL;
	}
	name = strndup(file, len);
	if (!name)
		return -ENOMEM;
	if (!policy_name_ok(name)) {
		free(name);
		return 0;
	}
	names->list[names->n++] = name;
	names->list[names->n] = NULL;
	return 0;
}

static int names_of_dir(struct names *names, const char *path)
{
	_cleanup_(closedirp) DIR *dir = opendir(path);
	struct dirent *e;
	int r = 0;

	if (!dir)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;

	while (r == 0 && (errno = 0, e = readdir(dir)))
		if (name_length(e->d_name))
			r = names_add(names, e->d_name, name_length(e->d_name));
	return r == 0 && errno ? -errno : r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void drop_doubles(struct names *names)
{
	size_t kept = 0;

	qsort(names->list, names->n, sizeof *names->list, by_name);
	for (size_t i = 0; i < names->n; i++) {
		if (kept > 0 && strcmp(names->list[kept - 1], names->list[i]) == 0)
			free(names->list[i]);
		else
			names->list[kept++] = names->list[i];
	}
	names->list[kept] = NULL;
}

int policy_list(const char *const *dirs, char ***ret)
{
	_cleanup_(names_done) struct names names = {0};
	int r = 0;

	names.list = calloc(1, sizeof *names.list);
	if (!names.list)
		return -ENOMEM;
	names.size = 1;

	for (; r == 0 && *dirs; dirs++)
		r = names_of_dir(&names, *dirs);
	if (r < 0)
		return r;

	drop_doubles(&names);
	*ret = TAKE_PTR(names.list);
	return 0;
}

void policy_list_free(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
}
