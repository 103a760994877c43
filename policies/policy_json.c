/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policies/policy_json.c - a policy's settings as JSON, by the schema of their classes.
 *
 * Text that is a whole number becomes a number; sizes stay as they were written.  Keys that the
 * file does not have are left out.
 */
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "policies/policy.h"

static json_t *mapping_json(const cyaml_schema_field_t *fields, const char *data);

static json_t *text_json(const char *text)
{
	const char *why;
	uint64_t n;

	if (parse_number(text, &n, &why) == 0 && n <= INT64_MAX)
		return json_integer((json_int_t)n);
	return json_string(text);
}

/* Whole numbers of any width, little endian as the machine. */
static int64_t integer_at(const char *at, uint32_t size, bool is_signed)
{
	uint64_t n = 0;
	unsigned unused = 64 - 8 * (unsigned)MIN(size, sizeof n);

	memcpy(&n, at, MIN(size, sizeof n));
	if (!is_signed)
		return (int64_t)n;
	return (int64_t)(n << unused) >> unused;
}

static json_t *enum_json(const cyaml_schema_value_t *v, int64_t n)
{
	for (uint32_t i = 0; i < v->enumeration.count; i++)
		if (v->enumeration.strings[i].val == n)
			return json_string(v->enumeration.strings[i].str);
	return json_integer(n);
}

/* The value of one key; NULL: it is not in the file, or of a type that settings do not use. */
static json_t *value_json(const cyaml_schema_value_t *v, const void *at)
{
	if (v->flags & CYAML_FLAG_POINTER)
		at = *(void *const *)at;
	if (!at)
		return NULL;

	switch (v->type) {
	case CYAML_STRING:
		return text_json(at);
	case CYAML_INT:
		return json_integer(integer_at(at, v->data_size, true));
	case CYAML_UINT:
		return json_integer(integer_at(at, v->data_size, false));
	case CYAML_BOOL:
		return json_boolean(integer_at(at, v->data_size, false));
	case CYAML_ENUM:
		return enum_json(v, integer_at(at, v->data_size, true));
	case CYAML_MAPPING:
		return mapping_json(v->mapping.fields, at);
	default:
		return NULL;
	}
}

static json_t *mapping_json(const cyaml_schema_field_t *fields, const char *data)
{
	json_t *json = json_object();

	for (const cyaml_schema_field_t *f = fields; f && f->key; f++)
		json_object_set_new(json, f->key, value_json(&f->value, data + f->data_offset));
	return json;
}

json_t *policy_json(const struct policy *p)
{
	const struct stack_part *parts;
	size_t n = policy_parts(p, &parts);
	json_t *stages = json_object();

	for (size_t i = 0; i < n; i++)
		json_object_set_new(stages, parts[i].class->name,
				    mapping_json(parts[i].class->fields, parts[i].settings));

	return json_pack("{s:s, s:I, s:s, s:s, s:o}", "name", policy_name(p), "version",
			 (json_int_t)policy_version(p), "description", policy_description(p),
			 "passthrough", policy_forbids_passthrough(p) ? "never" : "allow", "stages",
			 stages);
}
