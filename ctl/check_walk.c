/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/check_walk.c - find the files of a datastore that are disks: see ctl/check.h.
 *
 * Stays on the datastore's filesystem, follows no symlink, opens nothing but paths (O_PATH).
 */
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>

#include "ctl/check.h"

static void fts_closep(FTS **fts)
{
	if (*fts)
		fts_close(*fts);
}

static int add(struct check *c, const struct check_file *file)
{
	struct check_file *files = realloc(c->files, (c->n_files + 1) * sizeof *files);

	if (!files)
		return -ENOMEM;
	c->files = files;
	files[c->n_files++] = *file;
	return 0;
}

static int mark(struct check *c, int fd, struct check_file *file)
{
	int r = disk_mark_read(NULL, fd, &file->id);

	file->marked = r == 0;
	if (r == -EUCLEAN)
		check_damage(c, "%s: its mark (trusted.weir.disk) is no disk id", file->path);
	return r == -ENODATA || r == -ENOTSUP || r == -EUCLEAN ? 0 : r;
}

static int facts(struct catalog *old, struct check_file *file)
{
	int r = old ? catalog_find_facts(old, &file->handle, &file->facts) : -ENOENT;

	return r == -ENOENT ? 0 : r;
}

/* The path as people know it: relative to the datastore. */
static const char *below(const char *path, const char *root)
{
	path += strlen(root);
	path += *path == '/';
	return *path ? path : ".";
}

static int look(struct check *c, struct catalog *old, const FTSENT *e)
{
	_cleanup_(closep) int fd = open(e->fts_path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct check_file file = {0};
	int mount_id, r;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	file.path = strdup(below(e->fts_path, c->ds->path));
	if (!file.path)
		return -ENOMEM;

	r = handle_get(fd, "", &file.handle, &mount_id);
	if (r == 0)
		r = mark(c, fd, &file);
	if (r == 0)
		r = facts(old, &file);
	if (r == 0 && (file.marked || file.facts))
		r = add(c, &file);
	else if (r == 0)
		free(file.path);
	if (r < 0) {
		free(file.facts);
		free(file.path);
	}
	return r;
}

static bool is_weir(const FTSENT *e)
{
	return e->fts_level == 1 && strcmp(e->fts_name, WEIR_DIRECTORY) == 0;
}

static int walk(struct check *c, struct catalog *old, char *root)
{
	char *roots[] = {root, NULL};
	_cleanup_(fts_closep) FTS *fts =
		fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
	int r = 0;

	if (!fts)
		return -errno;
	for (FTSENT *e; r == 0 && (errno = 0, e = fts_read(fts));) {
		if (is_weir(e) && e->fts_info == FTS_D)
			fts_set(fts, e, FTS_SKIP);
		else if (e->fts_info == FTS_F || e->fts_info == FTS_D)
			r = look(c, old, e);
		else if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR)
			r = -e->fts_errno;
	}
	return r < 0 ? r : -errno;
}

static int by_mark(const void *a, const void *b)
{
	const struct check_file *x = a, *y = b;

	if (x->marked != y->marked)
		return x->marked ? -1 : 1;
	return memcmp(x->id.bytes, y->id.bytes, sizeof x->id.bytes);
}

int check_walk(struct check *c, struct catalog *old)
{
	_cleanup_(freep) char *orphans = NULL;
	int r;

	if (asprintf(&orphans, "%s/" WEIR_DIRECTORY "/orphans", c->ds->path) < 0) {
		orphans = NULL;
		return -ENOMEM;
	}
	r = walk(c, old, c->ds->path);
	if (r < 0)
		return r;
	r = walk(c, old, orphans);
	if (r < 0)
		return r;

	if (c->n_files > 0)
		qsort(c->files, c->n_files, sizeof *c->files, by_mark);
	while (c->n_marked < c->n_files && c->files[c->n_marked].marked)
		c->n_marked++;
	return 0;
}

void check_done(struct check *c)
{
	for (size_t i = 0; i < c->n_files; i++) {
		free(c->files[i].path);
		free(c->files[i].facts);
	}
	free(c->files);
	free(c->headers);
	*c = (struct check){0};
}
