/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/recognise_json.c - struct seen as the line of JSON that ctl/recognise.h describes.
 *
 * Names may be any bytes, JSON strings may not: what is not UTF-8 is escaped and says so, by a
 * member beside it, so that the reader gets the very bytes back.  A NUL counts as not UTF-8.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/recognise.h"

static bool must_escape(struct span a)
{
	return a.len > 0 && (memchr(a.at, '\0', a.len) || !text_is_utf8(a));
}

/* The longest valid run is not worth looking for: every byte that is not ASCII is escaped. */
static json_t *escaped_json(struct span a)
{
	static const char digits[] = "0123456789ABCDEF";
	_cleanup_(freep) char *text = malloc(3 * a.len + 1);
	size_t i, n = 0;
	uint8_t c;

	if (!text)
		return NULL;
	for (i = 0; i < a.len; i++) {
		c = (uint8_t)a.at[i];
		if (c >= 0x80 || c == 0 || c == '%') {
			text[n++] = '%';
			text[n++] = digits[c >> 4];
			text[n++] = digits[c & 15];
		} else {
			text[n++] = (char)c;
		}
	}
	return json_stringn(text, n);
}

static json_t *text_json(struct span a, bool escape)
{
	return escape ? escaped_json(a) : json_stringn(a.len ? a.at : "", a.len);
}

static int set_true(json_t *o, const char *key, bool value)
{
	return value ? json_object_set_new(o, key, json_true()) : 0;
}

static int set_number(json_t *o, const char *key, bool there, uint64_t value)
{
	return there ? json_object_set_new(o, key, json_integer((json_int_t)value)) : 0;
}

static int set_cid(json_t *o, const char *key, bool there, uint32_t cid)
{
	return there ? json_object_set_new(o, key, json_sprintf("%08x", cid)) : 0;
}

/* @name, with the members that say how to read it. */
static int set_name(json_t *o, const char *key, struct span name, size_t max, const char *escaped,
		    const char *suspect)
{
	bool escape = must_escape(name);

	if (!name.at)
		return 0;
	if (name.len > max) /* never shown: nothing can be called so */
		return set_true(o, suspect, true);
	if (json_object_set_new(o, key, text_json(name, escape)) < 0 ||
	    set_true(o, escaped, escape) < 0)
		return -1;
	return set_true(o, suspect, name_is_suspect(name, max));
}

static json_t *extent_json(const struct seen_extent *e)
{
	_cleanup_(json_decrefp) json_t *o = json_object();

	if (json_object_set_new(o, "access", text_json(e->access, false)) < 0 ||
	    set_number(o, "sectors", e->sectors <= INT64_MAX, e->sectors) < 0 ||
	    json_object_set_new(o, "type", text_json(e->type, false)) < 0 ||
	    set_name(o, "file", e->file, SEEN_NAME_MAX, "escaped", "suspect") < 0 ||
	    set_number(o, "offset", e->has_offset && e->offset <= INT64_MAX, e->offset) < 0)
		return NULL;
	return TAKE_PTR(o);
}

static int set_extents(json_t *o, const struct seen *s)
{
	json_t *array;
	size_t i;

	if (s->n_extents == 0)
		return 0;
	array = json_array();
	if (json_object_set_new(o, "extents", array) < 0)
		return -1;
	for (i = 0; i < s->n_extents; i++)
		if (json_array_append_new(array, extent_json(&s->extents[i])) < 0)
			return -1;
	return 0;
}

static int set_list(json_t *o, const char *key, const struct seen_names *names, bool escape,
		    bool *suspect)
{
	json_t *array = json_array();
	size_t i;

	if (json_object_set_new(o, key, array) < 0)
		return -1;
	for (i = 0; i < names->n; i++) {
		*suspect |= name_is_suspect(names->at[i], SEEN_PARENT_MAX);
		if (json_array_append_new(array, text_json(names->at[i], escape)) < 0)
			return -1;
	}
	return 0;
}

static bool any_must_escape(const struct seen_names *names)
{
	size_t i;

	for (i = 0; i < names->n; i++)
		if (must_escape(names->at[i]))
			return true;
	return false;
}

static int set_names(json_t *o, const struct seen *s)
{
	bool suspect = false, escape;

	if (!s->has_names)
		return 0;
	escape = must_escape(s->name) || any_must_escape(&s->disks) || any_must_escape(&s->files);
	if (s->name.at && json_object_set_new(o, "name", text_json(s->name, escape)) < 0)
		return -1;
	if (set_list(o, "disks", &s->disks, escape, &suspect) < 0 ||
	    set_list(o, "files", &s->files, escape, &suspect) < 0)
		return -1;
	return set_true(o, "escaped", escape) < 0 ? -1 : set_true(o, "suspect", suspect);
}

static int set_disk(json_t *o, const struct seen *s)
{
	if (s->has_descriptor &&
	    json_object_set_new(o, "descriptor", json_boolean(s->descriptor)) < 0)
		return -1;
	if (set_true(o, "embedded", s->embedded) < 0 ||
	    set_number(o, "capacity", s->has_capacity, s->capacity) < 0 ||
	    set_cid(o, "cid", s->has_cid, s->cid) < 0 ||
	    set_cid(o, "parent_cid", s->has_parent_cid, s->parent_cid) < 0 ||
	    set_number(o, "grain", s->grain > 0, s->grain) < 0 ||
	    set_true(o, "sparse", s->sparse) < 0 || set_true(o, "bootable", s->signature) < 0)
		return -1;
	if (s->signature && json_object_set_new(o, "signature", json_string(s->signature)) < 0)
		return -1;
	if (s->adapter.at && json_object_set_new(o, "adapter", text_json(s->adapter, false)) < 0)
		return -1;
	return set_name(o, "parent", s->parent, SEEN_PARENT_MAX, "parent_escaped",
			"parent_suspect");
}

char *seen_json(const struct seen *s)
{
	_cleanup_(json_decrefp) json_t *o = json_object();
	_cleanup_(freep) char *text = NULL;
	char *line;

	if (json_object_set_new(o, "type", json_string(s->type)) < 0 || set_disk(o, s) < 0 ||
	    set_extents(o, s) < 0 || set_names(o, s) < 0)
		return NULL;
	if (s->problem && json_object_set_new(o, "problem", json_string(s->problem)) < 0)
		return NULL;
	text = json_dumps(o, JSON_COMPACT);
	if (!text || asprintf(&line, "%s\n", text) < 0)
		return NULL;
	return line;
}
