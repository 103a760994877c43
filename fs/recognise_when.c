/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/recognise_when.c - when a file is looked at without being asked about; see fs/recognise.h. */
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/log.h"
#include "fs/events.h"
#include "fs/facts.h"
#include "fs/open.h"
#include "fs/recognise.h"

#define DISK_LEAST    65536 /* bytes: nothing smaller is a guest's raw disk */
#define DISK_ROUND    512
#define NO_FACTS      "{}"
#define CLOCK_TICK_NS 10000000 /* no kernel's is longer */

static bool size_of_disk(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_size >= DISK_LEAST && st->st_size % DISK_ROUND == 0;
}

/* Looked at without being asked: by its name or by its size.  Who copies ten thousand small files
 * must not start ten thousand helpers. */
static bool may_be_disk(struct fs *fs, struct node *node)
{
	static const char *const suffixes[] = {".vmdk", ".vmx", ".vmsd"};
	char name[256];
	const char *dot;
	struct stat st;

	node_name(fs->nodes, node, name);
	dot = strrchr(name, '.');
	for (size_t i = 0; dot && i < ARRAY_SIZE(suffixes); i++)
		if (!strcasecmp(dot, suffixes[i]))
			return true;
	return node_attributes(fs, node, &st) == 0 && size_of_disk(&st);
}

struct later {
	struct job job;
	struct fs *fs;
	struct node *node;
};

static bool is_disk(const json_t *facts)
{
	static const char *const types[] = {"raw", "qcow2", "vhdx", "vdi", "vhd", "qed"};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcmp(facts_type(facts), types[i]))
			return true;
	return !strncmp(facts_type(facts), "vmdk ", 5);
}

static void tell(struct fs *fs, struct node *node, const json_t *facts)
{
	const char *problem = json_string_value(json_object_get(facts, "problem"));
	json_t *capacity = json_object_get(facts, "capacity");

	if (problem)
		event_emit(fs, "disk-problem", node, NULL, "%s: %s", facts_type(facts), problem);
	else if (is_disk(facts) && capacity)
		event_emit(fs, "disk-recognised", node, NULL, "%s of %lld bytes", facts_type(facts),
			   (long long)json_integer_value(capacity));
	else if (is_disk(facts))
		event_emit(fs, "disk-recognised", node, NULL, "%s", facts_type(facts));
}

/* Two changes within one tick of the filesystem's clock look like one. */
static void wait_for_clock(struct fs *fs, struct node *node)
{
	struct timespec now;
	struct stat st;

	clock_gettime(CLOCK_REALTIME, &now);
	if (node_attributes(fs, node, &st) == 0 && st.st_ctim.tv_sec >= now.tv_sec - 1)
		nanosleep(&(struct timespec){.tv_nsec = CLOCK_TICK_NS}, NULL);
}

static void run_later(struct job *job)
{
	struct later *later = container_of(job, struct later, job);
	_cleanup_(json_decrefp) json_t *before = NULL, *facts = NULL;
	_node_ at = {.fs = later->fs, .node = later->node};
	struct fs *fs = later->fs;

	free(later);
	if (open_glance(fs, at.node).writers)
		return; /* it is called again when that one closes */
	wait_for_clock(fs, at.node);
	recognise_remembered(fs, &at.node->handle, &before);
	if (recognise(fs, at.node, &facts) == 0 && !json_equal(before, facts))
		tell(fs, at.node, facts);
}

void recognise_later(struct fs *fs, struct node *node)
{
	struct later *later;

	if ((node->flags & (NODE_CLASSIFIED | NODE_GONE | NODE_ORPHAN | NODE_DIRECTORY)) ||
	    !may_be_disk(fs, node))
		return;
	later = calloc(1, sizeof *later);
	if (!later)
		return; /* then it is looked at when somebody asks */
	*later = (struct later){.job.run = run_later, .fs = fs, .node = node_ref(fs->nodes, node)};
	pool_add(fs->pool, &later->job);
}

void recognise_before_write(struct fs *fs, struct node *node)
{
	_cleanup_(json_decrefp) json_t *facts = NULL;
	struct stat st;

	if (node->flags & (NODE_CLASSIFIED | NODE_CREATED | NODE_DIRECTORY))
		return;
	if (node_attributes(fs, node, &st) < 0 || !size_of_disk(&st))
		return;
	recognise(fs, node, &facts); /* a failure is in the facts, and is tried again next time */
}

void recognise_emptied(struct fs *fs, struct node *node)
{
	_cleanup_(recognise_hold_end) struct recognise_hold mine = {.of = fs->recogniser,
								    .handle = &node->handle};
	_cleanup_(json_decrefp) json_t *facts = NULL;
	int r;

	recognise_hold_begin(&mine); /* who looked before must not remember after */
	if (open_glance(fs, node).writers)
		atomic_fetch_or(&node->flags, NODE_CREATED);
	atomic_fetch_and(&node->flags, ~(uint32_t)NODE_CLASSIFIED);
	if (recognise_remembered(fs, &node->handle, &facts) < 0)
		return;
	r = catalog_put_facts(fs->catalog, &node->handle, NO_FACTS);
	if (r < 0)
		log_warning("cannot forget what an emptied file was: %s, ignoring", strerror(-r));
}
