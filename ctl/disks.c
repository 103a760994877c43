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
	struct disk one = {.path = strdup(path), .parts = json_object(), .vm = vm};
	struct disk *list = realloc(d->list, (d->n + 1) * sizeof *list);

	if (list)
		d->list = list;
	if (!list || !one.path || !one.parts) {
		disk_done(&one);
		return -ENOMEM;
	}
	one.status = json_incref(status);
	list[d->n++] = one;
	return 0;
}

static int look(struct disks *d, const char *path)
{
	_cleanup_(json_decrefp) json_t *status = NULL;
	const char *kind;

	if (attribute_status(path, &status, NULL) < 0)
		return 0; /* gone meanwhile, or not ours to read */
	kind = member_text(status, "kind", "");
	if (strcmp(kind, "disk") != 0 && strcmp(kind, "vm") != 0 &&
	    !json_object_get(status, "quarantine"))
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

/* Calls @each with the path of every extent that @disk names, but itself. */
static void each_extent(const struct disk *disk, void (*each)(const char *path, void *data),
			void *data)
{
	const json_t *list = json_object_get(json_object_get(disk->status, "disk"), "extents");
	char path[8192];
	json_t *extent;
	size_t i;

	json_array_foreach(list, i, extent)
	{
		const char *name = member_text(extent, "file", "");

		/* Names with a slash would lead out of the directory: strangers wrote them. */
		snprintf(path, sizeof path, "%.*s%s", (int)directory_length(disk->path), disk->path,
			 name);
		if (*name && !strchr(name, '/') && strcmp(path, disk->path) != 0)
			each(path, data);
	}
}

struct owners {
	json_t *index; /* path of an extent -> number of the disk that names it */
	size_t i;
};

static void own(const char *path, void *data)
{
	struct owners *o = data;

	if (!json_object_get(o->index, path))
		json_object_set_new(o->index, path, json_integer((json_int_t)o->i));
}

/* Give the extents to their disks, and drop them from the list. */
static int group(struct disks *d)
{
	_cleanup_(json_decrefp) json_t *index = json_object();
	struct owners o = {.index = index};
	const struct disk *vm = NULL;
	size_t n = 0;

	if (!index)
		return -ENOMEM;
	for (; o.i < d->n; o.i++)
		each_extent(&d->list[o.i], own, &o);
	for (size_t i = 0; i < d->n; i++) {
		const json_t *owner = json_object_get(index, d->list[i].path);

		if (owner && !has_extents(&d->list[i]))
			json_object_set(d->list[json_integer_value(owner)].parts, d->list[i].path,
					d->list[i].status);
	}
	for (size_t i = 0; i < d->n; i++) {
		struct disk *disk = &d->list[i];

		if (json_object_get(index, disk->path) && !has_extents(disk)) {
			disk_done(disk);
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

void disk_done(struct disk *d)
{
	free(d->path);
	json_decref(d->status);
	json_decref(d->parts);
	*d = (struct disk){0};
}

void disks_done(struct disks *d)
{
	for (size_t i = 0; i < d->n; i++)
		disk_done(&d->list[i]);
	free(d->list);
	*d = (struct disks){0};
}

static void read_part(const char *path, void *data)
{
	json_t *parts = data, *status;

	if (attribute_status(path, &status, NULL) == 0)
		json_object_set_new(parts, path, status);
}

int disks_one(const char *path, struct disk *ret, char **ret_why)
{
	struct disk d = {.path = strdup(path), .parts = json_object()};
	int r = d.path && d.parts ? attribute_status(path, &d.status, ret_why) : -ENOMEM;

	if (r < 0) {
		disk_done(&d);
		return r;
	}
	each_extent(&d, read_part, d.parts);
	*ret = d;
	return 0;
}

uint64_t disk_used(const struct disk *d)
{
	uint64_t n = member_number(d->status, "allocated");
	const char *path;
	json_t *part;

	json_object_foreach(d->parts, path, part) n += member_number(part, "allocated");
	return n;
}

json_t *disk_json(const struct disk *d)
{
	json_t *whole = json_copy(d->status), *files = json_array(), *part;
	const char *path;

	json_object_set_new(whole, "at", json_string(d->path));
	json_object_foreach(d->parts, path, part)
	{
		json_t *file = json_copy(part);

		json_object_set_new(file, "at", json_string(path));
		json_array_append_new(files, file);
	}
	if (json_array_size(files) > 0)
		json_object_set(whole, "files", files);
	json_decref(files);
	return whole;
}
