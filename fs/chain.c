/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/chain.c - see fs/chain.h. */
#include <string.h>

#include "fs/chain.h"
#include "fs/chain_parts.h"
#include "fs/facts.h"
#include "fs/recognise.h"

#define SHOWN 64 /* extents: a value of an xattr is at most 64 KiB */

static const char no_place[] = "it is not where it was last seen, so its parts cannot be found";

/* ---- shown ------------------------------------------------------------------------------- */

static json_t *new_disk(const json_t *facts)
{
	static const char *const same[] = {"capacity",	"adapter", "grain",
					   "signature", "parent",  "problem"};
	json_t *disk = json_object(), *value;

	json_object_set_new(disk, "type", json_string(facts_type(facts)));
	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		value = json_object_get(facts, same[i]);
		if (value)
			json_object_set(disk, same[i], value);
	}
	return disk;
}

static json_t *show_extent(const struct extent *e)
{
	json_t *o = json_object();

	if (e->file)
		json_object_set_new(o, "file", json_string(e->file));
	json_object_set_new(o, "type", json_string(e->type));
	json_object_set_new(o, "size", json_integer((json_int_t)e->size));
	json_object_set_new(o, "state", json_string(e->state));
	if (e->why)
		json_object_set_new(o, "why", json_string(e->why));
	return o;
}

static void show_extents(struct fs *fs, const struct place *place, const json_t *facts,
			 json_t *disk)
{
	json_t *list = json_object_get(facts, "extents"), *shown, *extent;
	struct extent e;
	size_t i;

	if (!json_array_size(list))
		return;
	shown = json_array();
	json_array_foreach (list, i, extent) {
		extent_look(fs, place, facts, extent, &e);
		if (e.why)
			facts_problem(disk, "the extent %.300s is %s: %s", e.file ? e.file : "?",
				      strcmp(e.state, "ok") ? e.state : "wrong", e.why);
		if (i < SHOWN)
			json_array_append_new(shown, show_extent(&e));
	}
	json_object_set_new(disk, "extents", shown);
	if (i > SHOWN)
		json_object_set_new(disk, "extents_count", json_integer((json_int_t)i));
}

/* As people would name it who stand in the directory of the disk. */
static json_t *show_path(const struct place *disk, const char *path)
{
	size_t n = place_directory(disk->path);
	json_t *name;

	if (place_directory(path) == n && !memcmp(path, disk->path, n))
		path += n ? n + 1 : 0;
	name = json_string(path);
	return name ? name : json_string("?"); /* no UTF-8 */
}

static int show_chain(struct fs *fs, const struct place *place, const json_t *facts, json_t *disk)
{
	_cleanup_(ancestors_done) struct ancestors a;
	int r = ancestors_find(fs, place, facts, &a);
	json_t *chain;

	if (a.n) {
		chain = json_array();
		for (size_t i = 0; i < a.n; i++)
			json_array_append_new(chain, show_path(place, a.at[i].place.path));
		json_object_set_new(disk, "chain", chain);
	}
	if (*a.problem)
		facts_problem(disk, "%s", a.problem);
	return r;
}

static bool has_parts(const json_t *facts)
{
	return json_object_get(facts, "extents") || json_object_get(facts, "parent") ||
	       json_object_get(facts, "parent_cid");
}

json_t *chain_describe(struct fs *fs, struct node *node)
{
	_cleanup_(json_decrefp) json_t *facts = NULL;
	struct place place;
	json_t *disk;
	int r;

	if (recognise(fs, node, &facts) < 0)
		return NULL;
	disk = new_disk(facts);
	if (!disk || !has_parts(facts))
		return disk;
	r = place_of_node(fs, node, &place);
	if (r < 0) {
		facts_problem(disk, "%s", no_place);
		return disk;
	}
	show_extents(fs, &place, facts, disk);
	show_chain(fs, &place, facts, disk);
	return disk;
}

/* ---- for policies ------------------------------------------------------------------------ */

int chain_extent_handles(struct fs *fs, struct node *node, struct handle **ret, size_t *n)
{
	_cleanup_(json_decrefp) json_t *facts = NULL;
	_cleanup_(handles_done) struct handles found = {0};
	struct place place;
	int r;

	r = recognise(fs, node, &facts);
	if (r == 0 && json_object_get(facts, "extents")) {
		r = place_of_node(fs, node, &place);
		if (r == 0)
			r = handles_add_extents(fs, &place, facts, &found);
	}
	if (r < 0)
		return r;
	*n = found.n;
	*ret = TAKE_PTR(found.at);
	return 0;
}

int chain_node(struct fs *fs, const struct handle *h, struct node **ret)
{
	uint64_t id;
	int r;

	*ret = nodes_known(fs->nodes, h);
	if (*ret)
		return 0;
	r = catalog_find_handle(fs->catalog, h, &id);
	return r < 0 ? r : nodes_get(fs->nodes, id, ret);
}

int chain_parent(struct fs *fs, const struct handle *child, struct handle *ret)
{
	_cleanup_(json_decrefp) json_t *facts = NULL;
	_node_ at = {.fs = fs}, parent = {.fs = fs};
	struct place from, to;
	char name[PATH_MAX];
	const char *why;

	if (recognise_remembered(fs, child, &facts) < 0 ||
	    parent_name(facts, name, sizeof name, &why) < 0 ||
	    chain_node(fs, child, &at.node) < 0 || place_of_node(fs, at.node, &from) < 0 ||
	    place_resolve(fs, &from, name, PLACE_PARENT, &to, &why) < 0)
		return -ENOENT;
	/* Its own parent is asked for next, and that needs to know where it lies. */
	if (chain_node(fs, &to.handle, &parent.node) < 0 &&
	    place_node(fs, to.path, &parent.node) < 0)
		return -ENOENT;
	*ret = to.handle;
	return 0;
}
