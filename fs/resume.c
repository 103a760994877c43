/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/resume.c - see fs/resume.h. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "fs/open.h"
#include "fs/orphan.h"
#include "fs/resume.h"

#define CLOCK_TICK_NS 10000000u /* the longest: HZ=100 */

/* What lies at a name now: 1 a file, its handle in *ret; 0 nothing; or a negative errno: nobody can
 * tell, and the operation is run, which says the same error. */
static int look(struct fs *fs, uint64_t dir, const char *name, struct handle *ret)
{
	_node_ at = {.fs = fs};
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	int mount_id, r;

	*ret = (struct handle){0};
	r = nodes_get(fs->nodes, dir, &at.node);
	if (r == 0)
		r = node_fd(fs, at.node, FD_PATH, &ref);
	if (r < 0)
		return r;
	r = handle_get(fdref_fd(ref), name, ret, &mount_id);
	return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}

static uint64_t birth_of(const struct statx *stx)
{
	const struct statx_timestamp *t =
		stx->stx_mask & STATX_BTIME ? &stx->stx_btime : &stx->stx_ctime;

	return (uint64_t)t->tv_sec * 1000000000u + t->tv_nsec;
}

/* The clock of the stamps moves by ticks, which another processor may see a little later;
 * filesystems with stamps of whole seconds cannot say it better at all. */
static bool born_since(const struct statx *stx, uint64_t begun_ns)
{
	uint64_t birth = birth_of(stx);

	return birth + CLOCK_TICK_NS >= begun_ns ||
	       (birth % 1000000000u == 0 && birth >= begun_ns - 999999999u);
}

static bool was_made(struct fs *fs, const struct slate_record *r)
{
	_node_ dir = {.fs = fs};
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	struct statx stx;

	if (nodes_get(fs->nodes, r->node, &dir.node) < 0 ||
	    node_fd(fs, dir.node, FD_PATH, &ref) < 0 ||
	    statx(fdref_fd(ref), r->name, AT_SYMLINK_NOFOLLOW,
		  STATX_TYPE | STATX_BTIME | STATX_CTIME, &stx) < 0)
		return false;
	return (stx.stx_mode & S_IFMT) == (r->mode & S_IFMT) && born_since(&stx, r->begun_ns);
}

static bool was_linked(struct fs *fs, const struct slate_record *r)
{
	struct handle there;
	_node_ file = {.fs = fs};

	return look(fs, r->node2, r->name2, &there) == 1 &&
	       nodes_get(fs->nodes, r->node, &file.node) == 0 &&
	       handle_equal(&there, &file.node->handle);
}

static bool was_removed(struct fs *fs, const struct slate_record *r)
{
	struct handle there;
	int found = look(fs, r->node, r->name, &there);

	return r->before.len && (found == 0 || (found == 1 && !handle_equal(&there, &r->before)));
}

static bool was_renamed(struct fs *fs, const struct slate_record *r)
{
	struct handle from, to;
	int old = look(fs, r->node, r->name, &from);

	return r->before.len && look(fs, r->node2, r->name2, &to) == 1 &&
	       handle_equal(&to, &r->before) &&
	       (old == 0 || (old == 1 && !handle_equal(&from, &r->before)));
}

static bool was_done(struct fs *fs, const struct slate_request *q)
{
	switch (q->opcode) {
	case FUSE_MKDIR:
	case FUSE_MKNOD:
	case FUSE_SYMLINK:
	case FUSE_CREATE:
		return was_made(fs, &q->record);
	case FUSE_LINK:
		return was_linked(fs, &q->record);
	case FUSE_UNLINK:
	case FUSE_RMDIR:
		return was_removed(fs, &q->record);
	case FUSE_RENAME:
	case FUSE_RENAME2:
		return was_renamed(fs, &q->record);
	}
	return false;
}

bool resume_begun(void)
{
	return slate_phase(session_slot(), NULL) == SLATE_BEGUN;
}

bool resume_done(struct fs *fs, int *ret)
{
	struct slate_request *q = session_slot();

	if (!q->verdict) /* nearly always */
		return false;
	switch (slate_phase(q, ret)) {
	case SLATE_DONE:
		return true;
	case SLATE_BEGUN:
		if (!was_done(fs, q))
			return false;
		slate_outcome(q, 0);
		*ret = 0;
		return true;
	default:
		return false;
	}
}

int resume_restore(struct fs *fs)
{
	int r = fs->resumed ? opens_restore(fs) : 0;

	if (r < 0)
		return r;
	orphans_clean(fs);
	if (fs->resumed)
		opens_finish(fs);
	return 0;
}
