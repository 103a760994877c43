/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/assign.c - the table of assignments; see fs/assign.h.
 *
 * Two tables by handle: what has an assignment, and what belongs to something that has one (the
 * extents of a descriptor, the files a .vmx names), as recognition saw it when the policy was
 * attached or the datastore mounted.
 */
#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "fs/assign.h"
#include "fs/assign_table.h"
#include "fs/chain.h"
#include "fs/events.h"

#define BUCKETS  4096
#define REFUSALS 256

struct row {
	struct row *next;
	struct assigned a;
	bool complete; /* the digest was read from the header */
	bool told;     /* that its policy file has changed */
};

struct part {
	struct part *next;
	struct handle part, owner;
};

struct assignments {
	pthread_mutex_t lock; /* protects the tables and counts */
	pthread_mutex_t change_lock; /* before it: one change at a time; held over system calls */
	struct row *rows[BUCKETS];
	struct part *parts[BUCKETS];
	struct assign_counts counts;
	uint32_t beside[BUCKETS]; /* files and VMs with an assignment, by a hash of their directory */
	struct applied_set *applied;
	struct { uint64_t node; char *why; } refusals[REFUSALS];
	unsigned next_refusal;
};

static struct row **bucket(struct assignments *a, const struct handle *h)
{
	return &a->rows[handle_hash(h) % BUCKETS];
}

static struct row *find_row(struct assignments *a, const struct handle *h)
{
	struct row *row = *bucket(a, h);

	while (row && !handle_equal(&row->a.handle, h))
		row = row->next;
	return row;
}

static size_t *counter(struct assignments *a, uint32_t flags)
{
	if (flags & CATALOG_DISK_DIRECTORY)
		return &a->counts.directories;
	return flags & CATALOG_DISK_VM ? &a->counts.vms : &a->counts.files;
}

const char *const *assign_directories(struct fs *fs)
{
	return (const char *const *)fs->policy_directories;
}

struct applied_set *assign_applied(struct fs *fs)
{
	return fs->assignments->applied;
}

pthread_mutex_t *assign_change_lock(struct fs *fs)
{
	return &fs->assignments->change_lock;
}

struct assign_counts assign_count(struct fs *fs)
{
	LOCKED(&fs->assignments->lock);
	return fs->assignments->counts;
}

/* ---- beside ------------------------------------------------------------------------------ */

static uint32_t *beside(struct assignments *a, uint64_t dir)
{
	return &a->beside[(dir * 0x9e3779b97f4a7c15ull >> 40) % BUCKETS];
}

static void count_beside(struct assignments *a, const struct assigned *row, int by)
{
	if (!(row->flags & CATALOG_DISK_DIRECTORY))
		*beside(a, row->dir) += (uint32_t)by;
}

bool assign_beside(struct fs *fs, uint64_t dir)
{
	LOCKED(&fs->assignments->lock);
	return *beside(fs->assignments, dir);
}

/* ---- rows -------------------------------------------------------------------------------- */

int assign_put_row(struct fs *fs, const struct assigned *assigned, bool complete)
{
	struct assignments *a = fs->assignments;
	struct row *row, *fresh = calloc(1, sizeof *fresh);

	if (!fresh)
		return -ENOMEM;
	LOCKED(&a->lock);
	row = find_row(a, &assigned->handle);
	if (row) {
		free(fresh);
		--*counter(a, row->a.flags);
		count_beside(a, &row->a, -1);
	} else {
		row = fresh;
		row->next = *bucket(a, &assigned->handle);
		*bucket(a, &assigned->handle) = row;
	}
	row->a = *assigned;
	row->complete = complete;
	row->told = false;
	++*counter(a, assigned->flags);
	count_beside(a, assigned, 1);
	return 0;
}

void assign_drop_row(struct fs *fs, const struct handle *h)
{
	struct assignments *a = fs->assignments;
	struct row **at, *row;

	LOCKED(&a->lock);
	for (at = bucket(a, h); *at && !handle_equal(&(*at)->a.handle, h); at = &(*at)->next)
		;
	row = *at;
	if (!row)
		return;
	*at = row->next;
	--*counter(a, row->a.flags);
	count_beside(a, &row->a, -1);
	free(row);
}

/* Somebody may have dropped the row or put another meanwhile: that is newer. */
static void finish_row(struct assignments *a, const struct assigned *assigned)
{
	struct row *row;

	LOCKED(&a->lock);
	row = find_row(a, &assigned->handle);
	if (!row || row->complete || memcmp(&row->a.id, &assigned->id, sizeof row->a.id))
		return;
	row->a = *assigned;
	row->complete = true;
}

/* The catalog's copy has no digest: read the header once, when it is first needed. */
static void complete_row(struct fs *fs, struct assigned *a)
{
	struct disk_header header;
	int r = header_read(fs->store->disks_fd, &a->id, &header);

	if (r < 0) {
		char id[33];

		disk_id_text(&a->id, id);
		log_error("the header of disk %s cannot be read: %s; run `weir check`", id,
			  strerror(-r));
		memset(a->digest, 0, sizeof a->digest); /* no copy has it: fails closed */
	} else {
		memcpy(a->digest, header.policy_digest, sizeof a->digest);
		memcpy(a->policy, header.policy, sizeof a->policy);
		a->version = header.policy_version;
	}
	finish_row(fs->assignments, a);
}

bool assign_find(struct fs *fs, const struct handle *h, struct assigned *ret)
{
	struct assignments *a = fs->assignments;
	struct row *row;
	bool complete;

	pthread_mutex_lock(&a->lock);
	row = find_row(a, h);
	if (row)
		*ret = row->a;
	complete = row && row->complete;
	pthread_mutex_unlock(&a->lock);
	if (row && !complete)
		complete_row(fs, ret);
	return row;
}

bool assign_peek(struct fs *fs, const struct handle *h, struct assigned *ret)
{
	struct row *row;

	LOCKED(&fs->assignments->lock);
	row = find_row(fs->assignments, h);
	if (row)
		*ret = row->a;
	return row;
}

bool assign_is_complete(struct fs *fs, const struct handle *h)
{
	struct row *row;

	LOCKED(&fs->assignments->lock);
	row = find_row(fs->assignments, h);
	return row && row->complete;
}

static size_t copy_rows(struct assignments *a, bool (*want)(const struct assigned *, uint64_t),
			uint64_t argument, struct assigned **ret)
{
	size_t n = 0, room;

	LOCKED(&a->lock);
	room = a->counts.files + a->counts.vms + a->counts.directories;
	*ret = calloc(room + 1, sizeof **ret);
	for (size_t b = 0; *ret && b < BUCKETS; b++)
		for (struct row *row = a->rows[b]; row && n < room; row = row->next)
			if (want(&row->a, argument))
				(*ret)[n++] = row->a;
	return n;
}

static bool want_all(const struct assigned *a, uint64_t unused)
{
	return true;
}

static bool want_vm_in(const struct assigned *a, uint64_t dir)
{
	return (a->flags & CATALOG_DISK_VM) && a->dir == dir;
}

size_t assign_all(struct fs *fs, struct assigned **ret)
{
	return copy_rows(fs->assignments, want_all, 0, ret);
}

size_t assign_vms_in(struct fs *fs, uint64_t dir, struct assigned **ret)
{
	return copy_rows(fs->assignments, want_vm_in, dir, ret);
}

void assign_file_moved(struct fs *fs, struct node *node)
{
	struct row *row;
	uint64_t dir = node_parent(fs->nodes, node);

	LOCKED(&fs->assignments->lock);
	row = find_row(fs->assignments, &node->handle);
	if (!row)
		return;
	count_beside(fs->assignments, &row->a, -1);
	row->a.node = node->id;
	row->a.dir = dir;
	count_beside(fs->assignments, &row->a, 1);
}

void assign_tell_out_of_date(struct fs *fs, struct node *node, const struct assigned *a)
{
	struct row *row;
	bool first;

	pthread_mutex_lock(&fs->assignments->lock);
	row = find_row(fs->assignments, &a->handle);
	first = row && !row->told;
	if (row)
		row->told = true;
	pthread_mutex_unlock(&fs->assignments->lock);
	if (first)
		event_emit(fs, "policy-out-of-date", node, a->policy,
			   "the file of policy %s has changed; `weir policy apply` brings it into "
			   "force", a->policy);
}

/* ---- parts ------------------------------------------------------------------------------- */

static struct part **part_bucket(struct assignments *a, const struct handle *h)
{
	return &a->parts[handle_hash(h) % BUCKETS];
}

/* A disk's extent is the disk's and, by what the .vmx says, the VM's as well. */
static bool find_owner(struct assignments *a, const struct handle *part, bool vm,
		       struct handle *ret)
{
	LOCKED(&a->lock);
	for (struct part *p = *part_bucket(a, part); p; p = p->next) {
		struct row *row = handle_equal(&p->part, part) ? find_row(a, &p->owner) : NULL;

		if (!row || !!(row->a.flags & CATALOG_DISK_VM) != vm)
			continue;
		*ret = p->owner;
		return true;
	}
	return false;
}

bool assign_owner(struct fs *fs, const struct handle *part, bool vm, struct assigned *ret)
{
	struct handle owner;

	return find_owner(fs->assignments, part, vm, &owner) && assign_find(fs, &owner, ret);
}

static void drop_parts_of(struct assignments *a, const struct handle *owner)
{
	LOCKED(&a->lock);
	for (size_t b = 0; b < BUCKETS; b++) {
		for (struct part **at = &a->parts[b], *p; (p = *at);) {
			if (!handle_equal(&p->owner, owner)) {
				at = &p->next;
				continue;
			}
			*at = p->next;
			free(p);
		}
	}
}

static void add_part(struct assignments *a, const struct handle *part, const struct handle *owner)
{
	struct part *p = calloc(1, sizeof *p);

	if (!p)
		return;
	p->part = *part;
	p->owner = *owner;
	LOCKED(&a->lock);
	p->next = *part_bucket(a, part);
	*part_bucket(a, part) = p;
}

void assign_learn_parts(struct fs *fs, struct node *node, uint32_t flags)
{
	_cleanup_(freep) struct handle *parts = NULL;
	size_t n = 0;
	int r;

	drop_parts_of(fs->assignments, &node->handle);
	if (flags & CATALOG_DISK_DIRECTORY)
		return;
	r = flags & CATALOG_DISK_VM ? vm_members(fs, node, &parts, &n)
				    : chain_extent_handles(fs, node, &parts, &n);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (!handle_equal(&parts[i], &node->handle))
			add_part(fs->assignments, &parts[i], &node->handle);
}

void assign_forget_parts(struct fs *fs, const struct handle *owner)
{
	drop_parts_of(fs->assignments, owner);
}

/* ---- refusals ---------------------------------------------------------------------------- */

void assign_note_refusal(struct fs *fs, uint64_t node, const char *why)
{
	struct assignments *a = fs->assignments;
	unsigned at;

	LOCKED(&a->lock);
	for (at = 0; at < REFUSALS && a->refusals[at].node != node; at++)
		;
	if (at == REFUSALS && !why)
		return;
	if (at == REFUSALS)
		at = a->next_refusal++ % REFUSALS;
	free(a->refusals[at].why);
	a->refusals[at].node = why ? node : 0;
	a->refusals[at].why = why ? strdup(why) : NULL;
}

char *assign_refusal(struct fs *fs, uint64_t node)
{
	struct assignments *a = fs->assignments;

	LOCKED(&a->lock);
	for (unsigned i = 0; i < REFUSALS; i++)
		if (a->refusals[i].why && a->refusals[i].node == node)
			return strdup(a->refusals[i].why);
	return NULL;
}

/* ---- life -------------------------------------------------------------------------------- */

int assignments_new(struct fs *fs, struct assignments **ret)
{
	struct assignments *a = calloc(1, sizeof *a);
	int r;

	if (!a)
		return -ENOMEM;
	pthread_mutex_init(&a->lock, NULL);
	pthread_mutex_init(&a->change_lock, NULL);
	r = applied_set_new(fs->store->weir_fd, &a->applied);
	*ret = fs->assignments = a; /* the loading below looks for it there */
	if (r == 0)
		r = assign_load(fs);
	return r;
}

void assignments_free(struct assignments *a)
{
	if (!a)
		return;
	for (size_t b = 0; b < BUCKETS; b++) {
		for (struct row *row = a->rows[b], *next; row; row = next) {
			next = row->next;
			free(row);
		}
		for (struct part *p = a->parts[b], *next; p; p = next) {
			next = p->next;
			free(p);
		}
	}
	for (unsigned i = 0; i < REFUSALS; i++)
		free(a->refusals[i].why);
	applied_set_free(a->applied);
	pthread_mutex_destroy(&a->lock);
	pthread_mutex_destroy(&a->change_lock);
	free(a);
}
