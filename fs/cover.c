/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/cover.c - see fs/cover.h. */
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "fs/callbacks.h"
#include "fs/chain.h"
#include "fs/cover.h"
#include "fs/family.h"
#include "fs/open.h"
#include "fs/recognise.h"
#include "fs/reconnect.h"

#define LEASE_TRIES 5 /* 2 ms apart */
#define MAX_DEPTH       64   /* of snapshot chains */
#define MAX_DIRECTORIES 2048 /* above each other: more do not fit into a path */

void cover_done(struct cover *c)
{
	applied_unref(c->applied);
}

const struct stack_part *cover_parts(const struct cover *c)
{
	return c->applied && !c->waits ? c->applied->parts : NULL;
}

size_t cover_depth(const struct cover *c)
{
	return c->applied && !c->waits ? c->applied->n_parts : 0;
}

/* ---- the disk it belongs to -------------------------------------------------------------- */

/* The disk that a descriptor says it is of: whose extent it is, or the snapshot's parent, and so
 * on; with @vm the VM that names one of them.  Remembered facts only. */
static bool by_descriptor(struct fs *fs, const struct handle *h, bool vm, struct assigned *ret)
{
	struct handle at = *h, next;

	for (int depth = 0; depth < MAX_DEPTH; depth++) {
		if (assign_owner(fs, &at, vm, ret))
			return true;
		if (chain_parent(fs, &at, &next) < 0)
			return false;
		if (assign_find(fs, &next, ret))
			return true;
		at = next;
	}
	return false;
}

/* The file of that name in the same directory has an assignment, or is part of what has one: the
 * data of a snapshot is named after the snapshot, and that one's parent may be called anything. */
static bool named_in(struct fs *fs, int dirfd, const char *name, struct assigned *ret)
{
	struct handle h;
	int mount_id;

	return handle_get(dirfd, name, &h, &mount_id) == 0 && mount_id == fs->store->mount_id &&
	       (assign_find(fs, &h, ret) || by_descriptor(fs, &h, false, ret));
}

static bool by_name(struct fs *fs, int dirfd, const char *name, struct assigned *ret)
{
	char bases[FAMILY_MAX][256];
	size_t n = family_base_names(name, bases);

	for (size_t i = 0; i < n; i++)
		if (named_in(fs, dirfd, bases[i], ret))
			return true;
	return false;
}

/* ---- the VM ------------------------------------------------------------------------------ */

static bool by_vm(struct fs *fs, uint64_t dir, const char *name, struct assigned *ret)
{
	_cleanup_(freep) struct assigned *all = NULL;
	size_t n = assign_vms_in(fs, dir, &all), best = 0;
	bool found = false;

	for (size_t i = 0; i < n; i++) {
		_node_ vmx = {.fs = fs};
		char vmx_name[256];

		if (nodes_get(fs->nodes, all[i].node, &vmx.node) < 0)
			continue;
		node_name(fs->nodes, vmx.node, vmx_name);
		if (!family_of_vmx(name, vmx_name) && n > 1)
			continue;
		if (found && strlen(vmx_name) < best)
			continue;
		best = strlen(vmx_name);
		*ret = all[i];
		found = true;
	}
	return found;
}

/* ---- directories ------------------------------------------------------------------------- */

/* The directory that a directory is really in, when the one we remember is gone. */
static int parent_of(struct fs *fs, struct node *dir, struct node **ret)
{
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	_cleanup_(closep) int fd = -1;
	struct stat st;
	int r;

	r = nodes_get(fs->nodes, node_parent(fs->nodes, dir), ret);
	if (r == 0)
		return 0;
	r = node_fd(fs, dir, FD_PATH, &ref);
	if (r < 0)
		return r;
	fd = openat(fdref_fd(ref), "..", O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : find_directory(fs, fd, ret, &st);
}

static bool by_directory(struct fs *fs, struct node *dir, struct assigned *ret)
{
	struct node *at = node_ref(fs->nodes, dir), *above = NULL;
	bool found = false;

	for (int depth = 0; at && !found && depth < MAX_DIRECTORIES; depth++) {
		found = assign_find(fs, &at->handle, ret);
		if (found || at->id == NODE_ROOT || parent_of(fs, at, &above) < 0)
			above = NULL;
		node_unref(fs->nodes, at);
		at = above;
	}
	node_unref(fs->nodes, at);
	return found;
}

/* ---- together ---------------------------------------------------------------------------- */

/* A file as it is known: by its handle (len 0: it does not exist yet) and its place. */
struct place {
	struct handle handle;
	struct node *dir;
	char name[256];
};

static bool find_related(struct fs *fs, const struct place *p, struct assigned *ret)
{
	struct assign_counts counts = assign_count(fs);
	_cleanup_(fdref_putp) struct fdref *ref = NULL;

	if (counts.files && p->handle.len && by_descriptor(fs, &p->handle, false, ret))
		return true;
	if (counts.files && node_fd(fs, p->dir, FD_PATH, &ref) == 0 &&
	    by_name(fs, fdref_fd(ref), p->name, ret))
		return true;
	if (counts.vms && p->handle.len && by_descriptor(fs, &p->handle, true, ret))
		return true;
	if (counts.vms && by_vm(fs, p->dir->id, p->name, ret))
		return true;
	return counts.directories && by_directory(fs, p->dir, ret);
}

static bool nothing_assigned(struct fs *fs)
{
	struct assign_counts c = assign_count(fs);

	return c.files + c.vms + c.directories == 0;
}

static bool find_place(struct fs *fs, const struct place *p, struct cover *ret)
{
	if (p->handle.len && assign_find(fs, &p->handle, &ret->by)) {
		ret->found = true;
	} else if (p->dir && find_related(fs, p, &ret->by)) {
		ret->found = ret->inherited = true;
	}
	return ret->found;
}

static int load_applied(struct fs *fs, struct cover *c)
{
	_cleanup_(freep) char *why = NULL;
	int r = applied_load(assign_applied(fs), c->by.policy, c->by.digest, &c->applied, &why);

	if (r == -ENOMEM)
		return r;
	if (r < 0)
		log_error("policy %s cannot be used: %s", c->by.policy, why ? why : strerror(-r));
	return 0;
}

int cover_find(struct fs *fs, struct node *node, struct cover *ret)
{
	_node_ dir = {.fs = fs};
	struct place place = {.handle = node->handle};

	*ret = (struct cover){0};
	if (nothing_assigned(fs))
		return 0;
	if (node->id != NODE_ROOT &&
	    nodes_get(fs->nodes, node_parent(fs->nodes, node), &dir.node) == 0)
		place.dir = dir.node;
	node_name(fs->nodes, node, place.name);
	if (!find_place(fs, &place, ret))
		return 0;
	return load_applied(fs, ret);
}

/* ---- questions --------------------------------------------------------------------------- */

bool cover_needs_daemon(struct fs *fs, struct node *node)
{
	_cleanup_(cover_done) struct cover c = {0};

	if (cover_find(fs, node, &c) < 0)
		return true;
	/* A policy whose copy is lost may have stages: never let its bytes pass unseen. */
	return c.found && (!c.applied || c.applied->n_parts ||
			   policy_forbids_passthrough(c.applied->policy));
}

bool cover_has_stages(struct fs *fs, struct node *node)
{
	_cleanup_(cover_done) struct cover c = {0};

	return cover_find(fs, node, &c) == 0 && cover_depth(&c);
}

/* Parent and name are hints: after a restart they can be of a name that is gone. */
static bool place_is_true(struct fs *fs, struct node *node)
{
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	_node_ dir = {.fs = fs};
	struct handle h;
	char name[256];
	int mount_id;

	node_name(fs->nodes, node, name);
	return nodes_get(fs->nodes, node_parent(fs->nodes, node), &dir.node) == 0 &&
	       node_fd(fs, dir.node, FD_PATH, &ref) == 0 &&
	       handle_get(fdref_fd(ref), name, &h, &mount_id) == 0 &&
	       handle_equal(&h, &node->handle);
}

/* The search by name corrects the hints on its way. */
static int find_place_anew(struct fs *fs, struct node *node, struct cover *ret)
{
	_cleanup_(closep) int fd = reconnect_find(fs, &node->handle, -EACCES);

	return cover_find(fs, node, ret);
}

int cover_may_link(struct fs *fs, struct node *node, struct node *dir, const char *name)
{
	_cleanup_(cover_done) struct cover here = {0}, there = {0};
	struct place place = {.dir = dir};
	size_t len = strlen(name);
	int r;

	if (nothing_assigned(fs))
		return 0;
	r = cover_find(fs, node, &here);
	if (r < 0)
		return r;
	if (here.found && !here.inherited)
		return 0; /* its own goes with it, under every name */
	if (!place_is_true(fs, node)) {
		cover_done(&here);
		here = (struct cover){0};
		r = find_place_anew(fs, node, &here);
		if (r < 0)
			return r;
	}
	memcpy(place.name, name, MIN(len, sizeof place.name - 1));
	if (find_place(fs, &place, &there) != here.found)
		return -EXDEV;
	return here.found && strcmp(here.by.policy, there.by.policy) ? -EXDEV : 0;
}

/* ---- the lease --------------------------------------------------------------------------- */

/* A write lease is granted only while nobody else has the file open: no passthrough handle or
 * mapping lives, whatever our counts say.  It is let go at once: only we open the way. */
static bool lease_tried(struct fs *fs, struct node *node)
{
	_cleanup_(closep) int fd = -1;

	if (!fdcache_forget(fs->fds, &node->handle))
		return false; /* one of ours is in use this very moment */
	fd = reconnect_open(fs, &node->handle, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	if (fcntl(fd, F_SETLEASE, F_WRLCK) < 0)
		return errno == EINVAL || errno == EOPNOTSUPP; /* a filesystem without leases */
	fcntl(fd, F_SETLEASE, F_UNLCK);
	return true;
}

/* Not while the helper has the file open, and not at once refused: a descriptor of our own may be
 * borrowed for a call or on its way to be closed this very moment. */
static bool lease_granted(struct fs *fs, struct node *node)
{
	_cleanup_(recognise_hold_end) struct recognise_hold hold = {
		.of = fs->recogniser, .handle = &node->handle};

	recognise_hold_begin(&hold);
	for (int i = 0; i < LEASE_TRIES; i++) {
		if (lease_tried(fs, node))
			return true;
		nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
	}
	return false;
}

bool cover_is_held(struct fs *fs, struct node *node)
{
	struct stat st;
	bool held;

	if (node_attributes(fs, node, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	open_begin(fs, node);
	held = !node->open && !node->disk && !lease_granted(fs, node);
	open_end(fs, node);
	return held;
}

int cover_claim(struct fs *fs, struct node *node, struct cover *ret)
{
	int r = cover_find(fs, node, ret);

	if (r == 0 && ret->found && !ret->applied)
		return -EIO; /* its policy cannot be read: fail closed, status says why */
	if (r == 0 && cover_depth(ret) && !node->open && !lease_granted(fs, node))
		ret->waits = true;
	return r;
}
