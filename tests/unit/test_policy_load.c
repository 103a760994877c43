/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Policies are found in the first directory that has them, read whole, and shown as JSON. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/stages.h"
#include "policies/policy_text.h"
#include "tests/unit/check.h"

/* Not in order of rank: that order must not come from the table. */
const struct stage_class *const stage_classes[] = {&limit_class, &inspect_class, NULL};

static char dir[] = "/tmp/weir-test-policy-XXXXXX";
static char first[64], second[64], missing[64];

static void put(const char *where, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", where, name);
	f = fopen(path, "w");
	check(f);
	fputs(text, f);
	fclose(f);
}

static void remove_all(void)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf %s", dir);
	if (system(command) != 0)
		fprintf(stderr, "%s is left behind\n", dir);
}

static void make_dirs(void)
{
	check(mkdtemp(dir));
	atexit(remove_all);
	snprintf(first, sizeof first, "%s/first", dir);
	snprintf(second, sizeof second, "%s/second", dir);
	snprintf(missing, sizeof missing, "%s/missing", dir);
	check(mkdir(first, 0755) == 0 && mkdir(second, 0755) == 0);
}

static void loads(const char *const *dirs)
{
	static const char gold[] = "weir: 1\nname: gold\nversion: 3\n"
				   "description: >\n  Fast,\n  and dear.\n"
				   "stages:\n"
				   "  limit: {iops: 2000, bandwidth: 200M, scope: policy,\n"
				   "          burst: {iops: 4000, seconds: 5}}\n"
				   "  inspect: {}\n";
	_cleanup_(policy_unrefp) struct policy *p = NULL, *q = NULL;
	_cleanup_(freep) char *why = NULL, *text = NULL;
	const struct stack_part *parts;
	json_t *json;

	put(first, "gold.yaml", gold);
	put(second, "gold.yaml", "weir: 1\nname: gold\nversion: 99\n");
	check(policy_load(dirs, "gold", &p, &why) == 0 && !why);
	check(strcmp(policy_name(p), "gold") == 0);
	check(policy_version(p) == 3);
	check(strcmp(policy_description(p), "Fast, and dear.") == 0);
	check(!policy_forbids_passthrough(p));

	/* In order of rank, whatever the file's order. */
	check(policy_parts(p, &parts) == 2);
	check(strcmp(parts[0].class->name, "inspect") == 0);
	check(strcmp(parts[1].class->name, "limit") == 0);

	json = policy_json(p);
	text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(json);
	check(strcmp(text, "{\"description\":\"Fast, and dear.\",\"name\":\"gold\","
			   "\"passthrough\":\"allow\",\"stages\":{\"inspect\":{},\"limit\":"
			   "{\"bandwidth\":\"200M\",\"burst\":{\"iops\":4000,\"seconds\":5},"
			   "\"iops\":2000,\"scope\":\"policy\"}},\"version\":3}") == 0);

	/* The same text, the same digest; one blank more, another. */
	check(policy_parse("x", "gold", gold, sizeof gold - 1, &q, &why) == 0);
	check(memcmp(policy_digest(p), policy_digest(q), 32) == 0);
	policy_unref(TAKE_PTR(q));
	put(first, "gold.yaml", "weir: 1\nname: gold\nversion: 3 \n");
	check(policy_load(dirs, "gold", &q, &why) == 0);
	check(memcmp(policy_digest(p), policy_digest(q), 32) != 0);
	check(policy_parts(q, &parts) == 0);
}

static void not_found(const char *const *dirs)
{
	_cleanup_(freep) char *why = NULL, *want = NULL;
	struct policy *p = NULL;

	put(second, "bronze.yaml", "nonsense");
	put(second, "README", "no policy");
	put(second, ".hidden.yaml", "no policy");
	check(policy_load(dirs, "silver", &p, &why) == -ENOENT);
	check(asprintf(&want, "silver: no such policy in %s, %s, %s; there are: bronze, gold",
		       first, missing, second) > 0);
	check(strcmp(why, want) == 0);
}

/* Names cannot leave the directory, and no file can hold the reader up. */
static void refused(const char *const *dirs)
{
	static const char too_long[] = "0123456789012345678901234567890123456789"
				       "012345678901234567890123";
	const char *const names[] = {"",    "../first/gold", "/etc/passwd", ".hidden", "-x",
				     "a b", "a/b",	     "gold\n",	    too_long};
	struct policy *p = NULL;
	char path[128], *why = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		check(policy_load(dirs, names[i], &p, &why) == -EINVAL);
		check(strcmp(why, "not a policy's name; use at most 63 letters, digits, - and _") ==
		      0);
		free(why);
	}

	snprintf(path, sizeof path, "%s/pipe.yaml", first);
	check(mkfifo(path, 0600) == 0);
	check(policy_load(dirs, "pipe", &p, &why) == -EINVAL && strstr(why, "not a file"));
	free(why);
	check(policy_load_file("/dev/zero", &p, &why) == -EINVAL && strstr(why, "NAME.yaml"));
	free(why);
	snprintf(path, sizeof path, "%s/zero.yaml", first);
	check(symlink("/dev/zero", path) == 0);
	check(policy_load_file(path, &p, &why) == -EINVAL && strstr(why, "not a file"));
	free(why);
	snprintf(path, sizeof path, "%s/none.yaml", first);
	check(policy_load_file(path, &p, &why) == -ENOENT && strstr(why, "No such file"));
	free(why);

	/* An error in the nearer directory is not hidden by a good file further away. */
	put(first, "both.yaml", "weir: 3\nname: both\n");
	put(second, "both.yaml", "weir: 1\nname: both\n");
	check(policy_load(dirs, "both", &p, &why) == -EINVAL && strstr(why, "both.yaml:1: weir: "));
	free(why);
	check(!p);
}

static void listed(const char *const *dirs)
{
	const char *const none[] = {missing, NULL};
	char **list;

	check(policy_list(dirs, &list) == 0);
	check(strcmp(list[0], "both") == 0 && strcmp(list[1], "bronze") == 0 &&
	      strcmp(list[2], "gold") == 0 && strcmp(list[3], "pipe") == 0 &&
	      strcmp(list[4], "zero") == 0 && !list[5]);
	policy_list_free(list);
	check(policy_list(none, &list) == 0 && !list[0]);
	policy_list_free(list);
	policy_list_free(NULL);
}

/* What is shipped loads, and says what it is for. */
static void shipped(void)
{
	const char *const dirs[] = {SHIPPED_POLICIES, NULL};
	char **list;

	check(policy_list(dirs, &list) == 0 && list[0]);
	for (size_t i = 0; list[i]; i++) {
		_cleanup_(policy_unrefp) struct policy *p = NULL;
		_cleanup_(freep) char *why = NULL;

		if (policy_load(dirs, list[i], &p, &why) < 0)
			fprintf(stderr, "%s\n", why ? why : "?");
		check(p && *policy_description(p));
	}
	policy_list_free(list);
}

int main(void)
{
	make_dirs();
	const char *const dirs[] = {first, missing, second, NULL};

	loads(dirs);
	not_found(dirs);
	refused(dirs);
	listed(dirs);
	shipped();
	return 0;
}
