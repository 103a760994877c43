/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/policy_attach.c - weir policy set, clear and apply: the xattrs, for people.
 *
 * Everything is decided by the filesystem; this file asks, and says what came of it.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/attributes.h"
#include "ctl/command.h"
#include "ctl/mounts.h"
#include "ctl/policy.h"
#include "ctl/text.h"
#include "ctl/tree.h"

static const struct option long_options[] = {
	{"dry-run", no_argument, NULL, 'n'},
	{"help", no_argument, NULL, 'h'},
	{NULL},
};

/* 0: go on; otherwise an exit code plus one. */
static int options(int argc, char **argv, bool *ret_dry_run)
{
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, ret_dry_run ? ":nh" : ":h",
				ret_dry_run ? long_options : long_options + 1, NULL)) != -1) {
		if (c == 'h')
			return print_help(&command_policy) + 1;
		if (c != 'n')
			return option_error(&command_policy, argc, argv) + 1;
		*ret_dry_run = true;
	}
	return 0;
}

/* "PATH: text", made safe. */
__attribute__((format(printf, 2, 3))) static void say(const char *path, const char *format, ...)
{
	_cleanup_(freep) char *text = NULL, *safe = NULL, *safe_path = text_safe(path);
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	safe = text ? text_safe(text) : NULL;
	printf("%s: %s\n", safe_path ? safe_path : "?", safe ? safe : "?");
}

/* What the filesystem says about the object now: its policy and its compliance. */
static void say_result(const char *path)
{
	_cleanup_(json_decrefp) json_t *status = NULL;
	const json_t *policy, *compliance;
	const char *name, *state;

	if (attribute_status(path, &status, NULL) < 0)
		return;
	policy = json_object_get(status, "policy");
	compliance = json_object_get(status, "compliance");
	name = member_text(policy, "name", "");
	state = member_text(compliance, "state", "");

	if (!*name) {
		say(path, "no policy");
		return;
	}
	say(path, "policy %s%s%s", name, *state ? ": " : "", state);
	if (*member_text(compliance, "why", "") && strcmp(state, "compliant") != 0)
		say(path, "%s", member_text(compliance, "why", ""));
}

/* Why a policy was refused: the sentence is in the status (DESIGN section 7). */
static void say_refused(const char *path, int r)
{
	_cleanup_(json_decrefp) json_t *status = NULL;
	const char *why = NULL;

	if (attribute_status(path, &status, NULL) == 0) {
		why = member_text(json_object_get(status, "compliance"), "refused", NULL);
	}
	if (why)
		complain("%s: %s", path, why);
	else if (r == -EPERM || r == -EACCES)
		complain("%s: only root and members of the policy group may attach policies", path);
	else
		complain("%s: %s", path, strerror(-r));
}

static bool on_a_mount(const char *path)
{
	_cleanup_(json_decrefp) json_t *status = NULL;
	_cleanup_(freep) char *why = NULL;

	if (attribute_status(path, &status, &why) == 0)
		return true;
	complain("%s", why ? why : path);
	return false;
}

/* What would be done, in a line. */
static void say_plan(const char *path, const char *name, const json_t *plan)
{
	const char *would = member_text(plan, "would", "?");
	const char *replaces = member_text(plan, "replaces", "?");

	if (strcmp(would, "fail") == 0)
		say(path, "would be refused: %s", member_text(plan, "why", "?"));
	else if (strcmp(would, "nothing") == 0)
		say(path, "nothing would change");
	else if (strcmp(would, "replace") == 0)
		say(path, "would get policy %s instead of %s", name, replaces);
	else if (strcmp(would, "clear") == 0)
		say(path, "would lose its policy %s", replaces);
	else
		say(path, "would get policy %s", name);
}

/* The rest of it: what it needs, who is in the way, what the disk would have. */
static void print_plan(const json_t *plan)
{
	static const char *const shown[] = {"needs", "way", "holders", "expected"};
	json_t *rest = json_object();

	for (size_t i = 0; rest && i < ARRAY_SIZE(shown); i++)
		if (json_object_get(plan, shown[i]))
			json_object_set(rest, shown[i], json_object_get(plan, shown[i]));
	if (rest)
		tree_print(rest, 4, stdout);
	json_decref(rest);
}

/* @name "": clearing. */
static int plan(const char *path, const char *name)
{
	_cleanup_(json_decrefp) json_t *json = NULL;
	_cleanup_(freep) char *attribute = NULL;
	int r;

	if (asprintf(&attribute, "user.weir.plan.%s", name) < 0) {
		attribute = NULL;
		return EXIT_CODE_FAILED;
	}
	r = attribute_read_json(path, attribute, &json);
	if (r < 0) {
		say_refused(path, r);
		return EXIT_CODE_FAILED;
	}
	say_plan(path, name, json);
	print_plan(json);
	return strcmp(member_text(json, "would", ""), "fail") == 0 ? EXIT_CODE_FAILED
								   : EXIT_CODE_OK;
}

static int attach(const char *path, const char *name)
{
	int r = attribute_write(path, "policy", name);

	/* Clearing what has none is what was wanted. */
	if (r < 0 && !(r == -ENODATA && !name)) {
		say_refused(path, r);
		return EXIT_CODE_FAILED;
	}
	say_result(path);
	return EXIT_CODE_OK;
}

static int each(char **paths, int n, const char *name, bool dry_run)
{
	int code = EXIT_CODE_OK, one;

	for (int i = 0; i < n; i++) {
		if (!on_a_mount(paths[i]))
			one = EXIT_CODE_FAILED;
		else
			one = dry_run ? plan(paths[i], name ? name : "") : attach(paths[i], name);
		if (one != EXIT_CODE_OK)
			code = one;
	}
	return code;
}

int policy_set_run(int argc, char **argv)
{
	bool dry_run = false;
	int r = options(argc, argv, &dry_run);

	if (r > 0)
		return r - 1;
	if (argc - optind < 2)
		return usage_error(&command_policy, "policy set takes a NAME and a PATH or more");
	if (!*argv[optind])
		return usage_error(&command_policy,
				   "policy set takes a NAME; to take a policy away "
				   "there is `weir policy clear'");
	return each(argv + optind + 1, argc - optind - 1, argv[optind], dry_run);
}

int policy_clear_run(int argc, char **argv)
{
	bool dry_run = false;
	int r = options(argc, argv, &dry_run);

	if (r > 0)
		return r - 1;
	if (argc == optind)
		return usage_error(&command_policy, "policy clear takes a PATH or more");
	return each(argv + optind, argc - optind, NULL, dry_run);
}

static int apply(const char *path)
{
	int r;

	if (!on_a_mount(path))
		return EXIT_CODE_FAILED;
	r = attribute_write(path, "apply", "1");
	if (r < 0) {
		say_refused(path, r);
		return EXIT_CODE_FAILED;
	}
	say(path, "policies applied");
	return EXIT_CODE_OK;
}

static int apply_everywhere(void)
{
	_cleanup_(mounts_done) struct mounts mounts = {0};
	int code = EXIT_CODE_OK, r;

	r = mounts_read(MOUNTS_FILE, &mounts);
	if (r < 0) {
		complain("cannot read " MOUNTS_FILE ": %s", strerror(-r));
		return EXIT_CODE_FAILED;
	}
	if (mounts.n == 0)
		printf("no weir mounts\n");
	for (size_t i = 0; i < mounts.n; i++)
		if (apply(mounts.list[i].point) != EXIT_CODE_OK)
			code = EXIT_CODE_FAILED;
	return code;
}

int policy_apply_run(int argc, char **argv)
{
	int code = EXIT_CODE_OK;
	int r = options(argc, argv, NULL);

	if (r > 0)
		return r - 1;
	if (argc == optind)
		return apply_everywhere();
	for (; optind < argc; optind++)
		if (apply(argv[optind]) != EXIT_CODE_OK)
			code = EXIT_CODE_FAILED;
	return code;
}
