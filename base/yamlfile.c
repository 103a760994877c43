/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/yamlfile.c - see base/yamlfile.h.
 *
 * Two passes over the same text: base/yaml_index.c with libyaml, then libcyaml by the schema.  The
 * second one's messages are made for programmers and its lines are those of the value before; so
 * only the path and the kind of error are taken from it, and the line from the index.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/yaml_index.h"

struct yamlfile {
	char *file;
	struct yaml_index index;
	const cyaml_schema_value_t *schema;
	void *data;
};

unsigned yamlfile_line(const struct yamlfile *y, const char *path)
{
	return yaml_index_line(&y->index, path);
}

char *yamlfile_sentence(const struct yamlfile *y, const char *path, const char *what)
{
	return yaml_sentence(y->file, yamlfile_line(y, path), path, what);
}

struct complaint { /* what libcyaml logged */
	char message[256];
	char path[YAML_PATH_BYTES];
	char last[YAMLFILE_MAX_KEY + 1]; /* the innermost key of the path */
	unsigned frames;
};

static void prepend_key(struct complaint *c, const char *key)
{
	char longer[YAML_PATH_BYTES];
	int n;

	n = snprintf(longer, sizeof longer, "%s%s%s", key, *c->path ? "." : "", c->path);
	if (n < (int)sizeof longer)
		strcpy(c->path, longer);
}

__attribute__((format(printf, 3, 0))) static void note_complaint(cyaml_log_t level, void *data,
								 const char *format, va_list ap)
{
	static const char field[] = "  in mapping field '";
	struct complaint *c = data;
	char text[256], *end;

	(void)level;
	vsnprintf(text, sizeof text, format, ap);
	text[strcspn(text, "\n")] = '\0';

	if (strncmp(text, "Load: ", 6) == 0 && !*c->message) {
		if (strcmp(text + 6, "Backtrace:") != 0)
			strcpy(c->message, text + 6);
		return;
	}
	if (strncmp(text, field, sizeof field - 1) != 0) {
		c->frames += strncmp(text, "  in ", 5) == 0;
		return;
	}
	end = strchr(text + sizeof field - 1, '\'');
	if (end)
		*end = '\0';
	if (c->frames++ == 0)
		snprintf(c->last, sizeof c->last, "%.64s", text + sizeof field - 1);
	prepend_key(c, text + sizeof field - 1);
}

/* The schema of the value at @path. */
static const cyaml_schema_value_t *schema_at(const cyaml_schema_value_t *value, const char *path)
{
	while (*path && value->type == CYAML_MAPPING) {
		size_t len = strcspn(path, ".");
		const cyaml_schema_field_t *f = value->mapping.fields;

		while (f->key && (strlen(f->key) != len || memcmp(f->key, path, len) != 0))
			f++;
		if (!f->key)
			break;
		value = &f->value;
		path += len + (path[len] == '.');
	}
	return value;
}

static void list_keys(const cyaml_schema_value_t *value, char *ret, size_t size)
{
	size_t n = 0;

	*ret = '\0';
	if (value->type != CYAML_MAPPING)
		return;
	for (const cyaml_schema_field_t *f = value->mapping.fields; f->key && n < size; f++)
		n += (size_t)snprintf(ret + n, size - n, "%s%s", n ? ", " : "", f->key);
}

static void list_words(const cyaml_schema_value_t *value, char *ret, size_t size)
{
	size_t n = 0;

	*ret = '\0';
	for (uint32_t i = 0; i < value->enumeration.count && n < size; i++)
		n += (size_t)snprintf(ret + n, size - n, "%s%s", n ? " or " : "",
				      value->enumeration.strings[i].str);
}

/* What is wrong with a value the schema does not take. */
static void describe_value(const cyaml_schema_value_t *value, char *ret, size_t size)
{
	char words[256];

	switch (value->type) {
	case CYAML_ENUM:
		list_words(value, words, sizeof words);
		snprintf(ret, size, "not one of its words; write %s", words);
		break;
	case CYAML_MAPPING:
		snprintf(ret, size, "holds no keys; write {} to take its defaults");
		break;
	case CYAML_BOOL:
		snprintf(ret, size, "neither true nor false; write one of them");
		break;
	case CYAML_INT:
	case CYAML_UINT:
		snprintf(ret, size, "not a number of the right size; write a whole number");
		break;
	default:
		snprintf(ret, size, "takes one value; write KEY: VALUE without a list");
	}
}

/* The complaint's path becomes that of @key in the mapping it was found in. */
static void move_path_to(struct complaint *c, const char *key)
{
	size_t len = strlen(c->path), last = strlen(c->last);
	size_t keep = len >= last ? len - last : 0;

	snprintf(c->path + keep, sizeof c->path - keep, "%s%.64s",
		 keep && c->path[keep - 1] != '.' ? "." : "", key);
}

static void describe_error(const struct yamlfile *y, cyaml_err_t e, struct complaint *c, char *ret,
			   size_t size)
{
	const char *word = strstr(c->message, ": ");
	char keys[400];

	switch (e) {
	case CYAML_ERR_INVALID_KEY:
		list_keys(schema_at(y->schema, c->path), keys, sizeof keys);
		snprintf(ret, size, "unknown key; %s%s",
			 *keys ? "known here: " : "none is known here", keys);
		if (*c->path)
			strncat(c->path, ".", sizeof c->path - strlen(c->path) - 1);
		strncat(c->path, word ? word + 2 : "", sizeof c->path - strlen(c->path) - 1);
		break;
	case CYAML_ERR_MAPPING_FIELD_MISSING:
		move_path_to(c, word ? word + 2 : "");
		snprintf(ret, size, "missing; add it");
		break;
	case CYAML_ERR_STRING_LENGTH_MIN:
		snprintf(ret, size, "has no value; write one, or leave the key out");
		break;
	case CYAML_ERR_STRING_LENGTH_MAX:
		snprintf(ret, size, "too long; at most %u bytes",
			 schema_at(y->schema, c->path)->string.max);
		break;
	case CYAML_ERR_INVALID_VALUE:
		if (!*c->path)
			snprintf(ret, size, "not a mapping; write KEY: VALUE lines");
		else
			describe_value(schema_at(y->schema, c->path), ret, size);
		break;
	default:
		snprintf(ret, size, "%s", *c->message ? c->message : cyaml_strerror(e));
	}
}

static cyaml_config_t config(struct complaint *c)
{
	return (cyaml_config_t){
		.log_fn = c ? note_complaint : NULL,
		.log_ctx = c,
		.mem_fn = cyaml_mem,
		.log_level = CYAML_LOG_ERROR,
		.flags = CYAML_CFG_NO_ALIAS,
	};
}

static int load_by_schema(struct yamlfile *y, const char *text, size_t len, char **ret_why)
{
	struct complaint c = {0};
	cyaml_config_t conf = config(&c);
	char what[512];
	cyaml_err_t e;

	e = cyaml_load_data((const uint8_t *)text, len, &conf, y->schema, &y->data, NULL);
	if (e == CYAML_ERR_OOM)
		return -ENOMEM;
	if (e != CYAML_OK) {
		describe_error(y, e, &c, what, sizeof what);
		*ret_why = yamlfile_sentence(y, c.path, what);
		return -EINVAL;
	}
	if (!y->data) {
		*ret_why = yaml_sentence(y->file, 1, "", "empty; write KEY: VALUE lines");
		return -EINVAL;
	}
	return 0;
}

/* ---- the whole ---- */

static void yamlfile_freep(struct yamlfile **y)
{
	yamlfile_free(*y);
}

int yamlfile_load(const char *file, const char *text, size_t len,
		  const cyaml_schema_value_t *schema, struct yamlfile **ret, char **ret_why)
{
	_cleanup_(yamlfile_freep) struct yamlfile *y = NULL;
	int r;

	*ret_why = NULL;
	y = calloc(1, sizeof *y);
	if (!y)
		return -ENOMEM;
	y->schema = schema;
	y->file = strdup(file);
	if (!y->file)
		return -ENOMEM;

	y->index.file = y->file;
	r = yaml_index_text(&y->index, text, len, ret_why);
	if (r < 0)
		return r;
	r = load_by_schema(y, text, len, ret_why);
	if (r < 0)
		return r;

	*ret = TAKE_PTR(y);
	return 0;
}

void yamlfile_free(struct yamlfile *y)
{
	cyaml_config_t conf = config(NULL);

	if (!y)
		return;
	if (y->data)
		cyaml_free(&conf, y->schema, y->data, 0);
	yaml_index_done(&y->index);
	free(y->file);
	free(y);
}

const void *yamlfile_data(const struct yamlfile *y)
{
	return y->data;
}
