/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/mounts.c - see ctl/mounts.h; proc(5) has the fields of mountinfo. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/mounts.h"

#define FIELD_DEVICE 2 /* fields in front of it */
#define FIELD_POINT  4

static void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* The kernel writes blanks, newlines and backslashes as \NNN. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && is_octal(s[1]) && is_octal(s[2]) && is_octal(s[3])) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = 0;
}

static int add(struct mounts *m, const char *device, char *point, char *source)
{
	struct weir_mount *list = realloc(m->list, (m->n + 1) * sizeof *list);

	if (!list)
		return -ENOMEM;
	m->list = list;
	unescape(point);
	unescape(source);
	list[m->n] = (struct weir_mount){.point = strdup(point), .source = strdup(source)};
	if (sscanf(device, "%u:%u", &list[m->n].major, &list[m->n].minor) != 2)
		list[m->n].major = list[m->n].minor = 0;
	if (!list[m->n].point || !list[m->n].source) {
		free(list[m->n].point);
		free(list[m->n].source);
		return -ENOMEM;
	}
	m->n++;
	return 0;
}

/* ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAGS...] - TYPE SOURCE SUPER-OPTIONS */
static int line_read(struct mounts *m, char *line)
{
	char *tail = strstr(line, " - "), *rest = line, *point = NULL, *device = NULL;
	char *type, *source;

	if (!tail)
		return 0;
	*tail = 0;
	tail += strlen(" - ");
	for (int i = 0; i <= FIELD_POINT; i++) {
		point = strsep(&rest, " ");
		if (i == FIELD_DEVICE)
			device = point;
	}
	type = strsep(&tail, " ");
	source = strsep(&tail, " ");
	if (!device || !point || !type || !source || strcmp(type, "fuse.weir") != 0)
		return 0;
	return add(m, device, point, source);
}

int mounts_read(const char *file, struct mounts *ret)
{
	_cleanup_(fclosep) FILE *f = fopen(file, "re");
	_cleanup_(mounts_done) struct mounts m = {0};
	_cleanup_(freep) char *line = NULL;
	size_t size = 0;
	int r;

	if (!f)
		return -errno;
	while (getline(&line, &size, f) > 0) {
		line[strcspn(line, "\n")] = 0;
		r = line_read(&m, line);
		if (r < 0)
			return r;
	}
	if (ferror(f))
		return -EIO;
	*ret = m;
	m = (struct mounts){0};
	return 0;
}

void mounts_done(struct mounts *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->list[i].point);
		free(m->list[i].source);
	}
	free(m->list);
	*m = (struct mounts){0};
}

const struct weir_mount *mounts_find_point(const struct mounts *m, const char *point)
{
	for (size_t i = m->n; i > 0; i--)
		if (strcmp(m->list[i - 1].point, point) == 0)
			return &m->list[i - 1];
	return NULL;
}

const struct weir_mount *mounts_find_source(const struct mounts *m, const char *source)
{
	for (size_t i = m->n; i > 0; i--)
		if (strcmp(m->list[i - 1].source, source) == 0)
			return &m->list[i - 1];
	return NULL;
}

const struct weir_mount *mounts_find_path(const struct mounts *m, const char *path)
{
	_cleanup_(freep) char *absolute = NULL, *resolved = NULL;
	const struct weir_mount *found = NULL;

	if (mounts_absolute(path, &absolute) == 0)
		found = mounts_find_point(m, absolute);
	if (!found)
		resolved = realpath(path, NULL);
	return resolved ? mounts_find_point(m, resolved) : found;
}

int mounts_absolute(const char *path, char **ret)
{
	_cleanup_(freep) char *copy = strdup(path), *parent = NULL;
	char *name;
	int n;

	if (!copy)
		return -ENOMEM;
	while (strlen(copy) > 1 && copy[strlen(copy) - 1] == '/')
		copy[strlen(copy) - 1] = 0;
	name = strrchr(copy, '/');
	name = name ? name + 1 : copy;

	/* "/", "." and ".." have no last part to leave alone. */
	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		*ret = realpath(copy, NULL);
		return *ret ? 0 : -errno;
	}

	if (name > copy)
		name[-1] = 0;
	parent = realpath(name == copy ? "." : *copy ? copy : "/", NULL);
	if (!parent)
		return -errno;
	n = asprintf(ret, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, name);
	return n < 0 ? -ENOMEM : 0;
}

bool mounts_is_below(const char *path, const char *directory)
{
	size_t n = strlen(directory);

	if (strcmp(directory, "/") == 0)
		return true;
	return strncmp(path, directory, n) == 0 && (path[n] == 0 || path[n] == '/');
}
