/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/tree.c - see ctl/tree.h. */
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/text.h"
#include "ctl/tree.h"

#define STEP	  2  /* spaces per level */
#define DEPTH_MAX 16 /* deeper is not shown: status comes from files that guests write */

char *tree_scalar(const json_t *value)
{
	char text[64];

	switch (json_typeof(value)) {
	case JSON_STRING:
		return text_safe(json_string_value(value));
	case JSON_INTEGER:
		snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		break;
	case JSON_REAL:
		snprintf(text, sizeof text, "%.4g", json_real_value(value));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		snprintf(text, sizeof text, "%s", json_is_true(value) ? "yes" : "no");
		break;
	default:
		snprintf(text, sizeof text, "-");
	}
	return strdup(text);
}

static bool is_scalar(const json_t *value)
{
	return !json_is_object(value) && !json_is_array(value);
}

static bool is_flat(const json_t *array)
{
	const json_t *e;
	size_t i;

	json_array_foreach(array, i, e) if (!is_scalar(e)) return false;
	return true;
}

static void print_scalar(const json_t *value, FILE *to)
{
	_cleanup_(freep) char *text = tree_scalar(value);

	fputs(text ? text : "", to);
}

static void print_flat(const json_t *array, FILE *to)
{
	const json_t *e;
	size_t i;

	if (json_array_size(array) == 0)
		fputs("none", to);
	json_array_foreach(array, i, e)
	{
		fputs(i ? ", " : "", to);
		print_scalar(e, to);
	}
}

/* Spaces read better than the underscores of a key. */
static char *key_text(const char *key)
{
	char *text = text_safe(key);

	for (char *c = text; c && *c; c++)
		if (*c == '_')
			*c = ' ';
	return text;
}

static void print_value(const json_t *value, unsigned indent, unsigned depth, FILE *to);

static void print_object(const json_t *object, unsigned indent, unsigned depth, FILE *to)
{
	const char *key;
	json_t *value;
	size_t width = 0;

	json_object_foreach((json_t *)object, key, value) width =
		MAX(width, is_scalar(value) ? text_width(key) : 0);

	json_object_foreach((json_t *)object, key, value)
	{
		_cleanup_(freep) char *name = key_text(key);
		size_t pad = width - MIN(text_width(name ? name : ""), width);

		fprintf(to, "%*s%s", (int)indent, "", name ? name : "");
		if (is_scalar(value) || (json_is_array(value) && is_flat(value)))
			fprintf(to, "%*s", (int)pad + STEP, "");
		print_value(value, indent, depth, to);
	}
}

static void print_array(const json_t *array, unsigned indent, unsigned depth, FILE *to)
{
	const json_t *e;
	size_t i;

	json_array_foreach(array, i, e)
	{
		fprintf(to, "%*s%s", (int)indent, "", is_scalar(e) ? "" : "-");
		print_value(e, indent, depth, to);
	}
}

/* The rest of a line whose beginning stands there, and what belongs below it. */
static void print_value(const json_t *value, unsigned indent, unsigned depth, FILE *to)
{
	if (depth > DEPTH_MAX) {
		fputs("...\n", to);
	} else if (json_is_object(value)) {
		fputc('\n', to);
		print_object(value, indent + STEP, depth + 1, to);
	} else if (json_is_array(value) && !is_flat(value)) {
		fputc('\n', to);
		print_array(value, indent + STEP, depth + 1, to);
	} else {
		if (json_is_array(value))
			print_flat(value, to);
		else
			print_scalar(value, to);
		fputc('\n', to);
	}
}

void tree_print(const json_t *value, unsigned indent, FILE *to)
{
	if (json_is_object(value)) {
		print_object(value, indent, 0, to);
	} else if (json_is_array(value) && !is_flat(value)) {
		print_array(value, indent, 0, to);
	} else {
		fprintf(to, "%*s", (int)indent, "");
		print_value(value, indent, 0, to);
	}
}
