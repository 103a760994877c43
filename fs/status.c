/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/status.c - see fs/status.h. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/chain.h"
#include "fs/cover.h"
#include "fs/disk.h"
#include "fs/events.h"
#include "fs/fault.h"
#include "fs/file_users.h"
#include "fs/open.h"
#include "fs/quarantine.h"
#include "fs/recognise.h"
#include "fs/status.h"
#include "fs/status_mount.h"
#include "fs/watchdog.h"

/* What of an open file's stack matters here, read while we own its open state. */
struct running {
	struct open_info open;
	bool has_disk, waits;
	uint8_t digest[32]; /* of the policy whose stages it has */
	bool has_stages;
	json_t *stats;
};

static struct running look(struct fs *fs, struct node *node)
{
	struct running r = {0};

	open_begin(fs, node);
	r.open = open_state(fs, node);
	if (node->disk) {
		struct disk *d = node->disk;

		r.has_disk = true;
		r.waits = d->waits;
		r.has_stages = d->applied;
		if (d->applied)
			memcpy(r.digest, policy_digest(d->applied->policy), 32);
		r.stats = stack_stats(d->stack);
	}
	open_end(fs, node);
	if (!r.stats)
		r.stats = json_object();
	return r;
}

static bool adds_up(const char *key)
{
	static const char *const counters[] = {"ops", "bytes", "errors", "waiting", "delayed",
					       "delayed_us", "now"};

	for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
		if (!strcmp(key, counters[i]))
			return true;
	return key[0] >= '0' && key[0] <= '9'; /* of a histogram of block sizes */
}

/* Counters add up; of latencies, shares and settings the larger one is told. */
static void add_stats(json_t *to, json_t *from)
{
	const char *key;
	json_t *value, *mine;

	json_object_foreach (from, key, value) {
		mine = json_object_get(to, key);
		if (!mine || json_is_null(mine))
			json_object_set(to, key, value);
		else if (json_is_object(mine) && json_is_object(value))
			add_stats(mine, value);
		else if (json_is_integer(mine) && json_is_integer(value))
			json_integer_set(mine, adds_up(key) ? json_integer_value(mine) +
								      json_integer_value(value)
							    : MAX(json_integer_value(mine),
								  json_integer_value(value)));
		else if (json_is_real(mine) && json_number_value(value) > json_real_value(mine))
			json_real_set(mine, json_number_value(value));
	}
}

static void add_running(struct running *to, struct running *part)
{
	if (part->open.way > to->open.way)
		to->open.way = part->open.way;
	to->open.opens = MAX(to->open.opens, part->open.opens);
	to->has_disk |= part->has_disk;
	to->waits |= part->waits;
	if (part->has_stages) {
		to->has_stages = true;
		memcpy(to->digest, part->digest, sizeof to->digest);
	}
	add_stats(to->stats, part->stats);
	json_decref(part->stats);
}

/* A disk runs where its extents run: the descriptor itself is read once and closed. */
static struct running look_at_disk(struct fs *fs, struct node *node)
{
	_cleanup_(freep) struct handle *extents = NULL;
	struct running whole = look(fs, node);
	size_t n = 0;

	if ((node->flags & NODE_DIRECTORY) || chain_extent_handles(fs, node, &extents, &n) < 0)
		return whole;
	for (size_t i = 0; i < n; i++) {
		_node_ at = {.fs = fs, .node = nodes_known(fs->nodes, &extents[i])};
		struct running part;

		if (!at.node || at.node == node)
			continue;
		part = look(fs, at.node);
		add_running(&whole, &part);
	}
	return whole;
}

json_t *status_stats(struct fs *fs, struct node *node)
{
	return look_at_disk(fs, node).stats;
}

/* ---- compliance -------------------------------------------------------------------------- */

struct judged {
	enum compliance word;
	const char *why;
	struct cover cover;
	struct policy *file; /* the policy file as it is today; NULL: it does not load */
};

static void judged_done(struct judged *j)
{
	cover_done(&j->cover);
	policy_unref(j->file);
}

/* What the next open of a closed file would meet is pending already. */
static bool is_pending(struct fs *fs, struct node *node, const struct running *run,
		       const struct cover *cover)
{
	if (!cover_depth(cover))
		return false;
	if (run->open.way == WAY_CLOSED)
		return cover_is_held(fs, node);
	return run->open.way == WAY_PASSTHROUGH || run->waits;
}

static void judge(struct fs *fs, struct node *node, const struct running *run, struct judged *j)
{
	struct compliance_facts facts = {.covered = true};
	_cleanup_(freep) char *why = NULL;

	*j = (struct judged){0};
	if (cover_find(fs, node, &j->cover) < 0 || !j->cover.found) {
		j->word = compliance_decide(&facts, &j->why);
		return;
	}
	facts.has_policy = true;
	if (policy_load(assign_directories(fs), j->cover.by.policy, &j->file, &why) < 0)
		j->file = NULL;
	facts.policy_readable = j->file && j->cover.applied;
	facts.applied_version = j->cover.by.version;
	facts.file_version = j->file ? policy_version(j->file) : 0;
	facts.applied_digest_same =
		j->file && !memcmp(policy_digest(j->file), j->cover.by.digest, 32);
	facts.in_use = run->has_disk;
	facts.pending = is_pending(fs, node, run, &j->cover);
	facts.stack_matches = cover_depth(&j->cover)
				      ? run->has_stages &&
						!memcmp(run->digest, j->cover.by.digest, 32)
				      : !run->has_stages;
	j->word = compliance_decide(&facts, &j->why);
	if (j->word == COMPLIANCE_OUT_OF_DATE)
		assign_tell_out_of_date(fs, node, &j->cover.by);
}

enum compliance status_compliance(struct fs *fs, struct node *node)
{
	struct running run = look_at_disk(fs, node);
	_cleanup_(judged_done) struct judged j;

	judge(fs, node, &run, &j);
	json_decref(run.stats);
	return j.word;
}

static json_t *compliance_json(struct fs *fs, const struct node *node, const struct judged *j)
{
	json_t *c = json_object();
	_cleanup_(freep) char *refusal = assign_refusal(fs, node->id);

	json_object_set_new(c, "state", json_string(compliance_name(j->word)));
	if (j->why)
		json_object_set_new(c, "why", status_text(j->why));
	if (refusal)
		json_object_set_new(c, "refused", status_text(refusal));
	if (j->cover.found && j->file)
		json_object_set_new(c, "expected", policy_json(j->file));
	if (j->cover.applied)
		json_object_set_new(c, "current", policy_json(j->cover.applied->policy));
	return c;
}

/* ---- pieces ------------------------------------------------------------------------------ */

json_t *status_text(const char *s)
{
	json_t *j = json_string(s);
	char clean[4096];
	size_t n = 0;

	if (j)
		return j;
	for (; *s && n < sizeof clean - 1; s++)
		clean[n++] = (unsigned char)*s < 0x80 ? *s : '?';
	clean[n] = 0;
	return json_string(clean);
}

static json_t *policy_member(struct fs *fs, const struct cover *c)
{
	json_t *p = json_object();
	_node_ from = {.fs = fs};
	char path[4096];

	json_object_set_new(p, "name", status_text(c->by.policy));
	json_object_set_new(p, "version", json_integer((json_int_t)c->by.version));
	if (c->by.node && nodes_get(fs->nodes, c->by.node, &from.node) == 0) {
		node_path(fs->nodes, from.node, path, sizeof path - 1);
		if (c->by.flags & CATALOG_DISK_DIRECTORY)
			strcat(path, "/");
		json_object_set_new(p, "from", status_text(path));
	}
	json_object_set_new(p, "inherited", json_boolean(c->inherited));
	return p;
}

static const char *way_name(const struct running *run)
{
	static const char *const names[] = {
		[WAY_CLOSED] = "closed",
		[WAY_PASSTHROUGH] = "passthrough",
		[WAY_DAEMON] = "daemon",
	};

	return names[run->open.way];
}

static json_t *stage_names(const struct cover *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < cover_depth(c); i++)
		json_array_append_new(list, json_string(cover_parts(c)[i].class->name));
	return list;
}

static void put_open(struct fs *fs, json_t *s, const struct running *run, const struct stat *st,
		     bool pending)
{
	json_object_set_new(s, "way", json_string(way_name(run)));
	json_object_set_new(s, "opens", json_integer(run->open.opens));
	if (pending)
		json_object_set_new(s, "holders",
				    file_users_find(fs->broker, fs->mount_device, fs->device,
						    st->st_ino));
}

/* ---- one object -------------------------------------------------------------------------- */

static const char *kind_name(const struct node *node, const struct stat *st, json_t *facts)
{
	const char *type = json_string_value(json_object_get(facts, "type"));

	if (node->id == NODE_ROOT)
		return "datastore";
	if (S_ISDIR(st->st_mode))
		return "directory";
	if (!type || !strcmp(type, "text") || !strcmp(type, "other") || !strcmp(type, "empty") ||
	    !strcmp(type, "vmsd") || !strcmp(type, "unknown") || !strcmp(type, "tar"))
		return "file";
	if (!strcmp(type, "vmx"))
		return "vm";
	return "disk";
}

/* A file with a problem may be a disk that cannot be told. */
static void put_contents(struct fs *fs, struct node *node, json_t *s, const char *kind,
			 const json_t *facts)
{
	if (!strcmp(kind, "vm"))
		json_object_set_new(s, "vm", vm_describe(fs, node));
	else if (!strcmp(kind, "disk") || json_object_get(facts, "problem"))
		json_object_set_new(s, "disk", chain_describe(fs, node));
}

/* Why its I/O fails, and what takes long. */
static void put_trouble(struct fs *fs, json_t *s, struct node *node)
{
	json_t *quarantine = quarantine_json(fs, node);
	json_t *slow = watchdog_slow(fs->watchdog, node->id);

	if (quarantine)
		json_object_set_new(s, "quarantine", quarantine);
	if (slow)
		json_object_set_new(s, "slow", slow);
}

/* All that can be said without looking into it. */
static json_t *describe_blindly(struct fs *fs, struct node *node)
{
	json_t *s = json_object();
	char path[4096];

	node_path(fs->nodes, node, path, sizeof path);
	json_object_set_new(s, "weir", json_integer(1));
	json_object_set_new(s, "path", status_text(path));
	json_object_set_new(s, "kind",
			    json_string(node->id == NODE_ROOT		  ? "datastore"
					: node->flags & NODE_DIRECTORY ? "directory"
									  : "file"));
	put_trouble(fs, s, node);
	return s;
}

/* Trouble anywhere in the datastore; and how many threads are busy. */
static void put_all_trouble(struct fs *fs, json_t *s)
{
	json_t *slow = watchdog_slow(fs->watchdog, 0);

	json_object_set_new(s, "quarantined", quarantine_list(fs));
	if (slow)
		json_object_set_new(s, "slow", slow);
	json_object_set_new(s, "threads",
			    json_pack("{s:i,s:i}", "busy", (int)watchdog_busy(fs->watchdog),
				      "most", (int)fs->options.threads));
}

static json_t *describe(struct fs *fs, struct node *node, const struct stat *st, const char *kind,
			const json_t *facts)
{
	struct running run = look_at_disk(fs, node);
	_cleanup_(judged_done) struct judged j;
	json_t *s = json_object();
	char path[4096];

	judge(fs, node, &run, &j);
	node_path(fs->nodes, node, path, sizeof path);
	json_object_set_new(s, "weir", json_integer(1));
	json_object_set_new(s, "path", status_text(path));
	json_object_set_new(s, "kind", json_string(kind));
	put_contents(fs, node, s, kind, facts);
	json_object_set_new(s, "size", json_integer(st->st_size));
	json_object_set_new(s, "allocated", json_integer((json_int_t)st->st_blocks * 512));
	if (j.cover.found)
		json_object_set_new(s, "policy", policy_member(fs, &j.cover));
	json_object_set_new(s, "compliance", compliance_json(fs, node, &j));
	if (S_ISREG(st->st_mode))
		put_open(fs, s, &run, st, j.word == COMPLIANCE_PENDING);
	json_object_set_new(s, "stages", stage_names(&j.cover));
	json_object_set_new(s, "stats", run.stats);
	put_trouble(fs, s, node);
	return s;
}

/* ---- what is in it ----------------------------------------------------------------------- */

static void add_disk(struct fs *fs, json_t *list, struct node *node)
{
	json_t *one = status_of(fs, node, false);

	if (!strcmp(json_string_value(json_object_get(one, "kind")) ?: "", "disk"))
		json_array_append_new(list, one);
	else
		json_decref(one);
}

static void add_by_handles(struct fs *fs, json_t *list, const struct handle *handles, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		_node_ at = {.fs = fs};

		if (chain_node(fs, &handles[i], &at.node) == 0)
			add_disk(fs, list, at.node);
	}
}

static void add_assigned(struct fs *fs, json_t *list)
{
	_cleanup_(freep) struct assigned *all = NULL;
	size_t n = assign_all(fs, &all);

	for (size_t i = 0; i < n; i++) {
		_node_ at = {.fs = fs};

		if (nodes_get(fs->nodes, all[i].node, &at.node) == 0)
			json_array_append_new(list, status_of(fs, at.node, false));
	}
}

static json_t *members_of(struct fs *fs, struct node *node, const char *kind)
{
	_cleanup_(freep) struct handle *handles = NULL;
	json_t *list = json_array();
	size_t n = 0;

	if (!strcmp(kind, "datastore"))
		add_assigned(fs, list);
	else if (!strcmp(kind, "vm") && vm_members(fs, node, &handles, &n) == 0)
		add_by_handles(fs, list, handles, n);
	return list;
}

json_t *status_of(struct fs *fs, struct node *node, bool members)
{
	_fault_turn_ turn = fault_turn(fs, node->id);
	json_t *facts = NULL, *s;
	const char *kind;
	struct stat st;

	if (quarantine_is_blind(fs, node))
		return describe_blindly(fs, node);
	if (node_attributes(fs, node, &st) < 0)
		return json_object();
	if (S_ISREG(st.st_mode) && recognise(fs, node, &facts) < 0)
		facts = NULL;
	kind = kind_name(node, &st, facts);
	s = describe(fs, node, &st, kind, facts);
	if (members && strcmp(kind, "disk") && strcmp(kind, "file"))
		json_object_set_new(s, "disks", members_of(fs, node, kind));
	if (node->id == NODE_ROOT)
		json_object_set_new(s, "mount", status_of_mount(fs));
	if (members && node->id == NODE_ROOT)
		put_all_trouble(fs, s);
	json_decref(facts);
	return s;
}

/* ---- the dry run ------------------------------------------------------------------------- */

static const char *step_name(const struct assigned *own, bool has_own, const struct policy *p)
{
	if (!p)
		return has_own ? "clear" : "nothing";
	if (!has_own)
		return "attach";
	return strcmp(own->policy, policy_name(p)) ||
			       memcmp(own->digest, policy_digest(p), 32)
		       ? "replace"
		       : "nothing";
}

static void plan_open(struct fs *fs, struct node *node, json_t *plan, const struct policy *p)
{
	const struct stack_part *parts;
	struct running run = look(fs, node);
	struct stat st;
	bool waits = p && policy_parts(p, &parts) && run.open.way == WAY_PASSTHROUGH;

	json_object_set_new(plan, "way", json_string(way_name(&run)));
	json_object_set_new(plan, "pending", json_boolean(waits));
	if (node_attributes(fs, node, &st) == 0 && run.open.opens)
		json_object_set_new(plan, "holders",
				    file_users_find(fs->broker, fs->mount_device, fs->device,
						    st.st_ino));
	if (waits)
		json_object_set_new(plan, "needs",
				    json_string("the file must be closed once: it is open in "
						"passthrough, and the policy has stages"));
	json_decref(run.stats);
}

json_t *status_plan(struct fs *fs, struct node *node, const char *name)
{
	_cleanup_(policy_unrefp) struct policy *p = NULL;
	_cleanup_(freep) char *why = NULL;
	json_t *plan = json_object();
	struct assigned own = {0};
	bool has_own;

	json_object_set_new(plan, "policy", name ? status_text(name) : json_null());
	if (name && policy_load(assign_directories(fs), name, &p, &why) < 0) {
		json_object_set_new(plan, "would", json_string("fail"));
		json_object_set_new(plan, "why", status_text(why ? why : "no memory"));
		return plan;
	}
	has_own = assign_find(fs, &node->handle, &own);
	json_object_set_new(plan, "would", json_string(step_name(&own, has_own, p)));
	if (has_own)
		json_object_set_new(plan, "replaces", status_text(own.policy));
	if (p)
		json_object_set_new(plan, "expected", policy_json(p));
	plan_open(fs, node, plan, p);
	return plan;
}
