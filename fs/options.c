/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/options.c - see fs/options.h. */
#include <getopt.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "base/cleanup.h"
#include "fs/options.h"

#define DISK_THREADS 8u

static int complain(const char *option, const char *what)
{
	fprintf(stderr, "weir: option '%s': %s\n", option, what);
	return -EINVAL;
}

/* Options that are one word, and the mount flag they stand for (0: accepted, nothing to do). */
static const struct {
	const char *name;
	unsigned long flag;
} flag_options[] = {
	{"ro", MS_RDONLY},    {"nosuid", MS_NOSUID},   {"nodev", MS_NODEV},
	{"noexec", MS_NOEXEC}, {"noatime", MS_NOATIME}, {"nodiratime", MS_NODIRATIME},
	{"relatime", MS_RELATIME}, {"rw", 0}, {"suid", 0}, {"dev", 0}, {"exec", 0},
	{"defaults", 0}, {"allow_other", 0}, {"default_permissions", 0},
};

static int choice(const char *option, const char *value, const char *off, const char *on,
		  bool *ret)
{
	char text[64];

	if (!strcmp(value, off) || !strcmp(value, on)) {
		*ret = !strcmp(value, on);
		return 0;
	}
	snprintf(text, sizeof text, "must be '%s' or '%s'", off, on);
	return complain(option, text);
}

static int number(const char *option, const char *value, unsigned low, unsigned high,
		  unsigned *ret)
{
	char *end, text[64];
	unsigned long n = strtoul(value, &end, 10);

	if (*value < '0' || *value > '9' || *end || n < low || n > high) {
		snprintf(text, sizeof text, "must be a number from %u to %u", low, high);
		return complain(option, text);
	}
	*ret = (unsigned)n;
	return 0;
}

static int path(const char *option, const char *value, char **ret)
{
	if (*value != '/') /* weir(1) makes it one */
		return complain(option, "needs a directory, as an absolute path");
	free(*ret);
	*ret = strdup(value);
	return *ret ? 0 : -ENOMEM;
}

static int group(const char *option, const char *value, struct options *o)
{
	struct group *g = getgrnam(value);
	unsigned gid;

	o->have_group = true;
	if (g) {
		o->policy_group = g->gr_gid;
		return 0;
	}
	if (*value < '0' || *value > '9')
		return complain(option, "there is no such group");
	if (number(option, value, 0, 0xfffffffe, &gid) < 0)
		return -EINVAL;
	o->policy_group = gid;
	return 0;
}

static int one_option(struct options *o, char *option)
{
	char *value = strchr(option, '=');

	for (size_t i = 0; i < ARRAY_SIZE(flag_options); i++) {
		if (strcmp(option, flag_options[i].name))
			continue;
		o->mount_flags |= flag_options[i].flag;
		return 0;
	}
	if (!value)
		return complain(option, "is not known; see weir(1)");
	*value++ = 0;
	if (!strcmp(option, "passthrough"))
		return choice(option, value, "on", "off", &o->no_passthrough);
	if (!strcmp(option, "cache"))
		return choice(option, value, "auto", "none", &o->no_cache);
	if (!strcmp(option, "acl"))
		return choice(option, value, "on", "off", &o->no_acl);
	if (!strcmp(option, "resume"))
		return choice(option, value, "auto", "off", &o->no_resume);
	if (!strcmp(option, "policy-xattr"))
		return choice(option, value, "user", "trusted", &o->trusted_xattr);
	if (!strcmp(option, "state"))
		return path(option, value, &o->state);
	if (!strcmp(option, "policies"))
		return path(option, value, &o->policies);
	if (!strcmp(option, "policy-group"))
		return group(option, value, o);
	if (!strcmp(option, "threads"))
		return number(option, value, 2, 64, &o->threads);
	if (!strcmp(option, "revalidate"))
		return number(option, value, 0, 3600, &o->revalidate);
	if (!strcmp(option, "watchdog"))
		return number(option, value, 0, 86400, &o->watchdog);
	if (!strcmp(option, "disk-threads"))
		return number(option, value, 1, 63, &o->disk_threads);
	return complain(option, "is not known; see weir(1)");
}

/* Several -o count as one. */
static int keep(struct options *o, const char *list)
{
	char *longer;

	if (asprintf(&longer, "%s%s%s", o->list ? o->list : "", o->list ? "," : "", list) < 0)
		return -ENOMEM;
	free(o->list);
	o->list = longer;
	return 0;
}

/* A copy is cut up: the words of the command line stay as `ps` shows them. */
static int option_list(struct options *o, const char *list)
{
	_cleanup_(freep) char *copy = strdup(list);
	char *next;

	if (!copy || keep(o, list) < 0)
		return -ENOMEM;
	for (char *at = copy; at; at = next) {
		next = strchr(at, ',');
		if (next)
			*next++ = 0;
		if (*at && one_option(o, at) < 0)
			return -EINVAL;
	}
	return 0;
}

/* The process leaves its directory, so both names must be absolute. */
static int absolute(const char *what, const char *given, bool resolved, char **ret)
{
	*ret = resolved ? strdup(given) : realpath(given, NULL);
	if (*ret)
		return 0;
	fprintf(stderr, "weir: %s %s: %s%s\n", what, given, strerror(errno),
		errno == ENOTCONN ? "; an old mount is dead there: umount it first" : "");
	return -errno;
}

int options_parse(int argc, char **argv, struct options *ret)
{
	int c;

	*ret = (struct options){.threads = 48, .revalidate = 1, .watchdog = 30};
	while ((c = getopt(argc, argv, "rfdo:")) >= 0) {
		if (c == 'f')
			ret->foreground = true;
		else if (c == 'd')
			ret->debug = true;
		else if (c == 'r')
			ret->resolved = true;
		else if (c != 'o' || option_list(ret, optarg) < 0)
			return -EINVAL;
	}
	if (argc - optind != 2) {
		fprintf(stderr, "usage: weir-holder [-f] [-d] [-o OPTIONS] DATASTORE MOUNTPOINT\n");
		return -EINVAL;
	}
	if (absolute("datastore", argv[optind], ret->resolved, &ret->datastore) < 0 ||
	    absolute("mountpoint", argv[optind + 1], ret->resolved, &ret->mountpoint) < 0)
		return -EINVAL;
	if (ret->disk_threads == 0)
		ret->disk_threads = MIN(DISK_THREADS, ret->threads - 1);
	if (ret->disk_threads >= ret->threads)
		return complain("disk-threads", "must be smaller than threads, or one disk could "
						"hold them all");
	return 0;
}

void options_done(struct options *o)
{
	free(o->list);
	free(o->state);
	free(o->policies);
	free(o->datastore);
	free(o->mountpoint);
}
