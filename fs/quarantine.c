/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/quarantine.c - see fs/quarantine.h. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "fs/chain.h"
#include "fs/events.h"
#include "fs/opcode.h"
#include "fs/quarantine.h"
#include "fs/status.h"

/* ---- refusing ---------------------------------------------------------------------------- */

static const void *body_of(const struct fuse_in_header *in, size_t size, size_t need)
{
	return size >= sizeof *in + need ? in + 1 : NULL;
}

static bool sets_size(const struct fuse_in_header *in, size_t size)
{
	const struct fuse_setattr_in *body = body_of(in, size, sizeof *body);

	return body && (body->valid & FATTR_SIZE);
}

/* Does it touch bytes of the file it names? */
static bool is_io(const struct fuse_in_header *in, size_t size)
{
	switch (in->opcode) {
	case FUSE_OPEN:
	case FUSE_READ:
	case FUSE_WRITE:
	case FUSE_FSYNC:
	case FUSE_FALLOCATE:
	case FUSE_LSEEK:
	case FUSE_COPY_FILE_RANGE:
		return true;
	case FUSE_SETATTR:
		return sets_size(in, size);
	}
	return false;
}

static bool is_io_opcode(uint32_t opcode)
{
	return opcode == FUSE_SETATTR || opcode == FUSE_RELEASE ||
	       is_io(&(struct fuse_in_header){.opcode = opcode}, 0);
}

/* The xattrs that say why and that end it; their names stand behind a part of fixed size. */
static bool is_way_out(struct fs *fs, const struct fuse_in_header *in, size_t size)
{
	const char *name = (const char *)(in + 1);
	size_t fixed = sizeof(struct fuse_getxattr_in);

	if (in->opcode == FUSE_SETXATTR)
		fixed = session_abilities(fs->session)->setxattr_ext
				? sizeof(struct fuse_setxattr_in)
				: FUSE_COMPAT_SETXATTR_IN_SIZE;
	else if (in->opcode != FUSE_GETXATTR)
		return false;
	if (size < sizeof *in + fixed + 1)
		return false;
	name += fixed;
	size -= sizeof *in + fixed;
	if (in->opcode == FUSE_SETXATTR)
		return !strncmp(name, "user.weir.resume", size) ||
		       !strncmp(name, "trusted.weir.resume", size);
	return !strncmp(name, "user.weir.status", size) ||
	       !strncmp(name, "trusted.weir.status", size);
}

static bool refuses_node(struct fs *fs, const struct fuse_in_header *in, size_t size,
			 uint64_t node)
{
	struct slate_blame blame;

	if (in->opcode == FUSE_RELEASE || in->opcode == FUSE_RELEASEDIR ||
	    !blame_quarantined(fs->blames, node, &blame))
		return false; /* a close is never refused: the file would be open for ever */
	return is_io(in, size) || (in->opcode == blame.opcode && !is_way_out(fs, in, size));
}

bool quarantine_refuses(struct fs *fs, const struct fuse_in_header *in, size_t size)
{
	const struct fuse_copy_file_range_in *copy = body_of(in, size, sizeof *copy);

	if (refuses_node(fs, in, size, in->nodeid))
		return true;
	return in->opcode == FUSE_COPY_FILE_RANGE && copy &&
	       refuses_node(fs, in, size, copy->nodeid_out);
}

bool quarantine_is_blind(struct fs *fs, const struct node *node)
{
	struct slate_blame blame;

	return blame_quarantined(fs->blames, node->id, &blame) && !is_io_opcode(blame.opcode);
}

/* ---- telling ----------------------------------------------------------------------------- */

static void signal_name(uint32_t number, char ret[24])
{
	const char *name = sigabbrev_np((int)number);

	if (name)
		snprintf(ret, 24, "SIG%s", name);
	else
		snprintf(ret, 24, "signal %u", number);
}

static void time_text(uint64_t ns, char ret[32])
{
	time_t seconds = (time_t)(ns / 1000000000u);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(ret, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static json_t *why(const struct slate_blame *blame)
{
	json_t *j = json_object();
	char signal[24], since[32];

	signal_name(blame->signal, signal);
	time_text(blame->last_ns, since);
	json_object_set_new(j, "since", json_string(since));
	json_object_set_new(j, "faults", json_integer(blame->count));
	json_object_set_new(j, "signal", json_string(signal));
	json_object_set_new(j, "operation", json_string(opcode_name(blame->opcode)));
	if (*blame->stage)
		json_object_set_new(j, "stage", status_text(blame->stage));
	return j;
}

/* Of an extent: which one, too. */
static json_t *why_extent(struct fs *fs, const struct handle *h)
{
	_node_ at = {.fs = fs, .node = nodes_known(fs->nodes, h)};
	struct slate_blame blame;
	char path[4096];
	json_t *j;

	if (!at.node || !blame_quarantined(fs->blames, at.node->id, &blame))
		return NULL;
	j = why(&blame);
	node_path(fs->nodes, at.node, path, sizeof path);
	json_object_set_new(j, "extent", status_text(path));
	return j;
}

/* Files that a disk's bytes are in; none for what must not be looked into. */
static size_t extents_of(struct fs *fs, struct node *node, struct handle **ret)
{
	size_t n = 0;

	*ret = NULL;
	if ((node->flags & NODE_DIRECTORY) || quarantine_is_blind(fs, node) ||
	    chain_extent_handles(fs, node, ret, &n) < 0)
		return 0;
	return n;
}

json_t *quarantine_json(struct fs *fs, struct node *node)
{
	_cleanup_(freep) struct handle *extents = NULL;
	struct slate_blame blame;
	json_t *j = NULL;
	size_t n;

	if (!blame_any(fs->blames))
		return NULL;
	if (blame_quarantined(fs->blames, node->id, &blame))
		return why(&blame);
	n = extents_of(fs, node, &extents);
	for (size_t i = 0; !j && i < n; i++)
		j = why_extent(fs, &extents[i]);
	return j;
}

json_t *quarantine_list(struct fs *fs)
{
	uint64_t nodes[SLATE_BLAMES];
	size_t n = blame_any(fs->blames) ? blame_list(fs->blames, nodes, ARRAY_SIZE(nodes)) : 0;
	json_t *list = json_array();
	char path[4096];

	for (size_t i = 0; i < n; i++) {
		_node_ at = {.fs = fs};

		if (nodes_get(fs->nodes, nodes[i], &at.node) < 0)
			continue;
		node_path(fs->nodes, at.node, path, sizeof path);
		json_array_append_new(list, status_text(path));
	}
	return list;
}

static void tell_one(struct fs *fs, const struct slate_blame *blame)
{
	const char *stage = *blame->stage ? blame->stage : "none";
	_node_ at = {.fs = fs};
	char signal[24], path[4096] = "?";

	if (nodes_get(fs->nodes, blame->node, &at.node) == 0)
		node_path(fs->nodes, at.node, path, sizeof path);
	else
		at.node = NULL;
	signal_name(blame->signal, signal);
	event_emit(fs, "disk-fault", at.node, NULL,
		   "the worker died of %s while it worked on this (operation %s, stage %s, fault "
		   "%u)",
		   signal, opcode_name(blame->opcode), stage, blame->count);
	if (!blame->quarantined) {
		log_warning("the worker died of %s over %s: operation %s, stage %s, fault %u of %u "
			    "that put it in quarantine; the calls are in the file \"faults\" of the "
			    "state directory",
			    signal, path, opcode_name(blame->opcode), stage, blame->count,
			    BLAME_LIMIT);
		return;
	}
	event_emit(fs, "disk-quarantined", at.node, NULL,
		   "%u faults: its I/O fails with EIO until `weir resume' lifts it", blame->count);
	log_error("%s is in quarantine after %u faults (the last: %s, operation %s, stage %s): its "
		  "I/O fails with EIO, all else goes on; see the file \"faults\" of the state "
		  "directory, change its policy or take it away, then run `weir resume' on it",
		  path, blame->count, signal, opcode_name(blame->opcode), stage);
}

void quarantine_tell(struct fs *fs)
{
	struct slate_blame fresh[SLATE_BLAMES];
	size_t n = blame_fresh(fs->blames, fresh, ARRAY_SIZE(fresh));

	for (size_t i = 0; i < n; i++)
		tell_one(fs, &fresh[i]);
}

/* ---- lifting ----------------------------------------------------------------------------- */

static size_t lift_one(struct fs *fs, uint64_t id)
{
	_node_ at = {.fs = fs};

	if (!blame_lift(fs->blames, id))
		return 0;
	if (nodes_get(fs->nodes, id, &at.node) < 0)
		at.node = NULL;
	event_emit(fs, "disk-resumed", at.node, NULL, "its quarantine is lifted");
	log_notice("the quarantine of node %llu is lifted", (unsigned long long)id);
	return 1;
}

static size_t lift_disk(struct fs *fs, struct node *node)
{
	_cleanup_(freep) struct handle *extents = NULL;
	size_t n = extents_of(fs, node, &extents), lifted = lift_one(fs, node->id);

	for (size_t i = 0; i < n; i++) {
		_node_ at = {.fs = fs, .node = nodes_known(fs->nodes, &extents[i])};

		lifted += at.node ? lift_one(fs, at.node->id) : 0;
	}
	return lifted;
}

size_t quarantine_lift(struct fs *fs, struct node *node)
{
	uint64_t nodes[SLATE_BLAMES];
	size_t n, lifted = 0;

	if (node->id != NODE_ROOT)
		return lift_disk(fs, node);
	n = blame_list(fs->blames, nodes, ARRAY_SIZE(nodes));
	for (size_t i = 0; i < n; i++)
		lifted += lift_one(fs, nodes[i]);
	return lifted;
}
