/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/check.c - weir check: look over a datastore that is not mounted, and mend it.
 *
 * See ctl/check.h for what is true, what is a copy and what is mended when.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ctl/check.h"
#include "ctl/command.h"
#include "ctl/mounts.h"
#include "ctl/options.h"
#include "ctl/text.h"

static const char help[] =
	"Usage: weir check [--rebuild] [-o state=DIR] DATASTORE\n"
	"Look over the catalog and the disk headers of a datastore that is not mounted, and mend\n"
	"what can be mended without a choice.\n"
	"\n"
	"  -r, --rebuild          make a new catalog from the disk headers and the marks on the\n"
	"                         files; the old one is kept beside it. Policies stay. NFS "
	"clients\n"
	"                         get ESTALE for what they have open, never another file.\n"
	"  -o, --options=state=DIR  the state directory (default: DATASTORE/.weir/state)\n"
	"  -h, --help             this text\n"
	"\n"
	"Exit codes, as fsck(8): 0 good; 1 mended or rebuilt; 4 damage is left; 8 it could not be\n"
	"checked (mounted, say); 16 the command line is wrong.\n";

static const struct option long_options[] = {
	{"rebuild", no_argument, NULL, 'r'},
	{"options", required_argument, NULL, 'o'},
	{"help", no_argument, NULL, 'h'},
	{NULL},
};

__attribute__((format(printf, 3, 0)))
static void say_list(const struct check *c, const char *what, const char *format, va_list ap)
{
	_cleanup_(freep) char *text = NULL, *safe = NULL, *path = text_safe(c->ds->path);

	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	safe = text ? text_safe(text) : NULL;
	printf("%s: %s%s\n", path ? path : "?", what, safe ? safe : "?");
}

void check_say(const struct check *c, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say_list(c, "", format, ap);
	va_end(ap);
}

void check_damage(struct check *c, const char *format, ...)
{
	va_list ap;

	c->damage++;
	va_start(ap, format);
	say_list(c, "DAMAGE: ", format, ap);
	va_end(ap);
}

static void catalog_end(struct catalog **c)
{
	catalog_close(*c);
}

/* The identity file; true when a catalog can be judged by it. */
static bool identity_check(struct check *c)
{
	static const char *const wrong[] = {
		[DATASTORE_NEW] = "there is no identity file (" WEIR_DIRECTORY "/datastore)",
		[DATASTORE_REBUILDING] = "an earlier rebuilding was interrupted",
		[DATASTORE_DAMAGED] = "the identity file (" WEIR_DIRECTORY "/datastore) is damaged",
		[DATASTORE_FOREIGN] = "it was copied here from another filesystem",
	};
	const char *why = (size_t)c->ds->state < ARRAY_SIZE(wrong) ? wrong[c->ds->state] : NULL;

	if (!why)
		return true;
	if (c->rebuild)
		check_say(c, "%s", why);
	else
		check_damage(c, "%s", why);
	return false;
}

static int any_header(const struct disk_id *id, int r, const struct disk_header *h, void *data)
{
	return 1;
}

/* Nothing was ever kept here, so nothing can be lost: the first mount makes the catalog. */
static bool never_used(const struct check *c)
{
	return (c->ds->state == DATASTORE_NEW || c->ds->state == DATASTORE_FIRST_USE) &&
	       catalog_check_in_child(c->ds->state_path, &c->ds->who, NULL) == -ENOENT &&
	       header_each(c->ds->disks_fd, any_header, NULL) == 0;
}

/* Open what catalog there is and can be trusted; NULL and a line about it when there is none.
 * @judge: its number can be held against the identity file's. */
static int catalog_look(struct check *c, bool judge, struct catalog **ret)
{
	_cleanup_(freep) char *why = NULL;
	struct catalog_counts counts;
	int r;

	r = catalog_check_in_child(c->ds->state_path, &c->ds->who, &why);
	if (r == -EPROTO) {
		complain("the catalog was written by a newer weir: use that one");
		return r;
	}
	if (r < 0 && c->rebuild)
		check_say(c, "the catalog: %s", why ? why : strerror(-r));
	else if (r < 0)
		check_damage(c, "the catalog: %s", why ? why : strerror(-r));
	if (r < 0)
		return 0;
	r = catalog_open(c->ds->state_path, &c->ds->who, ret);
	if (r < 0)
		return r;
	r = catalog_count(*ret, &counts);
	if (r < 0)
		return r;
	check_say(c,
		  "catalog %u is whole: %" PRIu64 " files, %" PRIu64 " disks, %" PRIu64
		  " recognised",
		  catalog_incarnation(*ret), counts.nodes, counts.disks, counts.facts);
	if (judge && !c->rebuild && catalog_incarnation(*ret) != c->ds->incarnation)
		check_damage(c,
			     "the catalog is not the newest, which is number %u: another state "
			     "directory (-o state=DIR), or one from a backup",
			     c->ds->incarnation);
	return 0;
}

static int rebuild(struct check *c, uint32_t old_incarnation)
{
	_cleanup_(catalog_end) struct catalog *catalog = NULL;
	_cleanup_(freep) char *why = NULL;
	int r;

	r = datastore_catalog_rebuild(c->ds, old_incarnation, &catalog, &why);
	if (r < 0) {
		complain("%s", why ? why : strerror(-r));
		return r;
	}
	r = check_fill(c, catalog);
	if (r < 0)
		return r;
	catalog_close(catalog);
	catalog = NULL;
	r = datastore_catalog_ready(c->ds);
	if (r < 0)
		return r;
	c->mended++;
	check_say(c, "catalog rebuilt: number %u, %zu disks", c->ds->incarnation, c->n_headers);
	return 0;
}

static int check_all(struct check *c)
{
	_cleanup_(catalog_end) struct catalog *old = NULL;
	uint32_t incarnation = 0;
	int r;

	r = catalog_look(c, identity_check(c), &old);
	if (r < 0)
		return r;
	r = check_walk(c, c->rebuild ? old : NULL);
	if (r < 0)
		return r;
	c->catalog = old;
	r = check_headers(c);
	c->catalog = NULL;
	if (r < 0)
		return r;
	check_say(c, "%zu disk headers, %zu marked files", c->n_headers, c->n_marked);

	if (!c->rebuild)
		return old && c->damage == 0 ? check_rows(c, old) : 0;
	if (old)
		incarnation = catalog_incarnation(old);
	catalog_close(TAKE_PTR(old));
	return rebuild(c, incarnation);
}

static int verdict(const struct check *c)
{
	if (c->damage > 0) {
		check_say(c, "%u damaged%s", c->damage,
			  c->rebuild ? "" : ": try `weir check --rebuild'");
		return CHECK_DAMAGE_LEFT;
	}
	check_say(c, "%s", c->mended > 0 ? "mended" : "good");
	return c->mended > 0 ? CHECK_MENDED : CHECK_GOOD;
}

/* Looking must not turn any directory into a datastore. */
static bool is_datastore(const char *path)
{
	_cleanup_(freep) char *weir = NULL;

	if (asprintf(&weir, "%s/" WEIR_DIRECTORY, path) < 0) {
		weir = NULL;
		return true;
	}
	return access(weir, F_OK) == 0 || errno != ENOENT || access(path, F_OK) < 0;
}

static void end_mounts(struct mounts *m)
{
	mounts_done(m);
}

/* The datastore's lock does not tell: between the death of a worker and the start of the next one
 * nobody has it, and yet clients have files open and the kernel has node ids. */
static bool is_mounted(const char *path)
{
	_cleanup_(end_mounts) struct mounts mounts = {0};
	_cleanup_(freep) char *source = realpath(path, NULL);
	const struct weir_mount *m;
	int r = source ? mounts_read(MOUNTS_FILE, &mounts) : -errno;

	if (r < 0) {
		complain("%s: cannot tell whether it is mounted: %s", path, strerror(-r));
		return true;
	}
	m = mounts_find_source(&mounts, source);
	if (m)
		complain("%s is mounted on %s: unmount it first (`weir umount %s')", path,
			 m->point, m->point);
	return m;
}

static int check(const char *path, const char *state, bool rebuild_it)
{
	_cleanup_(datastore_closep) struct datastore *ds = NULL;
	_cleanup_(check_done) struct check c = {.rebuild = rebuild_it};
	_cleanup_(freep) char *why = NULL;
	int r;

	if (geteuid() != 0) { /* others do not see the marks, and would find them lost */
		complain("only root can check a datastore");
		return CHECK_FAILED;
	}
	if (!is_datastore(path)) {
		complain("%s is no datastore: it was never mounted with weir", path);
		return CHECK_FAILED;
	}
	if (is_mounted(path))
		return CHECK_FAILED;
	r = datastore_open(path, state, DATASTORE_FOR_CHECK, &ds, &why);
	if (r < 0) {
		complain("%s", why ? why : strerror(-r));
		return CHECK_FAILED;
	}
	if (is_mounted(path)) /* since we have the lock, no more can come */
		return CHECK_FAILED;
	c.ds = ds;
	if (never_used(&c)) {
		check_say(&c, "good: not used yet");
		return CHECK_GOOD;
	}
	r = check_all(&c);
	if (r < 0) {
		complain("%s: cannot be checked: %s", path, strerror(-r));
		return CHECK_FAILED;
	}
	return verdict(&c);
}

static int check_run(int argc, char **argv)
{
	_cleanup_(freep) char *list = NULL, *why = NULL, *state = NULL;
	bool rebuild_it = false;
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, ":ro:h", long_options, NULL)) != -1) {
		switch (c) {
		case 'r':
			rebuild_it = true;
			break;
		case 'o':
			if (options_add(optarg, OPTIONS_STRICT, &list, &why) < 0) {
				usage_error(&command_check, "%s", why ? why : optarg);
				return CHECK_USAGE;
			}
			break;
		case 'h':
			return print_help(&command_check);
		default:
			option_error(&command_check, argc, argv);
			return CHECK_USAGE;
		}
	}
	if (argc - optind != 1) {
		usage_error(&command_check, "check takes a DATASTORE");
		return CHECK_USAGE;
	}
	state = options_value(list, "state");
	return check(argv[optind], state, rebuild_it);
}

const struct command command_check = {
	.name = "check",
	.summary = "look over a datastore that is not mounted",
	.help = help,
	.run = check_run,
};
