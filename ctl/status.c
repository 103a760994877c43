/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/status.c - weir status: what there is, in which state, how busy.
 *
 * A directory (or each mount, when none is named) is a table of its disks; a disk is a page.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "ctl/attributes.h"
#include "ctl/command.h"
#include "ctl/disks.h"
#include "ctl/mounts.h"
#include "ctl/page.h"
#include "ctl/rates.h"
#include "ctl/table.h"
#include "ctl/text.h"

#define WATCH_SECONDS 2.0 /* between two readings, unless said otherwise */
#define WATCH_MAX     86400.0

static const char help[] =
	"Usage: weir status [--json] [--watch[=SECONDS]] [PATH]...\n"
	"Show the disks below directories of a weir mount, or all about one disk.\n"
	"Without PATH: every weir mount of this machine.\n"
	"\n"
	"  -j, --json             an array of the disks' statuses, each with \"at\", its path "
	"here\n"
	"  -w, --watch[=SECONDS]  again and again (default: every 2 seconds)\n"
	"  -h, --help             this text\n"
	"\n"
	"Columns: TYPE what the disk is; SIZE what its guest sees; USED what it takes;\n"
	"POLICY its policy (and the directory it comes from); COMPLIANCE whether it has what the\n"
	"policy promises; WAY of its bytes: passthrough (kernel only), daemon (through weir), "
	"closed\n"
	"(not open); R/s W/s reads and writes, RMB/s WMB/s megabytes per second (of disks with "
	"the\n"
	"stage \"inspect\"): averages since it began to count, with --watch those of the "
	"interval.\n"
	"\n"
	"Exit codes: 0 shown; 1 something could not be shown; 2 the command line is wrong.\n";

static const struct option long_options[] = {
	{"json", no_argument, NULL, 'j'},
	{"watch", optional_argument, NULL, 'w'},
	{"help", no_argument, NULL, 'h'},
	{NULL},
};

struct view {
	bool json, watch;
	double seconds;
	double now, wall; /* of this reading; see ctl/rates.h */
	json_t *memory;	  /* last readings by path */
	json_t *all;	  /* --json: what was found in this reading */
};

static double clock_seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- the table of a directory ---- */

static const char *const headings[] = {"DISK", "TYPE", ">SIZE", ">USED",  "POLICY", "COMPLIANCE",
				       "WAY",  ">R/s", ">W/s",	">RMB/s", ">WMB/s", NULL};

struct cells {
	char size[TEXT_SIZE_MAX], used[TEXT_SIZE_MAX];
	char rates[4][TEXT_SIZE_MAX];
	char *policy; /* malloc'ed */
	char *name;   /* likewise */
};

static void fill_rates(struct cells *c, const struct disk *d, struct view *v)
{
	struct rates r = {0};

	for (size_t i = 0; i < ARRAY_SIZE(c->rates); i++)
		strcpy(c->rates[i], "-");
	if (!rates_take(d->status, d->path, v->now, v->wall, v->memory, &r))
		return;
	text_count(r.reads, c->rates[0]);
	text_count(r.writes, c->rates[1]);
	snprintf(c->rates[2], TEXT_SIZE_MAX, "%.1f", r.read_bytes / 1e6);
	snprintf(c->rates[3], TEXT_SIZE_MAX, "%.1f", r.written_bytes / 1e6);
}

/* Relative to the directory that was asked for; a VM's disks are set in below it. */
static char *row_name(const struct disk *d, const char *directory)
{
	const char *path = d->path + strlen(directory), *slash;
	char *name;

	while (*path == '/')
		path++;
	slash = strrchr(path, '/');
	if (d->in_vm && slash)
		path = slash + 1;
	return asprintf(&name, "%s%s", d->in_vm ? "  " : "", path) < 0 ? NULL : name;
}

static void note(struct table *t, const char *label, const char *text)
{
	_cleanup_(freep) char *line = NULL;

	if (text && asprintf(&line, "    %s: %s", label, text) >= 0)
		table_note(t, line);
}

static void row(struct table *t, const struct disk *d, const char *directory, struct view *v)
{
	const json_t *disk = json_object_get(d->status, "disk");
	const json_t *compliance = json_object_get(d->status, "compliance");
	const char *problem = member_text(disk, "problem", NULL);
	_cleanup_(freep) char *quarantine = page_quarantine(d->status), *slow = page_slow(d->status);
	struct cells c = {.policy = page_policy(d->status, false), .name = row_name(d, directory)};
	bool capacity = json_object_get(disk, "capacity");

	text_size(member_number(capacity ? disk : d->status, capacity ? "capacity" : "size"),
		  c.size);
	text_size(disk_used(d), c.used);
	fill_rates(&c, d, v);
	table_row(t, (const char *[]){
			     c.name ? c.name : "?", d->vm ? "VM" : member_text(disk, "type", "?"),
			     d->vm ? "" : c.size, d->vm ? "" : c.used, c.policy ? c.policy : "?",
			     member_text(compliance, "state", "-"),
			     d->vm ? "" : member_text(d->status, "way", "-"), c.rates[0],
			     c.rates[1], c.rates[2], c.rates[3], NULL});
	free(c.policy);
	free(c.name);
	note(t, "problem", problem);
	note(t, "in quarantine", quarantine);
	note(t, "slow", slow);
}

static int show_directory(const char *path, struct view *v)
{
	_cleanup_(table_freep) struct table *t = table_new(headings, 0);
	_cleanup_(disks_done) struct disks disks = {0};
	_cleanup_(freep) char *why = NULL;
	int r;

	r = disks_find(path, &disks, &why);
	if (r < 0 || !t) {
		complain("%s", why ? why : "out of memory");
		return EXIT_CODE_FAILED;
	}
	for (size_t i = 0; i < disks.n; i++) {
		if (v->json)
			json_array_append_new(v->all, disk_json(&disks.list[i]));
		else
			row(t, &disks.list[i], path, v);
	}
	if (v->json)
		return EXIT_CODE_OK;
	if (disks.n == 0)
		printf("no disks\n");
	else
		table_hide_empty(t);
	return disks.n == 0 || table_print(t, stdout) == 0 ? EXIT_CODE_OK : EXIT_CODE_FAILED;
}

/* ---- what was asked for ---- */

static void print_heading(const char *name, const char *mounted_on)
{
	_cleanup_(freep) char *safe = text_safe(name);
	_cleanup_(freep) char *safe_point = text_safe(mounted_on ? mounted_on : "");

	if (safe && safe_point)
		printf("%s%s%s:\n", safe, mounted_on ? " on " : "", safe_point);
}

static int show_file(const char *path, struct view *v)
{
	_cleanup_(disk_done) struct disk disk = {0};
	_cleanup_(freep) char *why = NULL;

	if (disks_one(path, &disk, &why) < 0) {
		complain("%s", why ? why : path);
		return EXIT_CODE_FAILED;
	}
	if (v->json)
		json_array_append_new(v->all, disk_json(&disk));
	else
		page_print(&disk, stdout);
	return EXIT_CODE_OK;
}

static int show(const char *path, bool with_heading, struct view *v)
{
	struct stat st = {0};

	/* A dead mount cannot be looked at: show_file says what that means. */
	if (lstat(path, &st) < 0 && errno != ENOTCONN && errno != ECONNABORTED) {
		complain("%s: %s", path, strerror(errno));
		return EXIT_CODE_FAILED;
	}
	if (!S_ISDIR(st.st_mode))
		return show_file(path, v);
	if (with_heading && !v->json)
		print_heading(path, NULL);
	return show_directory(path, v);
}

/* One line of how the mount itself does; nothing for a daemon that does not say. */
static void print_mount(const char *point)
{
	_cleanup_(json_decrefp) json_t *status = NULL;
	const json_t *mount, *last;

	if (attribute_read_json(point, "user.weir.status", &status) < 0)
		return;
	mount = json_object_get(status, "mount");
	last = json_object_get(mount, "last");
	if (!mount)
		return;
	printf("  worker %lld, start %lld",
	       (long long)json_integer_value(json_object_get(mount, "worker")),
	       (long long)json_integer_value(json_object_get(mount, "starts")));
	if (last)
		printf(": the one before %s at %s, clients waited %.0f ms",
		       json_string_value(json_object_get(last, "why")),
		       json_string_value(json_object_get(last, "end")),
		       json_real_value(json_object_get(last, "pause_ms")));
	putchar('\n');
	if (json_is_null(json_object_get(mount, "holder")))
		printf("  weir-holder is gone: run `weir upgrade %s'\n", point);
}

static int show_mounts(struct view *v)
{
	_cleanup_(mounts_done) struct mounts mounts = {0};
	int code = EXIT_CODE_OK, r;

	r = mounts_read(MOUNTS_FILE, &mounts);
	if (r < 0) {
		complain("cannot read " MOUNTS_FILE ": %s", strerror(-r));
		return EXIT_CODE_FAILED;
	}
	if (mounts.n == 0 && !v->json)
		printf("no weir mounts\n");
	for (size_t i = 0; i < mounts.n; i++) {
		if (i > 0 && !v->json)
			putchar('\n');
		if (!v->json)
			print_heading(mounts.list[i].source, mounts.list[i].point);
		if (!v->json)
			print_mount(mounts.list[i].point);
		if (show_directory(mounts.list[i].point, v) != EXIT_CODE_OK)
			code = EXIT_CODE_FAILED;
	}
	return code;
}

static int show_all(char **paths, int n, struct view *v)
{
	int code = EXIT_CODE_OK;

	v->now = clock_seconds(CLOCK_MONOTONIC);
	v->wall = clock_seconds(CLOCK_REALTIME);
	v->all = v->json ? json_array() : NULL;

	if (n == 0)
		code = show_mounts(v);
	for (int i = 0; i < n; i++) {
		if (i > 0 && !v->json)
			putchar('\n');
		if (show(paths[i], n > 1, v) != EXIT_CODE_OK)
			code = EXIT_CODE_FAILED;
	}
	if (v->json) {
		json_dumpf(v->all, stdout, v->watch ? JSON_COMPACT : JSON_INDENT(2));
		putchar('\n');
		json_decref(v->all);
	}
	return code;
}

static void print_time(const struct view *v)
{
	time_t wall = (time_t)v->wall;
	char text[32];
	struct tm tm;

	localtime_r(&wall, &tm);
	strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s, every %g s\n", text, v->seconds);
}

/* Until somebody interrupts it, or what is watched is gone. */
static int watch(char **paths, int n, struct view *v)
{
	struct timespec pause = {(time_t)v->seconds,
				 (long)((v->seconds - (double)(time_t)v->seconds) * 1e9)};
	bool terminal = isatty(STDOUT_FILENO);

	for (bool first = true;; first = false) {
		int code;

		v->wall = clock_seconds(CLOCK_REALTIME);
		if (!v->json) {
			fputs(terminal ? "\033[H\033[2J" : first ? "" : "\n", stdout);
			print_time(v);
		}
		code = show_all(paths, n, v);
		if (fflush(stdout) != 0 || code != EXIT_CODE_OK)
			return EXIT_CODE_FAILED;
		nanosleep(&pause, NULL);
	}
}

static bool seconds_parse(const char *text, double *ret)
{
	char *end;

	*ret = text ? strtod(text, &end) : WATCH_SECONDS;
	return !text || (*text && !*end && *ret >= 0.1 && *ret <= WATCH_MAX);
}

static int status_run(int argc, char **argv)
{
	_cleanup_(json_decrefp) json_t *memory = json_object();
	struct view v = {.memory = memory};
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, ":jw::h", long_options, NULL)) != -1) {
		switch (c) {
		case 'j':
			v.json = true;
			break;
		case 'w':
			v.watch = true;
			if (!seconds_parse(optarg, &v.seconds))
				return usage_error(&command_status,
						   "--watch=%s: seconds from 0.1 to 86400", optarg);
			break;
		case 'h':
			return print_help(&command_status);
		default:
			return option_error(&command_status, argc, argv);
		}
	}
	if (v.watch)
		return watch(argv + optind, argc - optind, &v);
	return show_all(argv + optind, argc - optind, &v);
}

const struct command command_status = {
	.name = "status",
	.summary = "show disks: type, size, policy, compliance, rates",
	.help = help,
	.run = status_run,
};
