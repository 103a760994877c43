/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/assign_load.c - assignments as they are found when the datastore is mounted; see fs/assign.h.
 *
 * The catalog has copies; the truth is header and mark, and a kill may have come between them
 * (fs/assign_change.c has the order).  What was begun is finished here:
 *     header and mark, another row or none    the assignment is the header's
 *     header that says "none"                 a clear: mark, header and row go
 *     header, the file has no mark, no row    a first attachment that had not got so far: it goes
 *     row, no header and no mark              a clear, or a removal: the row goes
 *     row and mark, no readable header        damage: the row stays, and its file is not opened
 * A header whose file is gone, or not the one with the mark, is left to `weir check`.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "fs/assign_table.h"
#include "fs/chain.h"
#include "fs/place.h"
#include "fs/reconnect.h"

/* ---- rows, headers, marks ---------------------------------------------------------------- */

static int load_row(const struct catalog_disk *d, void *data)
{
	struct assigned a = {.id = d->id, .handle = d->handle, .node = d->node,
			     .flags = d->flags, .version = d->policy_version};

	memcpy(a.policy, d->policy, sizeof a.policy);
	return assign_put_row(data, &a, false);
}

static bool same_id(const struct disk_id *a, const struct disk_id *b)
{
	return !memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

/* MARK_GONE: there is no such file.  MARK_UNKNOWN: nobody can tell now; the next start may. */
enum mark { MARK_GONE, MARK_NONE, MARK_OTHER, MARK_OURS, MARK_UNKNOWN };

static enum mark mark_by_error(int error)
{
	switch (error) {
	case -ENODATA:
		return MARK_NONE;
	case -EUCLEAN:
		return MARK_OTHER;
	case -ESTALE:
	case -ENOENT:
	case -EOPNOTSUPP: /* no file here has one */
		return MARK_GONE;
	default:
		return MARK_UNKNOWN;
	}
}

/* What the file of @h bears (with @remove: then). */
static enum mark mark_of(struct fs *fs, const struct handle *h, const struct disk_id *id,
			 bool remove)
{
	_cleanup_(closep) int fd = reconnect_open(fs, h, O_PATH | O_CLOEXEC);
	struct disk_id found;
	int r = fd < 0 ? fd : disk_mark_read(fs->store->marks, fd, &found);

	if (r < 0)
		return mark_by_error(r);
	if (!same_id(&found, id))
		return MARK_OTHER;
	if (remove && disk_mark_remove(fs->store->marks, fd) == 0)
		return MARK_NONE;
	return MARK_OURS;
}

static void finish_clear(struct fs *fs, const struct disk_header *h)
{
	enum mark mark = mark_of(fs, &h->handle, &h->id, true);

	if (mark != MARK_OURS && mark != MARK_UNKNOWN) /* no mark without a header */
		header_remove(fs->store->disks_fd, &h->id);
	catalog_delete_disk(fs->catalog, &h->id);
	assign_drop_row(fs, &h->handle);
}

static int take_header(struct fs *fs, const struct disk_header *h, const struct assigned *row)
{
	struct catalog_disk d = {.id = h->id, .handle = h->handle, .node = row ? row->node : 0,
				 .flags = h->flags, .policy_version = h->policy_version};
	struct assigned a = {.id = h->id, .handle = h->handle, .node = d.node,
			     .flags = h->flags, .version = h->policy_version};
	int r = 0;

	memcpy(d.policy, h->policy, sizeof d.policy);
	memcpy(a.policy, h->policy, sizeof a.policy);
	memcpy(a.digest, h->policy_digest, sizeof a.digest);
	if (!row || strcmp(row->policy, h->policy) || row->version != h->policy_version)
		r = catalog_put_disk(fs->catalog, &d);
	if (r < 0)
		log_warning("catalog: cannot note an assignment: %s, ignoring", strerror(-r));
	return assign_put_row(fs, &a, true);
}

static int load_header(const struct disk_id *id, int r, const struct disk_header *h, void *data)
{
	struct fs *fs = data;
	struct assigned row;
	bool has_row;

	if (r < 0)
		return 0; /* its row, if there is one, stays as it is */
	has_row = assign_peek(fs, &h->handle, &row) && same_id(&row.id, id);
	if (!*h->policy) {
		finish_clear(fs, h);
		return 0;
	}
	if (has_row)
		return take_header(fs, h, &row);
	switch (mark_of(fs, &h->handle, id, false)) {
	case MARK_OURS:
		return take_header(fs, h, NULL);
	case MARK_NONE:
		header_remove(fs->store->disks_fd, id);
		return 0;
	case MARK_GONE:
	case MARK_OTHER:
	case MARK_UNKNOWN:
		break;
	}
	return 0;
}

/* No header was found for the row. */
static void judge_row(struct fs *fs, const struct assigned *a)
{
	struct disk_header h;
	enum mark mark;

	if (header_read(fs->store->disks_fd, &a->id, &h) != -ENOENT)
		return;
	mark = mark_of(fs, &a->handle, &a->id, false);
	if (mark == MARK_OURS || mark == MARK_UNKNOWN)
		return;
	catalog_delete_disk(fs->catalog, &a->id);
	assign_drop_row(fs, &a->handle);
}

/* ---- where they lie ---------------------------------------------------------------------- */

/* The path of an open file below the datastore, as the kernel knows it. */
static int path_below(struct fs *fs, int fd, char ret[PATH_MAX])
{
	char root[PATH_MAX], path[PATH_MAX];
	ssize_t n = readlink(fd_path(fs->store->root_fd).text, root, sizeof root - 1);
	ssize_t m = readlink(fd_path(fd).text, path, sizeof path - 1);

	if (n <= 0 || m <= 0)
		return -ENOENT;
	root[n] = path[m] = 0;
	if (m <= n || memcmp(root, path, (size_t)n) || path[n] != '/')
		return -ENOENT;
	snprintf(ret, PATH_MAX, "%s", path + n + 1);
	return 0;
}

/* A node id that was promised and not committed when the worker was killed, and those of a lost
 * catalog, mean nothing any more: the file is looked up by its handle. */
static int find_node(struct fs *fs, const struct handle *h, struct node **ret)
{
	_cleanup_(closep) int fd = -1;
	char path[PATH_MAX];
	int r;

	if (chain_node(fs, h, ret) == 0)
		return 0;
	fd = reconnect_open(fs, h, O_PATH | O_CLOEXEC);
	r = fd < 0 ? fd : path_below(fs, fd, path);
	if (r == 0)
		r = place_node(fs, path, ret);
	if (r == 0 && !handle_equal(&(*ret)->handle, h)) {
		node_unref(fs->nodes, *ret);
		*ret = NULL;
		r = -ENOENT;
	}
	return r;
}

static void locate(struct fs *fs, const struct assigned *a)
{
	_node_ at = {.fs = fs};

	if (find_node(fs, &a->handle, &at.node) < 0) {
		log_debug("the place of an object with policy %s is not known", a->policy);
		return;
	}
	assign_file_moved(fs, at.node);
	assign_learn_parts(fs, at.node, a->flags);
}

int assign_load(struct fs *fs)
{
	_cleanup_(freep) struct assigned *all = NULL;
	size_t n;
	int r = catalog_each_disk(fs->catalog, load_row, fs);

	if (r == 0)
		r = header_each(fs->store->disks_fd, load_header, fs);
	if (r < 0)
		return r;
	n = assign_all(fs, &all);
	for (size_t i = 0; i < n; i++)
		if (!assign_is_complete(fs, &all[i].handle))
			judge_row(fs, &all[i]);
	for (size_t i = 0; i < n; i++)
		locate(fs, &all[i]);
	return 0;
}
