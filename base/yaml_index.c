/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/yaml_index.c - see base/yaml_index.h. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/cleanup.h"
#include "base/yaml_index.h"

/* Where the index pass is: one level for each open mapping or list. */
struct level {
	bool mapping;
	bool key_next;	   /* in a mapping: the next scalar is a key */
	unsigned entry;	   /* in a list: number of the next entry */
	size_t path_bytes; /* of the path to this level */
};

struct walk {
	struct yaml_index *ix;
	struct level levels[YAMLFILE_MAX_DEPTH];
	unsigned depth, documents, line;
	char path[YAML_PATH_BYTES];
	const char *problem; /* set with -EINVAL */
};

/* Text from the file must not become a second line, or move a terminal's cursor. */
char *yaml_sentence(const char *file, unsigned line, const char *path, const char *what)
{
	const char *separator = *path ? ": " : "";
	char *text;

	if (asprintf(&text, "%s:%u: %s%s%s", file, line, path, separator, what) < 0)
		return NULL;
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	return text;
}

static const struct yaml_key *find_key(const struct yaml_index *ix, const char *path, size_t len)
{
	for (size_t i = 0; i < ix->n_keys; i++)
		if (strlen(ix->keys[i].path) == len && memcmp(ix->keys[i].path, path, len) == 0)
			return &ix->keys[i];
	return NULL;
}

unsigned yaml_index_line(const struct yaml_index *ix, const char *path)
{
	const struct yaml_key *key;

	for (size_t len = strlen(path); len > 0; len--) {
		if (path[len] != '\0' && path[len] != '.')
			continue;
		key = find_key(ix, path, len);
		if (key)
			return key->line;
	}
	return 1;
}

static int refuse(struct walk *w, const char *problem)
{
	w->problem = problem;
	return -EINVAL;
}

static int note_key(struct walk *w)
{
	struct yaml_index *ix = w->ix;
	char *path;

	if (find_key(ix, w->path, strlen(w->path)))
		return refuse(w, "is there twice; keep one");
	if (ix->n_keys == YAMLFILE_MAX_KEYS)
		return refuse(w, "more than 1000 keys; a settings file needs far fewer");

	path = strdup(w->path);
	if (!path)
		return -ENOMEM;

	ix->keys[ix->n_keys++] = (struct yaml_key){.path = path, .line = w->line};
	return 0;
}

static bool key_ok(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] <= ' ' || s[i] == 0x7f || s[i] == '.' || s[i] == ':')
			return false;
	return len > 0 && len <= YAMLFILE_MAX_KEY;
}

static int enter_key(struct walk *w, const char *s, size_t len)
{
	struct level *level = &w->levels[w->depth - 1];

	if (!key_ok(s, len))
		return refuse(w, "a key that is not one word; write KEY: VALUE");

	snprintf(w->path + level->path_bytes, sizeof w->path - level->path_bytes, "%s%.*s",
		 level->path_bytes ? "." : "", (int)len, s);
	level->key_next = false;
	return note_key(w);
}

/* A value starts: in a list it gets its number into the path. */
static int begin_value(struct walk *w)
{
	struct level *level;

	if (w->depth == 0)
		return 0;

	level = &w->levels[w->depth - 1];
	if (level->mapping && level->key_next)
		return refuse(w, "a key that is not one word; write KEY: VALUE");
	if (!level->mapping)
		snprintf(w->path + level->path_bytes, sizeof w->path - level->path_bytes, "[%u]",
			 level->entry++);
	return 0;
}

static void end_value(struct walk *w)
{
	struct level *level;

	if (w->depth == 0)
		return;

	level = &w->levels[w->depth - 1];
	w->path[level->path_bytes] = '\0';
	level->key_next = true;
}

static int open_level(struct walk *w, bool mapping)
{
	int r;

	r = begin_value(w);
	if (r < 0)
		return r;
	if (w->depth == YAMLFILE_MAX_DEPTH)
		return refuse(w, "more than 8 levels deep; a settings file needs fewer");

	w->levels[w->depth++] =
		(struct level){.mapping = mapping, .key_next = true, .path_bytes = strlen(w->path)};
	return 0;
}

static int take_scalar(struct walk *w, const char *s, size_t len)
{
	struct level *level = w->depth ? &w->levels[w->depth - 1] : NULL;
	int r;

	if (level && level->mapping && level->key_next)
		return enter_key(w, s, len);

	r = begin_value(w);
	if (r < 0)
		return r;
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)s[i] < ' ' && s[i] != '\n') || s[i] == 0x7f)
			return refuse(w, "holds a control character; write plain text");
	end_value(w);
	return 0;
}

static int refuse_extras(struct walk *w, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor)
		return refuse(w, "anchors (&) are not allowed; write the value out");
	if (tag)
		return refuse(w, "tags (!) are not allowed; leave it out");
	return 0;
}

static int take_event(struct walk *w, const yaml_event_t *e)
{
	int r;

	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		return w->documents++ ? refuse(w, "a second document (---); keep one") : 0;
	case YAML_ALIAS_EVENT:
		return refuse(w, "aliases (*) are not allowed; write the value out");
	case YAML_SCALAR_EVENT:
		r = refuse_extras(w, e->data.scalar.anchor, e->data.scalar.tag);
		return r < 0 ? r
			     : take_scalar(w, (const char *)e->data.scalar.value,
					   e->data.scalar.length);
	case YAML_SEQUENCE_START_EVENT:
		r = refuse_extras(w, e->data.sequence_start.anchor, e->data.sequence_start.tag);
		return r < 0 ? r : open_level(w, false);
	case YAML_MAPPING_START_EVENT:
		r = refuse_extras(w, e->data.mapping_start.anchor, e->data.mapping_start.tag);
		return r < 0 ? r : open_level(w, true);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		w->depth--;
		end_value(w);
		return 0;
	default:
		return 0;
	}
}

/* What the parser stumbled over, with its line: a copy of its words, for people. */
static int parser_problem(struct walk *w, const yaml_parser_t *parser, const char *text,
			  char **ret_why)
{
	char what[256];
	unsigned line = (unsigned)parser->problem_mark.line + 1;

	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (parser->error == YAML_READER_ERROR) {
		line = 1;
		for (size_t i = 0; i < parser->problem_offset; i++)
			line += text[i] == '\n';
	}

	snprintf(what, sizeof what, "not YAML: %s; see the examples in docs/policies.md",
		 parser->problem ? parser->problem : "it ends in the middle");
	*ret_why = yaml_sentence(w->ix->file, line, "", what);
	return -EINVAL;
}

static int walk_events(struct walk *w, yaml_parser_t *parser, const char *text, char **ret_why)
{
	bool last = false;
	int r = 0;

	while (!last && r == 0) {
		yaml_event_t event;

		if (!yaml_parser_parse(parser, &event))
			return parser_problem(w, parser, text, ret_why);

		w->line = (unsigned)event.start_mark.line + 1;
		last = event.type == YAML_STREAM_END_EVENT;
		r = take_event(w, &event);
		yaml_event_delete(&event);
	}
	if (r == -EINVAL)
		*ret_why = yaml_sentence(w->ix->file, w->line, w->path, w->problem);
	return r;
}

/* Bytes that would make the parser's own words puzzling. */
static int check_bytes(const char *file, const char *text, size_t len, char **ret_why)
{
	bool indent = true;
	unsigned line = 1;
	const char *what = NULL;

	if (len > YAMLFILE_MAX_BYTES)
		what = "larger than 64 KiB; this is no settings file";

	for (size_t i = 0; !what && i < len; i++) {
		if (text[i] == '\0')
			what = "a NUL byte; save it as plain UTF-8 text";
		else if (indent && text[i] == '\t')
			what = "a tab; indent with spaces";
		if (what)
			break;
		indent = text[i] == '\n' || (indent && text[i] == ' ');
		line += text[i] == '\n';
	}
	if (!what)
		return 0;

	*ret_why = yaml_sentence(file, line, "", what);
	return -EINVAL;
}

int yaml_index_text(struct yaml_index *ix, const char *text, size_t len, char **ret_why)
{
	struct walk w = {.ix = ix};
	yaml_parser_t parser;
	int r;

	r = check_bytes(ix->file, text, len, ret_why);
	if (r < 0)
		return r;
	ix->keys = calloc(YAMLFILE_MAX_KEYS, sizeof *ix->keys);
	if (!ix->keys || !yaml_parser_initialize(&parser))
		return -ENOMEM;

	/* Said, not guessed: another encoding must not mean one thing here and another later. */
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	r = walk_events(&w, &parser, text, ret_why);
	yaml_parser_delete(&parser);
	return r;
}

void yaml_index_done(struct yaml_index *ix)
{
	for (size_t i = 0; i < ix->n_keys; i++)
		free(ix->keys[i].path);
	free(ix->keys);
}
