/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/policy_files.c - weir policy list, show and check: policy files, without a mount. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/paths.h"
#include "ctl/attributes.h"
#include "ctl/command.h"
#include "ctl/policy.h"
#include "ctl/table.h"
#include "ctl/text.h"
#include "ctl/tree.h"
#include "policies/policy.h"

static const struct option long_options[] = {
	{"policies", required_argument, NULL, 'p'},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{NULL},
};

struct arguments {
	const char *dirs[PATHS_POLICY_DIRS_MAX];
	bool json;
};

/* 0: go on; otherwise an exit code plus one. */
static int arguments(int argc, char **argv, struct arguments *ret)
{
	const char *directory = NULL;
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, ":p:jh", long_options, NULL)) != -1) {
		switch (c) {
		case 'p':
			directory = optarg;
			break;
		case 'j':
			ret->json = true;
			break;
		case 'h':
			return print_help(&command_policy) + 1;
		default:
			return option_error(&command_policy, argc, argv) + 1;
		}
	}
	paths_policy_dirs(directory, ret->dirs);
	return 0;
}

static void policy_list_freep(char ***list)
{
	if (*list)
		policy_list_free(*list);
}

/* "inspect, limit" */
static void stages_text(const struct policy *p, char *ret, size_t size)
{
	const struct stack_part *parts;
	size_t n = policy_parts(p, &parts), used = 0;

	ret[0] = 0;
	for (size_t i = 0; i < n && used < size; i++)
		used += (size_t)snprintf(ret + used, size - used, "%s%s", i ? ", " : "",
					 parts[i].class->name);
}

static int list_row(struct table *t, const char *const *dirs, const char *name)
{
	_cleanup_(policy_unrefp) struct policy *p = NULL;
	_cleanup_(freep) char *why = NULL;
	char version[24], stages[256];

	if (policy_load(dirs, name, &p, &why) < 0) {
		complain("%s", why ? why : name);
		return EXIT_CODE_FAILED;
	}
	snprintf(version, sizeof version, "%" PRIu64, policy_version(p));
	stages_text(p, stages, sizeof stages);
	table_row(t, (const char *[]){policy_name(p), version, stages,
				      policy_forbids_passthrough(p) ? "never" : "",
				      policy_description(p) ? policy_description(p) : "", NULL});
	return EXIT_CODE_OK;
}

int policy_list_run(int argc, char **argv)
{
	static const char *const headings[] = {"NAME",	      ">VERSION",    "STAGES",
					       "PASSTHROUGH", "DESCRIPTION", NULL};
	_cleanup_(table_freep) struct table *t = table_new(headings, 0);
	_cleanup_(policy_list_freep) char **names = NULL;
	struct arguments a = {0};
	int code = EXIT_CODE_OK, r;

	r = arguments(argc, argv, &a);
	if (r > 0)
		return r - 1;
	if (argc != optind)
		return usage_error(&command_policy, "policy list takes no names");
	r = policy_list(a.dirs, &names);
	if (r < 0 || !t) {
		complain("cannot list policies: %s", strerror(r < 0 ? -r : ENOMEM));
		return EXIT_CODE_FAILED;
	}
	for (size_t i = 0; names[i]; i++)
		if (list_row(t, a.dirs, names[i]) != EXIT_CODE_OK)
			code = EXIT_CODE_FAILED;
	if (table_rows(t) == 0)
		printf("no policies\n");
	else if (table_print(t, stdout) < 0)
		code = EXIT_CODE_FAILED;
	return code;
}

/* The file a name stands for: the first directory that has it. */
static void print_file(const char *const *dirs, const char *name)
{
	for (size_t i = 0; dirs[i]; i++) {
		_cleanup_(freep) char *path = NULL;

		if (asprintf(&path, "%s/%s.yaml", dirs[i], name) < 0) {
			path = NULL;
			return;
		}
		if (access(path, F_OK) == 0) {
			printf("  File         %s\n", path);
			return;
		}
	}
}

static void print_policy(const struct policy *p, const char *const *dirs)
{
	_cleanup_(json_decrefp) json_t *json = policy_json(p);
	_cleanup_(freep) char *description = NULL;
	const json_t *stages;

	description = text_safe(policy_description(p) ? policy_description(p) : "");
	printf("%s, version %" PRIu64 "\n", policy_name(p), policy_version(p));
	if (description && *description)
		printf("  Description  %s\n", description);
	print_file(dirs, policy_name(p));
	printf("  Passthrough  %s\n", policy_forbids_passthrough(p) ? "never" : "allowed");
	stages = json_object_get(json, "stages");
	printf("  Stages%s\n", json_object_size(stages) ? "" : "       none");
	if (stages)
		tree_print(stages, 4, stdout);
}

int policy_show_run(int argc, char **argv)
{
	_cleanup_(policy_unrefp) struct policy *p = NULL;
	_cleanup_(freep) char *why = NULL;
	struct arguments a = {0};
	int r;

	r = arguments(argc, argv, &a);
	if (r > 0)
		return r - 1;
	if (argc - optind != 1)
		return usage_error(&command_policy, "policy show takes one NAME");
	r = policy_load(a.dirs, argv[optind], &p, &why);
	if (r < 0) {
		complain("%s", why ? why : strerror(-r));
		return EXIT_CODE_FAILED;
	}
	if (a.json) {
		_cleanup_(json_decrefp) json_t *json = policy_json(p);

		json_dumpf(json, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print_policy(p, a.dirs);
	}
	return EXIT_CODE_OK;
}

/* What is no file but could be a policy's name is looked for by that. */
static int check_one(const struct arguments *a, const char *what, struct policy **ret,
		     char **ret_why)
{
	if (access(what, F_OK) < 0 && policy_name_ok(what) && !strstr(what, ".yaml"))
		return policy_load(a->dirs, what, ret, ret_why);
	return policy_load_file(what, ret, ret_why);
}

int policy_check_run(int argc, char **argv)
{
	struct arguments a = {0};
	int code = EXIT_CODE_OK, r;

	r = arguments(argc, argv, &a);
	if (r > 0)
		return r - 1;
	if (argc == optind)
		return usage_error(&command_policy, "policy check takes a FILE or NAME, or more");
	for (; optind < argc; optind++) {
		_cleanup_(policy_unrefp) struct policy *p = NULL;
		_cleanup_(freep) char *why = NULL, *safe = text_safe(argv[optind]);

		r = check_one(&a, argv[optind], &p, &why);
		if (r < 0) {
			complain("%s", why ? why : strerror(-r));
			code = EXIT_CODE_FAILED;
			continue;
		}
		printf("%s: good: %s, version %" PRIu64 "\n", safe ? safe : "?", policy_name(p),
		       policy_version(p));
	}
	return code;
}
