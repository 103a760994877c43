/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/check_disks.c - hold headers, marks and catalog rows against each other: see ctl/check.h. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "ctl/check.h"

static int header_take(const struct disk_id *id, int r, const struct disk_header *h, void *data)
{
	struct check *c = data;
	struct disk_header *headers;
	char text[33];

	disk_id_text(id, text);
	if (r == -EPROTO) {
		check_damage(c, "the header of disk %s was written by a newer weir", text);
		return 0;
	}
	if (r < 0) {
		check_damage(c, "the header of disk %s cannot be read: %s", text, strerror(-r));
		return 0;
	}
	headers = realloc(c->headers, (c->n_headers + 1) * sizeof *headers);
	if (!headers)
		return -ENOMEM;
	c->headers = headers;
	headers[c->n_headers++] = *h;
	return 0;
}

/* The marked files with this id stand together: the first one, and how many. */
static size_t files_of(const struct check *c, const struct disk_id *id, struct check_file **ret)
{
	size_t low = 0, high = c->n_marked, n = 0;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (memcmp(c->files[middle].id.bytes, id->bytes, sizeof id->bytes) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	while (low + n < c->n_marked &&
	       memcmp(c->files[low + n].id.bytes, id->bytes, sizeof id->bytes) == 0)
		n++;
	*ret = c->files + low;
	return n;
}

static int bind_again(struct check *c, struct disk_header *h, const struct check_file *file)
{
	int r;

	if (!c->rebuild) {
		check_damage(
			c,
			"%s was restored or copied: it has the mark of a disk (policy \"%s\") but "
			"is another file: `weir check --rebuild' makes it that disk",
			file->path, h->policy);
		return 0;
	}
	h->handle = file->handle;
	r = header_write(c->ds->disks_fd, h);
	if (r < 0)
		return r;
	c->mended++;
	check_say(c, "%s is the disk with policy \"%s\" again", file->path, h->policy);
	return 0;
}

static const struct disk_id no_disk;

static int is_row_of(const struct catalog_disk *row, void *id)
{
	return memcmp(row->id.bytes, id, sizeof row->id.bytes) == 0;
}

/* A kill between the first and the last step of a first attachment (fs/assign_change.c) leaves a
 * header alone: the file never had the mark, the catalog never a row.  Only the newest catalog
 * can tell. */
static bool never_complete(const struct check *c, const struct disk_header *h)
{
	return c->damage == 0 && c->catalog &&
	       catalog_incarnation(c->catalog) == c->ds->incarnation &&
	       catalog_each_disk(c->catalog, is_row_of, (void *)h->id.bytes) == 0;
}

/* No file has the mark: is the file gone, or only its mark?  What the next mount finishes or takes
 * back is no damage, and gets no row. */
static void without_mark(struct check *c, struct disk_header *h)
{
	_cleanup_(closep) int fd = handle_open(c->ds->mount_fd, &h->handle, O_PATH);
	char text[33];

	if (!*h->policy) {
		check_say(c, "the clearing of a policy was cut off; the next mount finishes it");
		h->id = no_disk;
		return;
	}
	if (fd >= 0 && never_complete(c, h)) {
		check_say(c, "a first attachment of policy \"%s\" was cut off; it does not count, and "
			     "the next mount takes its header away", h->policy);
		h->id = no_disk;
		return;
	}

	disk_id_text(&h->id, text);
	if (fd < 0)
		check_say(c,
			  "disk %s (policy \"%s\") was removed behind weir's back; its header is "
			  "kept",
			  text, h->policy);
	else
		check_damage(c, "the file of disk %s (policy \"%s\") has lost its mark", text,
			     h->policy);
}

static int header_check(struct check *c, struct disk_header *h)
{
	struct check_file *files, *own = NULL;
	size_t n = files_of(c, &h->id, &files);

	for (size_t i = 0; i < n; i++)
		if (handle_equal(&files[i].handle, &h->handle))
			own = &files[i];
	for (size_t i = 0; own && i < n; i++)
		if (&files[i] != own)
			check_damage(c, "%s is a copy of %s, with its mark: it is not that disk",
				     files[i].path, own->path);
	if (own)
		return 0;
	if (n == 1)
		return bind_again(c, h, files);
	for (size_t i = 0; i < n; i++)
		check_damage(c,
			     "%s is one of %zu files with the mark of one disk (policy \"%s\"), "
			     "and none of them is the first one",
			     files[i].path, n, h->policy);
	if (n == 0)
		without_mark(c, h);
	return 0;
}

static bool has_header(const struct check *c, const struct disk_id *id)
{
	for (size_t i = 0; i < c->n_headers; i++)
		if (memcmp(c->headers[i].id.bytes, id->bytes, sizeof id->bytes) == 0)
			return true;
	return false;
}

/* Those that without_mark named so. */
static void drop_incomplete(struct check *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_headers; i++)
		if (memcmp(&c->headers[i].id, &no_disk, sizeof no_disk))
			c->headers[n++] = c->headers[i];
	c->n_headers = n;
}

int check_headers(struct check *c)
{
	int r;

	r = header_each(c->ds->disks_fd, header_take, c);
	if (r < 0)
		return r;
	for (size_t i = 0; i < c->n_headers; i++) {
		r = header_check(c, &c->headers[i]);
		if (r < 0)
			return r;
	}
	drop_incomplete(c);
	for (size_t i = 0; i < c->n_marked; i++)
		if (!has_header(c, &c->files[i].id))
			check_damage(c, "%s has the mark of a disk that has no readable header",
				     c->files[i].path);
	return 0;
}

static struct catalog_disk row_of(const struct disk_header *h)
{
	struct catalog_disk d = {
		.id = h->id,
		.handle = h->handle,
		.flags = h->flags,
		.policy_version = h->policy_version,
	};

	memcpy(d.policy, h->policy, sizeof d.policy);
	return d;
}

struct rows {
	struct check *check;
	struct catalog *catalog;
	bool *seen; /* by index of header */
};

static bool row_is(const struct catalog_disk *row, const struct disk_header *h)
{
	return handle_equal(&row->handle, &h->handle) && row->flags == h->flags &&
	       row->policy_version == h->policy_version && strcmp(row->policy, h->policy) == 0;
}

static int row_mend(struct rows *rows, const struct disk_header *h, uint64_t node)
{
	struct catalog_disk row = row_of(h);

	row.node = node;
	rows->check->mended++;
	return catalog_put_disk(rows->catalog, &row);
}

static int row_check(const struct catalog_disk *row, void *data)
{
	struct rows *rows = data;
	struct check *c = rows->check;

	for (size_t i = 0; i < c->n_headers; i++) {
		if (memcmp(c->headers[i].id.bytes, row->id.bytes, sizeof row->id.bytes) != 0)
			continue;
		rows->seen[i] = true;
		return row_is(row, &c->headers[i]) ? 0 : row_mend(rows, &c->headers[i], row->node);
	}
	/* A header that cannot be read was counted as damage, and keeps its row. */
	if (c->damage > 0)
		return 0;
	c->mended++;
	return catalog_delete_disk(rows->catalog, &row->id);
}

int check_rows(struct check *c, struct catalog *catalog)
{
	_cleanup_(freep) bool *seen = calloc(c->n_headers + 1, sizeof *seen);
	struct rows rows = {.check = c, .catalog = catalog, .seen = seen};
	unsigned before = c->mended;
	int r;

	if (!seen)
		return -ENOMEM;
	r = catalog_each_disk(catalog, row_check, &rows);
	for (size_t i = 0; r == 0 && i < c->n_headers; i++)
		if (!seen[i])
			r = row_mend(&rows, &c->headers[i], 0);
	if (r == 0 && c->mended > before)
		check_say(c, "%u catalog rows were not what the headers say: mended",
			  c->mended - before);
	return r;
}

int check_fill(struct check *c, struct catalog *catalog)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->n_headers; i++) {
		struct catalog_disk row = row_of(&c->headers[i]);

		r = catalog_put_disk(catalog, &row);
	}
	for (size_t i = 0; r == 0 && i < c->n_files; i++)
		if (c->files[i].facts)
			r = catalog_put_facts(catalog, &c->files[i].handle, c->files[i].facts);
	return r;
}
