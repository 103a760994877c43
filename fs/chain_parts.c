/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/chain_parts.c - see fs/chain_parts.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fs/chain.h"
#include "fs/chain_parts.h"
#include "fs/facts.h"
#include "fs/recognise.h"

#define SECTOR 512

/* ---- extents ----------------------------------------------------------------------------- */

static const char *member(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* A number of the facts; a negative or missing one is 0. */
static uint64_t number(const json_t *object, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(object, key));

	return n > 0 ? (uint64_t)n : 0;
}

static bool is_flat(const struct extent *e)
{
	return !strcmp(e->type, "FLAT") || !strcmp(e->type, "VMFS");
}

static void refuse(struct extent *e, const char *why)
{
	e->state = "refused";
	e->why = why;
}

static void find_extent(struct fs *fs, const struct place *disk, const char *name, struct extent *e)
{
	const char *why = NULL;
	int r = place_resolve(fs, disk, name, 0, &e->place, &why);

	if (r == -EACCES) {
		refuse(e, why);
	} else if (r < 0) {
		e->state = "missing";
		e->why = r == -ENOENT ? "there is no such file" : strerror(-r);
	} else if (handle_equal(&e->place.handle, &disk->handle)) {
		refuse(e, "it is the descriptor itself");
	} else {
		e->found = true;
	}
}

void extent_look(struct fs *fs, const struct place *disk, const json_t *facts, const json_t *extent,
		 struct extent *ret)
{
	uint64_t sectors = number(extent, "sectors"), offset = number(extent, "offset");
	char name[NAME_MAX + 1];

	*ret = (struct extent){
		.state = "ok", .file = member(extent, "file"), .type = member(extent, "type")};
	if (!ret->type)
		ret->type = "?";
	ret->size = sectors < INT64_MAX / SECTOR ? sectors * SECTOR : INT64_MAX;
	if (facts_flag(facts, "embedded") || !strcmp(ret->type, "ZERO"))
		return;
	if (!ret->file)
		refuse(ret,
		       facts_flag(extent, "suspect") ? "its name is too long" : "it names no file");
	else if (facts_name(ret->file, facts_flag(extent, "escaped"), name, sizeof name) < 0)
		refuse(ret, "nothing can be called so");
	else
		find_extent(fs, disk, name, ret);
	if (ret->found && is_flat(ret) &&
	    (ret->place.size < offset || ret->place.size - offset < ret->size))
		ret->why = "the file is shorter than the descriptor says";
}

/* ---- handles ----------------------------------------------------------------------------- */

void handles_done(struct handles *h)
{
	free(h->at);
}

int handles_add(struct handles *h, const struct handle *one)
{
	struct handle *at;

	for (size_t i = 0; i < h->n; i++)
		if (handle_equal(&h->at[i], one))
			return 0;
	if (h->n == PARTS_MAX)
		return -E2BIG;
	if (!(h->n & (h->n - 1))) { /* 0 or a power of two: full */
		at = realloc(h->at, MAX(2 * h->n, 1u) * sizeof *at);
		if (!at)
			return -ENOMEM;
		h->at = at;
	}
	h->at[h->n++] = *one;
	return 0;
}

int handles_add_extents(struct fs *fs, const struct place *disk, const json_t *facts,
			struct handles *h)
{
	const json_t *list = json_object_get(facts, "extents"), *extent;
	struct extent e;
	size_t i;
	int r = 0;

	json_array_foreach ((json_t *)(uintptr_t)list, i, extent) {
		extent_look(fs, disk, facts, extent, &e);
		if (e.found)
			r = handles_add(h, &e.place.handle);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- ancestors --------------------------------------------------------------------------- */

void ancestors_done(struct ancestors *a)
{
	for (size_t i = 0; i < a->n; i++)
		json_decref(a->at[i].facts);
	free(a->at);
}

static bool is_vmdk(const json_t *facts)
{
	return !strncmp(facts_type(facts), "vmdk ", 5);
}

int parent_name(const json_t *facts, char *ret, size_t size, const char **ret_why)
{
	const char *name = member(facts, "parent");

	*ret_why = NULL;
	if (is_vmdk(facts) && !member(facts, "parent_cid"))
		return -ENOENT; /* it has none, whatever is left of a hint */
	if (!name && facts_flag(facts, "parent_suspect"))
		*ret_why = "its name is too long";
	else if (!name && is_vmdk(facts))
		*ret_why = "it is not named";
	else if (name && facts_name(name, facts_flag(facts, "parent_escaped"), ret, size) < 0)
		*ret_why = "nothing can be called so";
	if (*ret_why)
		return -EACCES;
	return name ? 0 : -ENOENT;
}

static int say(struct ancestors *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The first problem stays.  Returns 1: the walk ends. */
static int say(struct ancestors *a, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (!*a->problem)
		vsnprintf(a->problem, sizeof a->problem, format, ap);
	va_end(ap);
	return 1;
}

static int add_ancestor(struct ancestors *a, const struct place *place, json_t *facts)
{
	struct ancestor *at = realloc(a->at, (a->n + 1) * sizeof *at);

	if (!at) {
		json_decref(facts);
		return -ENOMEM;
	}
	a->at = at;
	a->at[a->n].place = *place;
	a->at[a->n++].facts = facts;
	return 0;
}

static bool met_before(const struct ancestors *a, const struct place *disk, const struct handle *h)
{
	if (handle_equal(&disk->handle, h))
		return true;
	for (size_t i = 0; i < a->n; i++)
		if (handle_equal(&a->at[i].place.handle, h))
			return true;
	return false;
}

/* A snapshot is only good on the very state of the parent it was made from. */
static void compare_cids(struct ancestors *a, const json_t *child, const struct place *place,
			 const json_t *parent)
{
	const char *wanted = member(child, "parent_cid"), *cid = member(parent, "cid");

	if (!is_vmdk(child) || !strcmp(facts_type(parent), "unknown"))
		return;
	if (!is_vmdk(parent))
		say(a, "the parent %.300s is no VMDK", place->path);
	else if (wanted && cid && strcmp(wanted, cid))
		say(a,
		    "the parent %.300s was changed after the snapshot: its CID is %.8s, not %.8s",
		    place->path, cid, wanted);
}

/* One step: 0 a disk was added, 1 the walk ends. */
static int next_ancestor(struct fs *fs, const struct place *disk, const struct place *from,
			 const json_t *facts, struct ancestors *a)
{
	char name[PATH_MAX];
	struct place place;
	const char *why;
	json_t *parent;
	int r;

	r = parent_name(facts, name, sizeof name, &why);
	if (r == -ENOENT)
		return 1;
	if (r < 0)
		return say(a, "the parent of %.300s is refused: %s", from->path, why);
	r = place_resolve(fs, from, name, PLACE_PARENT, &place, &why);
	if (r == -EACCES)
		return say(a, "the parent %.300s is refused: %s", name, why);
	if (r < 0)
		return say(a, "the parent %.300s is missing", name);
	if (met_before(a, disk, &place.handle))
		return say(a, "the chain of parents comes back to %.300s", place.path);
	if (a->n == CHAIN_MAX)
		return say(a, "the chain of parents is longer than %d disks", CHAIN_MAX);
	r = recognise_handle(fs, &place.handle, &parent);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return say(a, "the parent %.300s cannot be read: %s", name, strerror(-r));
	compare_cids(a, facts, &place, parent);
	return add_ancestor(a, &place, parent);
}

int ancestors_find(struct fs *fs, const struct place *disk, const json_t *facts,
		   struct ancestors *ret)
{
	const struct place *from = disk;
	int r;

	*ret = (struct ancestors){0};
	while ((r = next_ancestor(fs, disk, from, facts, ret)) == 0) {
		from = &ret->at[ret->n - 1].place;
		facts = ret->at[ret->n - 1].facts;
	}
	return r < 0 ? r : 0;
}
