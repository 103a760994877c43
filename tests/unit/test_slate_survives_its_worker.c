/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A worker dies between any two steps: what the next one finds in the slate.
 *
 * Death is a second mapping of the same memory, while the first is simply not used any more.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "fs/slate.h"

static int memfd;
static struct slate *dead[64]; /* nobody frees them; the leak checker shall see them */
static size_t n_dead;

static struct slate *next_worker(bool expected)
{
	struct slate *s;
	bool resumed = !expected;

	check(slate_new(memfd, &s, &resumed) == 0 && resumed == expected);
	check(n_dead < sizeof dead / sizeof *dead);
	dead[n_dead++] = s;
	return s;
}

static bool never(void *data)
{
	check(false);
	return false;
}

static void begun(struct slate *s, uint64_t unique, const char *name)
{
	struct slate_request *q = slate_request_take(s);

	q->unique = unique;
	slate_names(q, 7, name, 0, NULL);
	slate_begin(q);
}

/* What was begun or done is found by its number, once; the others are gone. */
static void records(void)
{
	struct slate *s = next_worker(true);
	struct slate_request *q = slate_request_take(s);
	int outcome;

	q->unique = 11; /* names only: nothing was done */
	slate_names(q, 7, "nothing", 0, NULL);
	begun(s, 12, "begun");
	q = slate_request_take(s);
	q->unique = 13;
	slate_names(q, 7, "done", 0, NULL);
	slate_begin(q);
	slate_outcome(q, -ENOSPC);
	begun(s, 14, "answered");
	slate_clear(slate_request_at(s, 3));

	s = next_worker(true);
	check(!slate_adopt(s, 11) && !slate_adopt(s, 14) && !slate_adopt(s, 0));
	q = slate_adopt(s, 12);
	check(q && slate_phase(q, NULL) == SLATE_BEGUN && !strcmp(q->record.name, "begun"));
	check(!slate_adopt(s, 12));

	s = next_worker(true); /* it died with both: nobody has been answered */
	q = slate_adopt(s, 13);
	check(q && slate_phase(q, &outcome) == SLATE_DONE && outcome == -ENOSPC);
	q = slate_adopt(s, 12);
	check(q && slate_phase(q, NULL) == SLATE_BEGUN);
	slate_request_put(s, q);

	s = next_worker(true);
	check(!slate_adopt(s, 12) && slate_adopt(s, 13));
}

/* However many threads die after their reply: there is always a slot. */
static void many_leftovers(void)
{
	uint64_t unique = 1000;

	for (int worker = 0; worker < 20; worker++) {
		struct slate *s = next_worker(true);

		for (int thread = 0; thread < SLATE_THREADS; thread++)
			begun(s, unique++, "x");
	}
	check(slate_adopt(next_worker(true), unique - 1)); /* the newest are kept */
}

static void counts(void)
{
	struct slate *s = next_worker(true);
	struct slate_request *q = slate_request_take(s);
	uint32_t i, found;
	uint64_t before;

	check(slate_open_new(s, 42, WAY_PASSTHROUGH, &i) == 0);
	q->unique = 5000;
	slate_open_count(s, q, i, 1, 1);
	check(slate_counted(q, &found) && found == i);

	s = next_worker(true);
	check(slate_open_at(s, i)->node == 42 && slate_open_at(s, i)->way == WAY_PASSTHROUGH);
	check(slate_open_counts(s, i).opens == 1 && slate_open_counts(s, i).writers == 1);
	q = slate_adopt(s, 5000);
	check(q && slate_counted(q, &found) && found == i);
	slate_request_put(s, q);

	/* Killed just before the count changed: as slate_open_count leaves it there. */
	q = slate_request_take(s);
	q->unique = 5001;
	before = slate_open_at(s, i)->counts;
	slate_open_count(s, q, i, 1, 0);
	((struct slate_open *)(uintptr_t)slate_open_at(s, i))->counts = before;
	q->count = (q->count & ~0xffull) | 1;
	s = next_worker(true);
	check(!slate_adopt(s, 5001) && slate_open_counts(s, i).opens == 1);

	/* And just after. */
	q = slate_request_take(s);
	q->unique = 5002;
	slate_open_count(s, q, i, 1, 0);
	q->count = (q->count & ~0xffull) | 1;
	s = next_worker(true);
	q = slate_adopt(s, 5002);
	check(q && slate_counted(q, NULL) && slate_open_counts(s, i).opens == 2);
}

static uint64_t seen[8];
static size_t n_seen;

static void note(void *data, const struct catalog_node *node)
{
	seen[n_seen++] = node->id;
}

static void promises(void)
{
	struct catalog_node node = {.id = 100, .handle = {.type = 1, .len = 8}};
	struct slate *s = next_worker(true);
	struct catalog_node taken[8];
	uint32_t slots[8];
	uint64_t next, end;
	size_t n;

	check(!slate_ids_get(s, &next, &end));
	slate_ids_set(s, 103, 200);
	for (; node.id < 103; node.id++)
		check(slate_node_put(s, &node, false, never, NULL));
	slate_node_take(s, taken, slots, 1, &n);
	slate_node_committed(s, slots, 1);
	slate_node_take(s, taken, slots, 1, &n); /* killed while this one is committed */

	s = next_worker(true);
	slate_node_each(s, note, NULL);
	check(n_seen == 2 && seen[0] == 101 && seen[1] == 102);
	check(slate_ids_get(s, &next, &end) && next == 103 && end == 200);
	slate_node_take(s, taken, slots, 8, &n);
	check(n == 2 && taken[0].id == 101 && taken[1].id == 102);
	slate_node_committed(s, slots, n);
}

static void epitaphs_and_init(void)
{
	struct stat st = {.st_ino = 9, .st_nlink = 0}, found;
	struct slate *s = next_worker(true);
	struct slate_init init;

	check(!slate_epitaph(s, 77, &found) && !slate_init_get(s, &init));
	slate_bury(s, 77, &st);
	check(slate_init_set(s, "question", 8, "answer", 6) == 0);
	check(slate_init_set(s, NULL, 1000, NULL, 0) == -EMSGSIZE);

	s = next_worker(true);
	check(slate_epitaph(s, 77, &found) && found.st_ino == 9 && !slate_epitaph(s, 78, &found));
	check(slate_init_get(s, &init) && init.in_size == 8 && !memcmp(init.out, "answer", 6));
}

static void refuses(void)
{
	struct slate *s;
	uint32_t version = 999;

	check(pwrite(memfd, &version, sizeof version, 8) == sizeof version);
	check(slate_new(memfd, &s, NULL) == -EPROTO);
	version = SLATE_VERSION;
	check(pwrite(memfd, &version, sizeof version, 8) == sizeof version);
	check(pwrite(memfd, "x", 1, 12) == 1);
	check(slate_new(memfd, &s, NULL) == -EUCLEAN);
	check(pwrite(memfd, "x", 1, 0) == 1);
	check(slate_new(memfd, &s, NULL) == -EUCLEAN);
	check(ftruncate(memfd, 4096) == 0 && slate_new(memfd, &s, NULL) == -EPROTO);
}

int main(void)
{
	memfd = memfd_create("slate", MFD_CLOEXEC);
	next_worker(false);
	records();
	many_leftovers();
	counts();
	promises();
	epitaphs_and_init();
	refuses();
	return 0;
}
