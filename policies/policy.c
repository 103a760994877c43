/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policies/policy.c - a policy from the text of its YAML file.
 *
 * The schema of "stages" is put together from the table of stage classes: each class is one
 * optional key whose fields are the class's own.  So a new stage needs nothing here.
 *
 * Invariant  a policy lives only with a file that passed the schema and every class's check.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "base/yamlfile.h"
#include "policies/policy_text.h"

#define DIGEST_BYTES 32
#define FORMAT	     1 /* of "weir:" */

enum passthrough { PASSTHROUGH_ALLOW, PASSTHROUGH_NEVER };

struct policy_file { /* as in the file; a key that is not there is NULL */
	char *weir, *name, *version, *description;
	enum passthrough passthrough;
	void **stages; /* settings of each class, in the order of stage_classes */
};

struct policy {
	_Atomic unsigned refs;
	char *description;
	uint64_t version;
	uint8_t digest[DIGEST_BYTES];

	cyaml_schema_field_t *stage_fields, *fields; /* the schema: yaml keeps pointers to it */
	cyaml_schema_value_t schema;
	struct yamlfile *yaml;
	const struct policy_file *file; /* in yaml */

	struct stack_part *parts; /* in order of rank */
	size_t n_parts;
};

bool policy_name_ok(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > POLICY_NAME_MAX || *name == '.' || *name == '-')
		return false;
	for (; *name; name++)
		if (!(*name >= 'a' && *name <= 'z') && !(*name >= 'A' && *name <= 'Z') &&
		    !(*name >= '0' && *name <= '9') && !strchr("-_.", *name))
			return false;
	return true;
}

/* ---- the schema ---- */

static const cyaml_strval_t passthrough_words[] = {
	{"allow", PASSTHROUGH_ALLOW},
	{"never", PASSTHROUGH_NEVER},
};

#define OPTIONAL_TEXT(key, member)                                                                 \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct policy_file,  \
			       member, 1, CYAML_UNLIMITED)

static const cyaml_schema_field_t no_fields[] = {CYAML_FIELD_END};

static const cyaml_schema_field_t file_fields[] = {
	OPTIONAL_TEXT("weir", weir),
	OPTIONAL_TEXT("name", name),
	OPTIONAL_TEXT("version", version),
	OPTIONAL_TEXT("description", description),
	CYAML_FIELD_ENUM("passthrough", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct policy_file,
			 passthrough, passthrough_words, ARRAY_SIZE(passthrough_words)),
	/* its schema is filled in by make_schema: */
	{.key = "stages", .data_offset = offsetof(struct policy_file, stages)},
	CYAML_FIELD_END,
};

static size_t class_count(void)
{
	size_t n = 0;

	while (stage_classes[n])
		n++;
	return n;
}

static cyaml_schema_value_t mapping(size_t size, const cyaml_schema_field_t *fields)
{
	return (cyaml_schema_value_t){
		.type = CYAML_MAPPING,
		.flags = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
		.data_size = (uint32_t)MAX(size, 1),
		.mapping.fields = fields,
	};
}

static int make_schema(struct policy *p)
{
	size_t n = class_count();

	p->stage_fields = calloc(n + 1, sizeof *p->stage_fields);
	p->fields = malloc(sizeof file_fields);
	if (!p->stage_fields || !p->fields)
		return -ENOMEM;

	for (size_t i = 0; i < n; i++) {
		const struct stage_class *class = stage_classes[i];

		p->stage_fields[i] = (cyaml_schema_field_t){
			.key = class->name,
			.data_offset = (uint32_t)(i * sizeof(void *)),
			.value = mapping(class->settings_size,
					 class->fields ? class->fields : no_fields),
		};
	}

	memcpy(p->fields, file_fields, sizeof file_fields);
	p->fields[ARRAY_SIZE(file_fields) - 2].value = mapping(n * sizeof(void *), p->stage_fields);
	p->schema = mapping(sizeof(struct policy_file), p->fields);
	return 0;
}

/* ---- from text to policy ---- */

static int wrong(const struct policy *p, const char *key, const char *what, char **ret_why)
{
	*ret_why = yamlfile_sentence(p->yaml, key, what);
	return -EINVAL;
}

static int check_format(const struct policy *p, char **ret_why)
{
	const char *why;
	uint64_t n;

	if (!p->file->weir)
		return wrong(p, "weir", "missing; the file must say weir: 1", ret_why);
	if (parse_number(p->file->weir, &n, &why) < 0 || n != FORMAT)
		return wrong(p, "weir", "not a format this weir knows; write 1", ret_why);
	return 0;
}

static int check_name(const struct policy *p, const char *name, char **ret_why)
{
	char what[2 * POLICY_NAME_MAX + 100];

	if (!p->file->name)
		snprintf(what, sizeof what, "missing; write name: %s", name);
	else if (strcmp(p->file->name, name) != 0)
		snprintf(what, sizeof what,
			 "\"%.*s\" is not the file's name; write %s, or rename it", POLICY_NAME_MAX,
			 p->file->name, name);
	else
		return 0;
	return wrong(p, "name", what, ret_why);
}

static int take_version(struct policy *p, char **ret_why)
{
	const char *why;

	p->version = 1;
	if (!p->file->version)
		return 0;
	if (parse_number(p->file->version, &p->version, &why) < 0)
		return wrong(p, "version", why, ret_why);
	if (p->version == 0 || p->version > INT64_MAX)
		return wrong(p, "version", "out of range; count from 1", ret_why);
	return 0;
}

/* One line, whatever way it was folded. */
static int take_description(struct policy *p)
{
	size_t len;

	p->description = strdup(p->file->description ? p->file->description : "");
	if (!p->description)
		return -ENOMEM;

	len = strlen(p->description);
	while (len > 0 && isspace((unsigned char)p->description[len - 1]))
		p->description[--len] = '\0';
	for (char *s = p->description; *s; s++)
		if (*s == '\n')
			*s = ' ';
	return 0;
}

/* A class's sentence "burst.iops: what" names its own key: put the way to it in front. */
static int class_wrong(const struct policy *p, const struct stage_class *class, const char *why,
		       char **ret_why)
{
	_cleanup_(freep) char *path = NULL;
	size_t key = strcspn(why, ": ");

	if (why[key] == ':' && why[key + 1] == ' ') {
		if (asprintf(&path, "stages.%s.%.*s", class->name, (int)key, why) < 0)
			return -ENOMEM;
		why += key + 2;
	} else if (asprintf(&path, "stages.%s", class->name) < 0) {
		return -ENOMEM;
	}
	return wrong(p, path, why, ret_why);
}

static int by_rank(const void *a, const void *b)
{
	const struct stack_part *x = a, *y = b;

	return x->class->rank < y->class->rank ? -1 : x->class->rank > y->class->rank;
}

static int take_stages(struct policy *p, char **ret_why)
{
	p->parts = calloc(class_count() + 1, sizeof *p->parts);
	if (!p->parts)
		return -ENOMEM;

	for (size_t i = 0; p->file->stages && stage_classes[i]; i++) {
		const struct stage_class *class = stage_classes[i];
		const void *settings = p->file->stages[i];
		_cleanup_(freep) char *why = NULL;
		int r;

		if (!settings)
			continue;
		r = class->check ? class->check(settings, &why) : 0;
		if (r == -EINVAL)
			return class_wrong(p, class, why ? why : "wrong settings", ret_why);
		if (r < 0)
			return r;
		p->parts[p->n_parts++] = (struct stack_part){.class = class, .settings = settings};
	}
	qsort(p->parts, p->n_parts, sizeof *p->parts, by_rank);
	return 0;
}

static int check_contents(struct policy *p, const char *name, char **ret_why)
{
	int r;

	r = check_format(p, ret_why);
	if (r < 0)
		return r;
	r = check_name(p, name, ret_why);
	if (r < 0)
		return r;
	r = take_version(p, ret_why);
	if (r < 0)
		return r;
	r = take_description(p);
	if (r < 0)
		return r;
	return take_stages(p, ret_why);
}

int policy_parse(const char *file, const char *name, const char *text, size_t len,
		 struct policy **ret, char **ret_why)
{
	_cleanup_(policy_unrefp) struct policy *p = NULL;
	int r;

	*ret_why = NULL;
	p = calloc(1, sizeof *p);
	if (!p || sodium_init() < 0)
		return -ENOMEM;
	p->refs = 1;
	crypto_generichash(p->digest, sizeof p->digest, (const unsigned char *)text, len, NULL, 0);

	r = make_schema(p);
	if (r < 0)
		return r;
	r = yamlfile_load(file, text, len, &p->schema, &p->yaml, ret_why);
	if (r < 0)
		return r;
	p->file = yamlfile_data(p->yaml);
	r = check_contents(p, name, ret_why);
	if (r < 0)
		return r;

	*ret = TAKE_PTR(p);
	return 0;
}

/* ---- the object ---- */

struct policy *policy_ref(struct policy *p)
{
	atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
	return p;
}

void policy_unref(struct policy *p)
{
	if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
		return;
	yamlfile_free(p->yaml);
	free(p->fields);
	free(p->stage_fields);
	free(p->parts);
	free(p->description);
	free(p);
}

const char *policy_name(const struct policy *p)
{
	return p->file->name;
}

uint64_t policy_version(const struct policy *p)
{
	return p->version;
}

const char *policy_description(const struct policy *p)
{
	return p->description;
}

bool policy_forbids_passthrough(const struct policy *p)
{
	return p->file->passthrough == PASSTHROUGH_NEVER;
}

const uint8_t *policy_digest(const struct policy *p)
{
	return p->digest;
}

size_t policy_parts(const struct policy *p, const struct stack_part **ret)
{
	*ret = p->parts;
	return p->n_parts;
}
