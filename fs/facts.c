/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/facts.c - see fs/facts.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/facts.h"

json_t *facts_unknown(const char *why)
{
	json_t *facts = json_object();

	if (!facts || json_object_set_new(facts, "type", json_string("unknown")) < 0) {
		json_decref(facts);
		return NULL;
	}
	facts_problem(facts, "recognition of this file failed: %s", why);
	return facts;
}

json_t *facts_parse(const char *line)
{
	json_t *facts = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

	if (facts && json_is_string(json_object_get(facts, "type")))
		return facts;
	json_decref(facts);
	return NULL;
}

const char *facts_type(const json_t *facts)
{
	const char *type = json_string_value(json_object_get(facts, "type"));

	return type ? type : "unknown";
}

bool facts_flag(const json_t *facts, const char *key)
{
	return json_is_true(json_object_get(facts, key));
}

void facts_problem(json_t *object, const char *format, ...)
{
	char sentence[1024];
	va_list ap;

	if (json_object_get(object, "problem"))
		return;
	va_start(ap, format);
	vsnprintf(sentence, sizeof sentence, format, ap);
	va_end(ap);
	for (char *c = sentence; *c; c++) /* names may be no UTF-8, JSON must be */
		if ((unsigned char)*c >= 0x80 || (unsigned char)*c < 0x20)
			*c = '?';
	json_object_set_new(object, "problem", json_string(sentence));
}

bool facts_keepable(const json_t *facts)
{
	const char *type = facts_type(facts);

	return strcmp(type, "empty") && strcmp(type, "unknown");
}

/* ---- the record -------------------------------------------------------------------------- */

static json_int_t changed_ns(const struct stat *st)
{
	return (json_int_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec;
}

static char *record_text(const json_t *facts, const struct stat *st)
{
	json_t *record = json_object();
	char *text;

	/* The first failure makes the object incomplete, and an incomplete record counts as
	 * none when it is read. */
	json_object_set_new(record, "size", json_integer((json_int_t)st->st_size));
	json_object_set_new(record, "changed", json_integer(changed_ns(st)));
	json_object_set(record, "facts", (json_t *)(uintptr_t)facts);
	text = json_dumps(record, JSON_COMPACT);
	json_decref(record);
	return text;
}

/* Halve the list @key; its true length is remembered beside it.  False: nothing to halve. */
static bool halve(json_t *facts, const char *key)
{
	json_t *list = json_object_get(facts, key);
	size_t n = json_array_size(list);
	char count[32];

	if (n == 0)
		return false;
	snprintf(count, sizeof count, "%s_count", key);
	if (!json_object_get(facts, count))
		json_object_set_new(facts, count, json_integer((json_int_t)n));
	while (json_array_size(list) > n / 2)
		json_array_remove(list, json_array_size(list) - 1);
	return true;
}

static const char *const lists[] = {"extents", "disks", "files"};

static bool halve_longest(json_t *facts)
{
	const char *longest = lists[0];

	for (size_t i = 1; i < ARRAY_SIZE(lists); i++)
		if (json_array_size(json_object_get(facts, lists[i])) >
		    json_array_size(json_object_get(facts, longest)))
			longest = lists[i];
	return halve(facts, longest);
}

char *facts_record(const json_t *facts, const struct stat *st)
{
	json_t *copy;
	char *text = record_text(facts, st);

	if (!text || strlen(text) <= FACTS_TEXT_MAX)
		return text;
	copy = json_deep_copy(facts);
	while (text && strlen(text) > FACTS_TEXT_MAX) {
		free(text);
		text = copy && halve_longest(copy) ? record_text(copy, st) : NULL;
	}
	json_decref(copy);
	return text;
}

json_t *facts_of_record(const char *text, const struct stat *st, bool *ret_current)
{
	json_t *record = json_loads(text, 0, NULL), *size, *changed, *facts;

	size = json_object_get(record, "size");
	changed = json_object_get(record, "changed");
	facts = json_object_get(record, "facts");
	if (!json_is_integer(size) || !json_is_integer(changed) ||
	    !json_is_string(json_object_get(facts, "type"))) {
		json_decref(record);
		return NULL;
	}
	*ret_current = !st || (json_integer_value(size) == (json_int_t)st->st_size &&
			       json_integer_value(changed) == changed_ns(st));
	json_incref(facts);
	json_decref(record);
	return facts;
}

/* ---- a file that changed ----------------------------------------------------------------- */

enum facts_change facts_when_changed(const json_t *facts)
{
	static const char *const text[] = {"text", "vmx", "vmsd"};
	static const char *const formats[] = {"qcow2", "vhdx", "vdi", "vhd", "qed"};
	const char *type = facts_type(facts);

	if (facts_flag(facts, "descriptor"))
		return FACTS_AGAIN;
	for (size_t i = 0; i < ARRAY_SIZE(text); i++)
		if (!strcmp(type, text[i]))
			return FACTS_AGAIN;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (!strcmp(type, formats[i]))
			return FACTS_FORMAT;
	return strncmp(type, "vmdk ", 5) ? FACTS_KEEP : FACTS_FORMAT;
}

bool facts_whole(const json_t *facts)
{
	return !json_object_get(facts, "extents_count") && !json_object_get(facts, "disks_count") &&
	       !json_object_get(facts, "files_count");
}

/* ---- names ------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int unescape(const char **at)
{
	int high = hex_digit((*at)[1]), low = high < 0 ? -1 : hex_digit((*at)[2]);

	if (high < 0 || low < 0)
		return -EINVAL;
	*at += 2;
	return high << 4 | low;
}

int facts_name(const char *text, bool escaped, char *ret, size_t size)
{
	size_t n = 0;

	for (const char *at = text; *at; at++) {
		int c = escaped && *at == '%' ? unescape(&at) : (unsigned char)*at;

		if (c <= 0)
			return -EINVAL;
		if (n + 1 >= size)
			return -ENAMETOOLONG;
		ret[n++] = (char)c;
	}
	ret[n] = 0;
	return n ? 0 : -EINVAL;
}
