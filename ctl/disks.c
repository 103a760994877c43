/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/disks.c - see ctl/disks.h. */
#include <fts.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/why.h"
#include "ctl/attributes.h"
#include "ctl/disks.h"

static void fts_closep(FTS **fts)
{
	if (*fts)
		fts_close(*fts);
}

static bool is_vmx(const FTSENT *e)
{
	return e->fts_namelen > 4 && strcmp(e->fts_name + e->fts_namelen - 4, ".vmx") == 0;
}

static int rank(const FTSENT *e)
{
	return e->fts_info == FTS_D ? 2 : is_vmx(e) ? 0 : 1;
}

static int in_order(const FTSENT **a, const FTSENT **b)
{
	int d = rank(*a) - rank(*b);

	return d ? d : strcmp((*a)->fts_name, (*b)->fts_name);
}

static int add(struct disks *d, const char *path, json_t *status, bool vm)
{
	struct disk *list = realloc(d->list, (d->n + 1) * sizeof *list);
	char *copy = strdup(path);

	if (list)
		d->list = list;
	if (!list || !copy) {
		free(copy);
		return -ENOMEM;
	}
	list[d->n++] = (struct disk){.path = copy, .status = json_incref(status), .vm = vm};
	return 0;
}

static int look(struct disks *d, const char *path)
{
	_cleanup_(json_decrefp) json_t *status = NULL;
	const char *kind;

	if (attribute_status(path, &status, NULL) < 0)
		return 0; /* gone meanwhile, or not ours to read */
	kind = member_text(status, "kind", "");
	if (strcmp(kind, "disk") != 0 && strcmp(kind, "vm") != 0)
		return 0;
	return add(d, path, status, strcmp(kind, "vm") == 0);
}

static int walk(const char *directory, struct disks *d)
{
	char *roots[] = {(char *)directory, NULL};
	_cleanup_(fts_closep) FTS *fts =
		fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, in_order);
	int r = 0;

	if (!fts)
		return -errno;
	for (FTSENT *e; r == 0 && (errno = 0, e = fts_read(fts));)
		if (e->fts_info == FTS_F)
			r = look(d, e->fts_path);
	return r;
}

static size_t directory_length(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) + 1 : 0;
}

static bool same_directory(const struct disk *a, const struct disk *b)
{
	size_t n = directory_length(a->path);

	return n == directory_length(b->path) && strncmp(a->path, b->path, n) == 0;
}

/* A descriptor is never hidden because another one, perhaps hostile, claims it. */
static bool has_extents(const struct disk *disk)
{
	const json_t *list = json_object_get(json_object_get(disk->status, "disk"), "extents");
	const json_t *e;
	const char *name = disk->path + directory_length(disk->path);
	size_t i;

	json_array_foreach(list, i,
			   e) if (strcmp(member_text(e, "file", ""), name) != 0) return true;
	return false;
}

/* Names, with their directory, of all files that are extents of another file. */
static json_t *extents_of_others(const struct disks *d)
{
	json_t *names = json_object(), *extent;
	char path[8192];
	size_t j;

	for (size_t i = 0; names && i < d->n; i++) {
		const struct disk *disk = &d->list[i];
		const json_t *list =
			json_object_get(json_object_get(disk->status, "disk"), "extents");

		json_array_foreach(list, j, extent)
		{
			snprintf(path, sizeof path, "%.*s%s", (int)directory_length(disk->path),
				 disk->path, member_text(extent, "file", ""));
			if (strcmp(path, disk->path) != 0)
				json_object_set_new(names, path, json_true());
		}
	}
	return names;
}

static int group(struct disks *d)
{
	_cleanup_(json_decrefp) json_t *hidden = extents_of_others(d);
	const struct disk *vm = NULL;
	size_t n = 0;

	if (!hidden)
		return -ENOMEM;
	for (size_t i = 0; i < d->n; i++) {
		struct disk *disk = &d->list[i];

		if (json_object_get(hidden, disk->path) && !has_extents(disk)) {
			free(disk->path);
			json_decref(disk->status);
			continue;
		}
		d->list[n] = *disk;
		disk = &d->list[n++];
		if (disk->vm)
			vm = disk;
		disk->in_vm = vm && !disk->vm && same_directory(vm, disk);
	}
	d->n = n;
	return 0;
}

int disks_find(const char *directory, struct disks *ret, char **ret_why)
{
	_cleanup_(disks_done) struct disks d = {0};
	_cleanup_(json_decrefp) json_t *status = NULL;
	int r;

	r = attribute_status(directory, &status, ret_why);
	if (r < 0)
		return r;
	r = walk(directory, &d);
	if (r == 0)
		r = group(&d);
	if (r < 0)
		return why_set(r, ret_why, "cannot walk %s: %s", directory, strerror(-r));

	*ret = d;
	d = (struct disks){0};
	return 0;
}

void disks_done(struct disks *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->list[i].path);
		json_decref(d->list[i].status);
	}
	free(d->list);
	*d = (struct disks){0};
}
