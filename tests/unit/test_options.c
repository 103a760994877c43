/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the worker takes behind -o, and what it refuses with which sentence. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mount.h>

#include "base/cleanup.h"
#include "fs/options.h"
#include "tests/unit/scratch.h"
#include "tests/unit/check.h"

static char said[1000];
static const char *here;

/* Parse with stderr caught; @list NULL: no -o. */
static int parse(const char *list, struct options *ret)
{
	char program[] = "weir-worker", root[] = "/", dash_o[] = "-o";
	char *argv[] = {program, (char *)here, root, list ? dash_o : NULL, NULL, NULL};
	char *copy = list ? strdup(list) : NULL, path[PATH_MAX];
	int kept = dup(STDERR_FILENO), fd, r;
	ssize_t n;

	snprintf(path, sizeof path, "%s/stderr", here);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	check(kept >= 0 && fd >= 0);
	argv[4] = copy;
	optind = 0;
	fflush(stderr);
	dup2(fd, STDERR_FILENO);
	r = options_parse(list ? 5 : 3, argv, ret);
	fflush(stderr);
	dup2(kept, STDERR_FILENO);
	n = pread(fd, said, sizeof said - 1, 0);
	said[n > 0 ? n : 0] = 0;
	close(fd);
	close(kept);
	free(copy);
	return r;
}

static void refuses(const char *list, const char *word)
{
	struct options o;

	check(parse(list, &o) == -EINVAL);
	if (!strstr(said, word) || strchr(said, '\n') != said + strlen(said) - 1)
		fprintf(stderr, "%s: %s", list, said);
	check(strstr(said, word));
	check(strchr(said, '\n') == said + strlen(said) - 1); /* one sentence */
	options_done(&o);
}

static struct options takes(const char *list)
{
	struct options o;

	check(parse(list, &o) == 0 && !*said);
	check(!strcmp(o.datastore, here) && !strcmp(o.mountpoint, "/"));
	return o;
}

static void defaults(void)
{
	struct options o = takes(NULL);

	check(!o.no_passthrough && !o.no_cache && !o.no_acl && !o.trusted_xattr && !o.have_group);
	check(!o.no_resume && !o.resolved);
	check(!o.state && !o.policies && o.mount_flags == 0 && !o.foreground && !o.debug);
	check(o.threads >= 2 && o.disk_threads >= 1 && o.disk_threads < o.threads);
	options_done(&o);
}

static void all(void)
{
	struct options o = takes("passthrough=off,cache=none,acl=off,resume=off,policy-xattr=trusted,ro,nosuid,"
				 "nodev,noexec,noatime,,rw,defaults,state=/a,state=/b,policies=/p,"
				 "policy-group=0,threads=64,disk-threads=63,");

	check(o.no_passthrough && o.no_cache && o.no_acl && o.no_resume && o.trusted_xattr);
	check(o.mount_flags == (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME));
	check(!strcmp(o.state, "/b") && !strcmp(o.policies, "/p"));
	check(o.have_group && o.policy_group == 0 && o.threads == 64 && o.disk_threads == 63);
	options_done(&o);

	o = takes("passthrough=on,cache=auto,acl=on,policy-xattr=user,policy-group=root");
	check(!o.no_passthrough && !o.no_cache && !o.no_acl && !o.trusted_xattr);
	check(o.have_group && o.policy_group == 0);
	options_done(&o);
}

/* Whoever lowers threads= alone has said nothing about disk-threads. */
static void few_threads(void)
{
	for (unsigned n = 2; n < 12; n++) {
		char list[32];
		struct options o;

		snprintf(list, sizeof list, "threads=%u", n);
		o = takes(list);
		check(o.threads == n && o.disk_threads >= 1 && o.disk_threads < n);
		options_done(&o);
	}
}

static const struct {
	const char *list, *word;
} wrong[] = {
	{"passthrogh=off", "passthrogh"},
	{"ro=1", "not known"},
	{"passthrough", "not known"},
	{"passthrough=", "'on' or 'off'"},
	{"cache=yes", "'auto' or 'none'"},
	{"acl=none", "'on' or 'off'"},
	{"resume=on", "'auto' or 'off'"},
	{"policy-xattr=security", "'user' or 'trusted'"},
	{"state=", "directory"},
	{"policies=", "directory"},
	{"policy-group=no-such-group-here", "group"},
	{"policy-group=4294967295", "number"},
	{"policy-group=-1", "group"},
	{"threads=1", "from 2 to 64"},
	{"threads=65", "from 2 to 64"},
	{"threads=+8", "number"},
	{"threads=8x", "number"},
	{"threads=99999999999999999999", "number"},
	{"disk-threads=0", "from 1 to 63"},
	{"threads=8,disk-threads=8", "smaller than threads"},
	{"ro,nosuid,foo", "'foo'"},
};

static void wrong_places(void)
{
	char program[] = "weir-worker", root[] = "/", missing[] = "/nonexistent";
	char *few[] = {program, root, NULL}, *none[] = {program, missing, root, NULL};
	struct options o;
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC), kept = dup(STDERR_FILENO);

	dup2(fd, STDERR_FILENO);
	optind = 0;
	check(options_parse(2, few, &o) == -EINVAL);
	options_done(&o);
	optind = 0;
	check(options_parse(3, none, &o) < 0);
	options_done(&o);
	fflush(stderr);
	dup2(kept, STDERR_FILENO);
	close(fd);
	close(kept);
}

static void test(const char *dir)
{
	here = realpath(dir, NULL);
	defaults();
	all();
	few_threads();
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		refuses(wrong[i].list, wrong[i].word);
	wrong_places();
	free((char *)here);
}

int main(void)
{
	return scratch_run(test);
}
