/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/page.c - see ctl/page.h. */
#include <stdbool.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/attributes.h"
#include "ctl/page.h"
#include "ctl/table.h"
#include "ctl/text.h"
#include "ctl/tree.h"

#define INDENT	    2
#define LABEL_WIDTH 14

/* "  Label         text": the text is made safe. */
__attribute__((format(printf, 3, 4))) static void line(FILE *to, const char *label,
						       const char *format, ...)
{
	_cleanup_(freep) char *text = NULL, *safe = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	safe = text ? text_safe(text) : NULL;
	fprintf(to, "%*s%-*s%s\n", INDENT, "", LABEL_WIDTH, label, safe ? safe : "?");
}

static void line_size(FILE *to, const char *label, const json_t *object, const char *member)
{
	char size[TEXT_SIZE_MAX];
	uint64_t n = member_number(object, member);

	if (json_object_get(object, member))
		line(to, label, "%s (%" PRIu64 " bytes)", text_size(n, size), n);
}

static void line_text(FILE *to, const char *label, const json_t *object, const char *member)
{
	const char *text = member_text(object, member, NULL);

	if (text)
		line(to, label, "%s", text);
}

char *page_policy(const json_t *status, int with_version)
{
	const json_t *policy = json_object_get(status, "policy");
	const char *name = member_text(policy, "name", NULL);
	bool inherited = json_is_true(json_object_get(policy, "inherited"));
	char version[40] = "", *text;

	if (!name || !*name)
		return strdup("-");
	if (with_version && json_object_get(policy, "version"))
		snprintf(version, sizeof version, ", version %" PRIu64,
			 member_number(policy, "version"));
	if (asprintf(&text, "%s%s%s%s%s", name, version, inherited ? " (from " : "",
		     inherited ? member_text(policy, "from", "above") : "",
		     inherited ? ")" : "") < 0)
		return NULL;
	return text;
}

char *page_quarantine(const json_t *status)
{
	const json_t *q = json_object_get(status, "quarantine");
	const char *stage = member_text(q, "stage", NULL), *extent = member_text(q, "extent", NULL);
	char *text;

	if (!q)
		return NULL;
	if (asprintf(&text,
		     "weir's worker died over %s %" PRIu64 " times, the last of %s in %s%s%s on "
		     "%s; I/O fails until `weir resume'",
		     extent ? extent : "it", member_number(q, "faults"),
		     member_text(q, "signal", "?"), member_text(q, "operation", "?"),
		     stage ? " of stage " : "", stage ? stage : "",
		     member_text(q, "since", "?")) < 0)
		return NULL;
	return text;
}

char *page_slow(const json_t *status)
{
	const json_t *list = json_object_get(status, "slow"), *one, *worst = NULL;
	const char *stage;
	char *text;
	size_t i;

	json_array_foreach(list, i, one) if (!worst || member_number(one, "seconds") >
							       member_number(worst, "seconds"))
		worst = one;
	if (!worst)
		return NULL;
	stage = member_text(worst, "stage", NULL);
	if (asprintf(&text, "%zu %s, the longest a %s for %" PRIu64 " s%s%s",
		     json_array_size(list), json_array_size(list) == 1 ? "request" : "requests",
		     member_text(worst, "operation", "?"), member_number(worst, "seconds"),
		     stage ? " in stage " : "", stage ? stage : "") < 0)
		return NULL;
	return text;
}

/* "a, b, c" of an array of texts; malloc'ed. */
static char *join(const json_t *array)
{
	char *text = NULL;
	size_t size, i;
	FILE *f = open_memstream(&text, &size);
	const json_t *e;

	if (!f)
		return NULL;
	json_array_foreach(array, i, e) fprintf(f, "%s%s", i ? ", " : "",
						json_string_value(e) ? json_string_value(e) : "?");
	fclose(f);
	return text;
}

static void print_way(const json_t *status, FILE *to)
{
	_cleanup_(freep) char *stages = join(json_object_get(status, "stages"));
	const char *way = member_text(status, "way", NULL);
	bool any = stages && *stages;

	if (way)
		line(to, "Way", "%s%s%s%s", way, any ? " (" : "", any ? stages : "",
		     any ? ")" : "");
	if (json_object_get(status, "opens"))
		line(to, "Open", "%" PRIu64 " %s", member_number(status, "opens"),
		     member_number(status, "opens") == 1 ? "time" : "times");
}

static void print_holders(const json_t *status, FILE *to)
{
	const json_t *holder;
	size_t i;

	json_array_foreach(json_object_get(status, "holders"), i, holder)
		line(to, "Held by", "process %" PRIu64 " (%s)", member_number(holder, "pid"),
		     member_text(holder, "command", "?"));
}

static void print_extents(const json_t *disk, FILE *to)
{
	static const char *const headings[] = {"EXTENT", "TYPE", ">SIZE", "STATE", NULL};
	_cleanup_(table_freep) struct table *t = table_new(headings, INDENT);
	const json_t *e;
	size_t i;

	json_array_foreach(json_object_get(disk, "extents"), i, e)
	{
		const char *state = member_text(e, "state", ""), *why = member_text(e, "why", NULL);
		_cleanup_(freep) char *both = NULL;
		char size[TEXT_SIZE_MAX];

		if (why && asprintf(&both, "%s: %s", state, why) < 0)
			both = NULL;
		if (t)
			table_row(t, (const char *[]){member_text(e, "file", "?"),
						      member_text(e, "type", "?"),
						      text_size(member_number(e, "size"), size),
						      both ? both : state, NULL});
	}
	if (!t || table_rows(t) == 0)
		return;
	fputc('\n', to);
	table_print(t, to);
}

/* What a .vmx names. */
static void print_vm(const json_t *vm, FILE *to)
{
	_cleanup_(freep) char *disks = join(json_object_get(vm, "disks"));
	_cleanup_(freep) char *files = join(json_object_get(vm, "files"));

	line_text(to, "Name", vm, "name");
	if (disks && *disks)
		line(to, "Disks", "%s", disks);
	if (files && *files)
		line(to, "Files", "%s", files);
	line_text(to, "Problem", vm, "problem");
}

/* Is @path, of the datastore, an extent of another one of @disks? */
static bool is_extent(const json_t *disks, const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *owner;
	size_t length = (size_t)(name - path), i, j;
	const json_t *one, *extent;

	json_array_foreach(disks, i, one)
	{
		owner = member_text(one, "path", "");
		if (strcmp(owner, path) == 0 || strncmp(owner, path, length) != 0 ||
		    strchr(owner + length, '/'))
			continue;
		json_array_foreach(json_object_get(json_object_get(one, "disk"), "extents"), j,
				   extent) if (strcmp(member_text(extent, "file", ""), name) ==
					       0) return true;
	}
	return false;
}

/* The disks of a VM, by their paths in the datastore. */
static void print_members(const json_t *disks, FILE *to)
{
	static const char *const headings[] = {"DISK",	     "TYPE", ">SIZE", "POLICY",
					       "COMPLIANCE", "WAY",  NULL};
	_cleanup_(table_freep) struct table *t = table_new(headings, INDENT);
	const json_t *one;
	size_t i;

	json_array_foreach(disks, i, one)
	{
		const json_t *disk = json_object_get(one, "disk");
		bool capacity = json_object_get(disk, "capacity");
		_cleanup_(freep) char *policy = page_policy(one, false);
		char size[TEXT_SIZE_MAX];

		if (is_extent(disks, member_text(one, "path", "")))
			continue;
		text_size(member_number(capacity ? disk : one, capacity ? "capacity" : "size"),
			  size);
		if (t)
			table_row(t,
				  (const char *[]){member_text(one, "path", "?"),
						   member_text(disk, "type", "?"), size,
						   policy ? policy : "?",
						   member_text(json_object_get(one, "compliance"),
							       "state", "-"),
						   member_text(one, "way", "-"), NULL});
	}
	if (!t || table_rows(t) == 0)
		return;
	fputc('\n', to);
	table_print(t, to);
}

static void print_disk(const json_t *disk, FILE *to)
{
	_cleanup_(freep) char *chain = join(json_object_get(disk, "chain"));

	line_text(to, "Type", disk, "type");
	line_size(to, "Capacity", disk, "capacity");
	line_text(to, "Adapter", disk, "adapter");
	line_text(to, "Parent", disk, "parent");
	if (chain && *chain)
		line(to, "Chain", "%s", chain);
	line_text(to, "Problem", disk, "problem");
}

static void print_compliance(const json_t *status, FILE *to)
{
	const json_t *c = json_object_get(status, "compliance");
	const char *state = member_text(c, "state", NULL), *why = member_text(c, "why", "");
	const char *const members[][2] = {{"expected", "Expected"}, {"current", "Current"}};

	if (!state)
		return;
	line(to, "Compliance", "%s%s%s", state, *why ? ": " : "", why);
	line_text(to, "Refused", c, "refused");
	for (size_t i = 0; strcmp(state, "compliant") != 0 && i < ARRAY_SIZE(members); i++) {
		const json_t *value = json_object_get(c, members[i][0]);

		if (!value || json_is_null(value))
			continue;
		fprintf(to, "%*s%s\n", INDENT, "", members[i][1]);
		tree_print(value, 2 * INDENT, to);
	}
}

/* One row of the latency table; mean and percentiles come in microseconds. */
static void latency_row(struct table *t, const char *name, const json_t *operation)
{
	static const char *const members[] = {"mean", "p50", "p90", "p99", "p999", "max"};
	const json_t *latency = json_object_get(operation, "latency_us");
	char text[ARRAY_SIZE(members)][TEXT_SIZE_MAX], ops[TEXT_SIZE_MAX], bytes[TEXT_SIZE_MAX];
	uint64_t n = member_number(operation, "ops");

	if (n == 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		text_duration_ns(1000 * json_number_value(json_object_get(latency, members[i])),
				 text[i]);
	table_row(t, (const char *[]){name, text_count((double)n, ops),
				      json_object_get(operation, "bytes")
					      ? text_size(member_number(operation, "bytes"), bytes)
					      : "-",
				      text[0], text[1], text[2], text[3], text[4], text[5], NULL});
}

/* Members with latencies become a table, the others a tree. */
static void print_stage(const char *name, const json_t *stats, FILE *to)
{
	static const char *const headings[] = {"OPERATION", ">COUNT", ">BYTES", ">MEAN", ">P50",
					       ">P90",	    ">P99",   ">P99.9", ">MAX",	 NULL};
	_cleanup_(table_freep) struct table *t = table_new(headings, 2 * INDENT);
	_cleanup_(json_decrefp) json_t *rest = json_object();
	_cleanup_(freep) char *safe = text_safe(name);
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)stats, key, value)
	{
		if (t && json_is_object(value) && json_object_get(value, "latency_us"))
			latency_row(t, key, value);
		else if (rest)
			json_object_set(rest, key, value);
	}
	fprintf(to, "\n%*sStage %s\n", INDENT, "", safe ? safe : "?");
	if (t && table_rows(t) > 0)
		table_print(t, to);
	if (rest)
		tree_print(rest, 2 * INDENT, to);
}

static void print_trouble(const json_t *status, FILE *to)
{
	_cleanup_(freep) char *quarantine = page_quarantine(status), *slow = page_slow(status);

	if (quarantine)
		line(to, "In quarantine", "%s", quarantine);
	if (slow)
		line(to, "Slow", "%s", slow);
}

void page_print(const struct disk *d, FILE *to)
{
	_cleanup_(freep) char *policy = page_policy(d->status, true), *safe = text_safe(d->path);
	const json_t *disk = json_object_get(d->status, "disk");
	const json_t *vm = json_object_get(d->status, "vm"), *stats;
	const char *name;
	json_t *stage;
	char used[TEXT_SIZE_MAX];

	fprintf(to, "%s\n", safe ? safe : "?");
	if (disk)
		print_disk(disk, to);
	else if (vm)
		print_vm(vm, to);
	else
		line_text(to, "Kind", d->status, "kind");
	print_trouble(d->status, to);
	line_size(to, "Size", d->status, "size");
	line(to, "Used", "%s (%" PRIu64 " bytes)", text_size(disk_used(d), used), disk_used(d));
	line(to, "Policy", "%s", policy && strcmp(policy, "-") != 0 ? policy : "none");
	print_compliance(d->status, to);
	print_way(d->status, to);
	print_holders(d->status, to);
	print_extents(disk, to);
	print_members(json_object_get(d->status, "disks"), to);

	stats = json_object_get(d->status, "stats");
	json_object_foreach((json_t *)stats, name, stage) print_stage(name, stage, to);
}
