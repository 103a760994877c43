/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/assign_change.c - attaching, replacing, clearing and applying policies; see fs/assign.h.
 *
 * The order of a first attachment: the policy's copy, the header, the mark on the file, the
 * catalog's copy, memory; each durable before the next.  A header without a mark is nobody's and
 * `weir check` removes it; a mark without a header cannot be.  A replacement changes the header
 * in one step.  So after a kill at any moment the assignment is the old or the new one.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/why.h"
#include "fs/assign_table.h"
#include "fs/cover.h"
#include "fs/disk.h"
#include "fs/events.h"
#include "fs/open.h"
#include "fs/recognise.h"

static uint64_t realtime_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Directory, VM (.vmx by content) or file.  Only these can carry a policy. */
static int kind_of(struct fs *fs, struct node *node, uint32_t *ret_flags, char **ret_why)
{
	json_t *facts = NULL;
	struct stat st;
	int r = node_attributes(fs, node, &st);

	if (r < 0)
		return r;
	*ret_flags = 0;
	if (S_ISDIR(st.st_mode)) {
		*ret_flags = CATALOG_DISK_DIRECTORY;
		return 0;
	}
	if (!S_ISREG(st.st_mode))
		return why_set(-EINVAL, ret_why, "a policy can be attached to a file or a "
						 "directory, not to a link or a special file");
	if (recognise(fs, node, &facts) == 0) {
		const char *type = json_string_value(json_object_get(facts, "type"));

		if (type && !strcmp(type, "vmx"))
			*ret_flags = CATALOG_DISK_VM;
		json_decref(facts);
	}
	return 0;
}

/* ---- the durable steps ------------------------------------------------------------------- */

static void fill_header(struct disk_header *h, const struct node *node, const struct policy *p,
			uint32_t flags, uid_t uid)
{
	h->handle = node->handle;
	h->flags = flags;
	h->assigned_ns = realtime_ns();
	h->assigned_uid = uid;
	h->policy_version = p ? policy_version(p) : 0;
	memset(h->policy, 0, sizeof h->policy);
	memset(h->policy_digest, 0, sizeof h->policy_digest);
	if (!p)
		return;
	snprintf(h->policy, sizeof h->policy, "%s", policy_name(p));
	memcpy(h->policy_digest, policy_digest(p), sizeof h->policy_digest);
}

static int sync_mark(struct fs *fs, int fd, const struct disk_id *id)
{
	int r = disk_mark_write(fs->store->marks, fd, id);

	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

/* The mark goes before its header: a mark without one would be damage.  When it cannot be removed
 * the header stays with it. */
static void remove_both(struct fs *fs, int fd, const struct disk_id *id)
{
	int r = disk_mark_remove(fs->store->marks, fd);

	if (r == 0 || r == -ENODATA)
		r = header_remove(fs->store->disks_fd, id);
	if (r < 0 && r != -ENOENT)
		log_warning("what is left of an assignment cannot be removed: %s; the next mount "
			    "does it", strerror(-r));
}

static int first_header(struct fs *fs, int fd, struct disk_header *h)
{
	int r;

	disk_id_new(&h->id);
	r = header_create(fs->store->disks_fd, h);
	if (r == 0)
		r = sync_mark(fs, fd, &h->id);
	if (r < 0)
		remove_both(fs, fd, &h->id);
	return r;
}

/* The file's own header, or -ENOENT when it has none: no mark, or the mark of another file of
 * which it is a copy. */
static int own_header(struct fs *fs, int fd, const struct node *node, struct disk_header *ret)
{
	struct disk_id id;
	int r = disk_mark_read(fs->store->marks, fd, &id);

	if (r == -ENODATA || r == -EUCLEAN)
		return -ENOENT;
	if (r == 0)
		r = header_read(fs->store->disks_fd, &id, ret);
	if (r == 0 && !handle_equal(&ret->handle, &node->handle))
		r = -ENOENT;
	return r;
}

static int write_assignment(struct fs *fs, struct node *node, const struct policy *p,
			    uint32_t flags, uid_t uid, struct disk_header *ret)
{
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	int r = node_fd(fs, node, FD_READ, &ref);

	if (r < 0)
		return r;
	*ret = (struct disk_header){0};
	r = own_header(fs, fdref_fd(ref), node, ret);
	if (r == -ENOENT) {
		fill_header(ret, node, p, flags, uid);
		return first_header(fs, fdref_fd(ref), ret);
	}
	if (r < 0)
		return r;
	fill_header(ret, node, p, flags, uid);
	return header_write(fs->store->disks_fd, ret);
}

static int copy_to_catalog(struct fs *fs, const struct node *node, const struct disk_header *h)
{
	struct catalog_disk d = {.id = h->id, .handle = h->handle, .node = node->id,
				 .flags = h->flags, .policy_version = h->policy_version};

	memcpy(d.policy, h->policy, sizeof d.policy);
	return catalog_put_disk(fs->catalog, &d);
}

static int remember(struct fs *fs, struct node *node, const struct disk_header *h)
{
	struct assigned a = {.id = h->id, .handle = h->handle, .node = node->id,
			     .flags = h->flags, .version = h->policy_version,
			     .dir = node_parent(fs->nodes, node)};
	int r;

	memcpy(a.policy, h->policy, sizeof a.policy);
	memcpy(a.digest, h->policy_digest, sizeof a.digest);
	nodes_commit_now(fs->nodes); /* a row must not name an id that a kill takes back */
	r = copy_to_catalog(fs, node, h);
	if (r < 0) /* the header is the truth; weir check makes the copy again */
		log_error("catalog: cannot note an assignment: %s; run `weir check` after the "
			  "next unmount", strerror(-r));
	r = assign_put_row(fs, &a, true);
	if (r == 0)
		assign_learn_parts(fs, node, a.flags);
	return r;
}

static int forget(struct fs *fs, struct node *node, const struct assigned *a)
{
	int r = catalog_delete_disk(fs->catalog, &a->id);

	if (r < 0 && r != -ENOENT)
		log_error("catalog: cannot forget an assignment: %s", strerror(-r));
	assign_drop_row(fs, &a->handle);
	assign_forget_parts(fs, &a->handle);
	return 0;
}

/* The mark goes last: until then the header is found and says "none". */
static int clear_durably(struct fs *fs, struct node *node, const struct assigned *a)
{
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	struct disk_header h;
	int r = node_fd(fs, node, FD_READ, &ref);

	if (r == 0)
		r = header_read(fs->store->disks_fd, &a->id, &h);
	if (r < 0)
		return r;
	fill_header(&h, node, NULL, a->flags, 0);
	r = header_write(fs->store->disks_fd, &h);
	if (r < 0)
		return r;
	remove_both(fs, fdref_fd(ref), &a->id); /* from here on it is cleared, whatever stays */
	return 0;
}

/* ---- open files -------------------------------------------------------------------------- */

static void refresh_one(struct fs *fs, uint64_t id)
{
	_node_ at = {.fs = fs};
	int r;

	if (nodes_get(fs->nodes, id, &at.node) < 0)
		return;
	r = disk_restack(fs, at.node);
	if (r < 0)
		event_emit(fs, "policy-refused", at.node, NULL,
			   "its stages cannot be built: %s; the old ones stay", strerror(-r));
}

void assign_refresh_open(struct fs *fs)
{
	_cleanup_(freep) uint64_t *ids = calloc(SLATE_OPENS, sizeof *ids);
	size_t n = ids ? open_list(fs, ids, SLATE_OPENS) : 0;

	for (size_t i = 0; i < n; i++)
		refresh_one(fs, ids[i]);
}

/* ---- set, clear -------------------------------------------------------------------------- */

static bool waits_for_close(struct fs *fs, struct node *node)
{
	return open_glance(fs, node).way == WAY_PASSTHROUGH && cover_has_stages(fs, node);
}

static void tell_attached(struct fs *fs, struct node *node, const char *name)
{
	if (waits_for_close(fs, node))
		event_emit(fs, "policy-pending", node, name,
			   "policy %s waits until the file is closed: it is open in passthrough",
			   name);
	else
		event_emit(fs, "policy-attached", node, name, "policy %s is attached", name);
}

static int attach(struct fs *fs, struct node *node, struct applied *applied, uint32_t flags,
		  uid_t uid, char **ret_why)
{
	struct disk_header h;
	int r = write_assignment(fs, node, applied->policy, flags, uid, &h);

	if (r == -ENOTSUP)
		return why_set(r, ret_why, "the datastore's filesystem has no trusted xattrs, so "
					   "no policy can be attached to anything on it");
	if (r < 0)
		return why_set(r, ret_why, "the assignment cannot be written: %s", strerror(-r));
	r = remember(fs, node, &h);
	if (r < 0)
		return r;
	assign_refresh_open(fs);
	tell_attached(fs, node, policy_name(applied->policy));
	return 0;
}

static int set_policy(struct fs *fs, struct node *node, const char *name, uid_t uid,
		      char **ret_why)
{
	_cleanup_(applied_unrefp) struct applied *applied = NULL;
	uint32_t flags;
	int r;

	r = kind_of(fs, node, &flags, ret_why);
	if (r == 0)
		r = applied_take(assign_applied(fs), assign_directories(fs), name, &applied,
				 ret_why);
	if (r < 0)
		return r;
	return attach(fs, node, applied, flags, uid, ret_why);
}

static int clear_policy(struct fs *fs, struct node *node, char **ret_why)
{
	struct assigned a;
	int r;

	if (!assign_find(fs, &node->handle, &a))
		return why_set(-ENODATA, ret_why, "no policy is attached to this very object");
	r = clear_durably(fs, node, &a);
	if (r < 0)
		return why_set(r, ret_why, "the assignment cannot be cleared: %s", strerror(-r));
	forget(fs, node, &a);
	assign_refresh_open(fs);
	event_emit(fs, "policy-cleared", node, a.policy, "policy %s is cleared", a.policy);
	return 0;
}

int assign_set(struct fs *fs, struct node *node, const char *name, uid_t uid, char **ret_why)
{
	int r;

	unsigned tries = 0;

	*ret_why = NULL;
	LOCKED(assign_change_lock(fs));
	do {
		free(TAKE_PTR(*ret_why));
		r = name ? set_policy(fs, node, name, uid, ret_why)
			 : clear_policy(fs, node, ret_why);
	} while (r < 0 && fdcache_make_room(fs->fds, r, &tries));
	if (r < 0 && r != -ENODATA) {
		event_emit(fs, "policy-refused", node, name, "%s",
			   *ret_why ? *ret_why : strerror(-r));
		assign_note_refusal(fs, node->id, *ret_why ? *ret_why : strerror(-r));
	} else if (r == 0) {
		assign_note_refusal(fs, node->id, NULL);
	}
	return r;
}

/* ---- apply ------------------------------------------------------------------------------- */

static int apply_one(struct fs *fs, const struct assigned *a, char **ret_why)
{
	_cleanup_(applied_unrefp) struct applied *applied = NULL;
	_node_ at = {.fs = fs};
	int r;

	r = nodes_get(fs->nodes, a->node, &at.node);
	if (r == 0)
		r = applied_take(assign_applied(fs), assign_directories(fs), a->policy, &applied,
				 ret_why);
	if (r < 0)
		return r;
	if (!memcmp(policy_digest(applied->policy), a->digest, sizeof a->digest))
		return 0;
	r = attach(fs, at.node, applied, a->flags, 0, ret_why);
	if (r == 0)
		event_emit(fs, "policy-applied", at.node, a->policy, "policy %s is at version %llu",
			   a->policy, (unsigned long long)policy_version(applied->policy));
	return r;
}

/* True when @node is @top or lies below it. */
static bool is_below(struct fs *fs, uint64_t node, const struct node *top)
{
	for (int depth = 0; node && depth < 64; depth++) {
		_node_ at = {.fs = fs};

		if (node == top->id)
			return true;
		if (node == NODE_ROOT || nodes_get(fs->nodes, node, &at.node) < 0)
			return false;
		node = node_parent(fs->nodes, at.node);
	}
	return false;
}

/* Those below @top, and what covers @top itself, wherever it is attached. */
int assign_apply(struct fs *fs, struct node *top, char **ret_why)
{
	_cleanup_(cover_done) struct cover cover = {0};
	_cleanup_(freep) struct assigned *all = NULL;
	size_t n;
	int r, first = 0;

	*ret_why = NULL;
	LOCKED(assign_change_lock(fs));
	n = assign_all(fs, &all);
	first = cover_find(fs, top, &cover);
	for (size_t i = 0; i < n; i++) {
		_cleanup_(freep) char *why = NULL;
		struct assigned a;

		if (!is_below(fs, all[i].node, top) &&
		    !(cover.found && handle_equal(&cover.by.handle, &all[i].handle)))
			continue;
		if (!assign_find(fs, &all[i].handle, &a))
			continue;
		r = apply_one(fs, &a, &why);
		if (r < 0 && !first) {
			first = r;
			*ret_why = TAKE_PTR(why);
		}
	}
	return first;
}

void assign_apply_all(struct fs *fs)
{
	_cleanup_(freep) char *why = NULL;
	_node_ root = {.fs = fs};
	int r = nodes_get(fs->nodes, NODE_ROOT, &root.node);

	if (r == 0)
		r = assign_apply(fs, root.node, &why);
	if (r < 0)
		log_error("not all policies could be applied: %s", why ? why : strerror(-r));
	else
		log_notice("all disks are up to their policy files");
}

/* ---- what happened to files --------------------------------------------------------------- */

void assign_file_unlinked(struct fs *fs, const struct handle *h, bool last_name)
{
	struct assigned a;

	if (!last_name || !assign_find(fs, h, &a))
		return;
	LOCKED(assign_change_lock(fs));
	forget(fs, NULL, &a);
	header_remove(fs->store->disks_fd, &a.id);
}

/* A rename over a disk takes over its assignment, not its id. */
void assign_file_replaced(struct fs *fs, const struct handle *old, const struct handle *by,
			  bool last_name)
{
	_cleanup_(applied_unrefp) struct applied *applied = NULL;
	_cleanup_(freep) char *why = NULL;
	_node_ at = {.fs = fs};
	struct assigned a, own;

	if (!assign_find(fs, old, &a))
		return;
	at.node = nodes_known(fs->nodes, by);
	if (at.node && !assign_find(fs, by, &own)) {
		LOCKED(assign_change_lock(fs));
		if (applied_load(assign_applied(fs), a.policy, a.digest, &applied, &why) < 0 ||
		    attach(fs, at.node, applied, a.flags, 0, &why) < 0)
			log_error("a file that replaced a disk could not take over policy %s: %s",
				  a.policy, why ? why : "no memory");
	}
	assign_file_unlinked(fs, old, last_name);
}

/* What waited for the close comes into force: the next open goes through the stages. */
void assign_file_closed(struct fs *fs, struct node *node, bool passed)
{
	_cleanup_(cover_done) struct cover c = {0};

	if (passed && cover_find(fs, node, &c) == 0 && cover_depth(&c))
		event_emit(fs, "policy-attached", node, c.by.policy,
			   "policy %s is in force: the file was closed", c.by.policy);
}
