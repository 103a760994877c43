/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/vm.c - the disks and files that one .vmx or .vmsd names; see fs/chain.h.
 *
 * A .vmx does not name the files of its snapshots: the .vmsd beside it with the same stem does, so
 * its members count as the VM's as well.
 */
#include <stdio.h>
#include <string.h>

#include "fs/chain.h"
#include "fs/chain_parts.h"
#include "fs/facts.h"
#include "fs/recognise.h"

#define SHOWN 64

static bool is_vm(const json_t *facts)
{
	return !strcmp(facts_type(facts), "vmx") || !strcmp(facts_type(facts), "vmsd");
}

/* The file that a name of the VM stands for.  @vm is where its .vmx lies. */
static int find_member(struct fs *fs, const struct place *vm, const json_t *facts,
		       const json_t *name, struct place *ret, const char **ret_why)
{
	char bytes[PATH_MAX];
	const char *text = json_string_value(name);

	*ret_why = "nothing can be called so";
	if (!text || facts_name(text, facts_flag(facts, "escaped"), bytes, sizeof bytes) < 0)
		return -EACCES;
	return place_resolve(fs, vm, bytes, PLACE_PARENT, ret, ret_why);
}

/* ---- members ----------------------------------------------------------------------------- */

/* A disk's extents, its ancestors, and theirs. */
static int add_disk(struct fs *fs, const struct place *disk, struct handles *h)
{
	_cleanup_(json_decrefp) json_t *facts = NULL;
	_cleanup_(ancestors_done) struct ancestors a = {0};
	int r;

	r = recognise_handle(fs, &disk->handle, &facts);
	if (r < 0)
		return r == -ENOMEM ? r : 0; /* gone meanwhile */
	r = handles_add_extents(fs, disk, facts, h);
	if (r == 0)
		r = ancestors_find(fs, disk, facts, &a);
	for (size_t i = 0; r == 0 && i < a.n; i++) {
		r = handles_add(h, &a.at[i].place.handle);
		if (r == 0)
			r = handles_add_extents(fs, &a.at[i].place, a.at[i].facts, h);
	}
	return r;
}

/* Who gets the handle of a disk will ask for its node. */
static void make_known(struct fs *fs, const struct place *disk)
{
	_node_ at = {.fs = fs};

	if (chain_node(fs, &disk->handle, &at.node) < 0)
		place_node(fs, disk->path, &at.node);
}

static int add_named(struct fs *fs, const struct place *vm, const json_t *facts, const char *key,
		     bool disks, struct handles *h)
{
	json_t *list = json_object_get(facts, key), *name;
	struct place place;
	const char *why;
	size_t i;
	int r = 0;

	json_array_foreach (list, i, name) {
		if (find_member(fs, vm, facts, name, &place, &why) < 0)
			continue; /* status says it */
		r = handles_add(h, &place.handle);
		if (r == 0 && disks) {
			make_known(fs, &place);
			r = add_disk(fs, &place, h);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_members(struct fs *fs, const struct place *vm, const json_t *facts,
		       struct handles *h)
{
	int r = add_named(fs, vm, facts, "disks", true, h);

	return r < 0 ? r : add_named(fs, vm, facts, "files", false, h);
}

/* The .vmsd beside a .vmx: itself and what it names. */
static int add_snapshots(struct fs *fs, const struct place *vmx, struct handles *h)
{
	_cleanup_(json_decrefp) json_t *facts = NULL;
	size_t len = strlen(vmx->path);
	struct place vmsd;
	char path[PATH_MAX + 1];
	const char *why;
	int r;

	if (len < 5 || strcmp(vmx->path + len - 4, ".vmx"))
		return 0;
	snprintf(path, sizeof path, "%.*s.vmsd", (int)len - 4, vmx->path);
	if (place_find(fs, path, &vmsd, &why) < 0)
		return 0;
	r = handles_add(h, &vmsd.handle);
	if (r < 0)
		return r;
	r = recognise_handle(fs, &vmsd.handle, &facts);
	if (r < 0 || strcmp(facts_type(facts), "vmsd"))
		return r == -ENOMEM ? r : 0;
	return add_members(fs, &vmsd, facts, h);
}

int vm_members(struct fs *fs, struct node *node, struct handle **ret, size_t *n)
{
	_cleanup_(json_decrefp) json_t *facts = NULL;
	_cleanup_(handles_done) struct handles found = {0};
	struct place place;
	int r;

	r = recognise(fs, node, &facts);
	if (r == 0)
		r = is_vm(facts) ? place_of_node(fs, node, &place) : -EINVAL;
	if (r == 0)
		r = add_members(fs, &place, facts, &found);
	if (r == 0 && !strcmp(facts_type(facts), "vmx"))
		r = add_snapshots(fs, &place, &found);
	if (r < 0)
		return r;
	*n = found.n;
	*ret = TAKE_PTR(found.at);
	return 0;
}

/* ---- shown ------------------------------------------------------------------------------- */

static void check_names(struct fs *fs, const struct place *vm, const json_t *facts, json_t *shown)
{
	json_t *list = json_object_get(facts, "disks"), *name;
	struct place place;
	const char *why;
	size_t i;
	int r;

	json_array_foreach (list, i, name) {
		const char *text = json_string_value(name);

		r = find_member(fs, vm, facts, name, &place, &why);
		if (r == -EACCES)
			facts_problem(shown, "the disk %.300s is refused: %s", text ? text : "?",
				      why);
		else if (r < 0)
			facts_problem(shown, "the disk %.300s is missing", text);
	}
}

static void show_names(const json_t *facts, const char *key, json_t *shown)
{
	json_t *list = json_object_get(facts, key), *some, *name;
	size_t i;

	if (!list)
		return;
	some = json_array();
	json_array_foreach (list, i, name) {
		if (i == SHOWN)
			break;
		json_array_append(some, name);
	}
	json_object_set_new(shown, key, some);
}

json_t *vm_describe(struct fs *fs, struct node *node)
{
	_cleanup_(json_decrefp) json_t *facts = NULL;
	json_t *shown, *value;
	struct place place;

	if (recognise(fs, node, &facts) < 0 || !is_vm(facts))
		return NULL;
	shown = json_object();
	value = json_object_get(facts, "name");
	if (value)
		json_object_set(shown, "name", value);
	show_names(facts, "disks", shown);
	show_names(facts, "files", shown);
	value = json_object_get(facts, "problem");
	if (value)
		json_object_set(shown, "problem", value);
	if (place_of_node(fs, node, &place) < 0)
		facts_problem(shown, "it is not where it was last seen, so its disks cannot be "
				     "found");
	else
		check_names(fs, &place, facts, shown);
	return shown;
}
