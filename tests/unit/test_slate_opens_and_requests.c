/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Open slots: each is one file's, none is given twice, a freed one is empty; and what a thread
 * writes of the request it works on. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "fs/slate.h"
#include "tests/unit/check.h"

#define THREADS 6
#define TURNS	20000

static uint64_t all[SLATE_OPENS];

static void all_of_them(struct slate *s)
{
	static bool seen[SLATE_OPENS];
	uint32_t i;

	for (uint64_t n = 1; n <= SLATE_OPENS; n++) {
		check(slate_open_new(s, n, WAY_DAEMON, &i) == 0 && i < SLATE_OPENS && !seen[i]);
		seen[i] = true;
		check(slate_open_at(s, i)->node == n && slate_open_counts(s, i).opens == 0);
	}
	check(slate_open_new(s, 1, WAY_DAEMON, &i) == -ENFILE);

	slate_open_count(s, NULL, 4711, 3, 1);
	check(slate_open_counts(s, 4711).opens == 3 && slate_open_counts(s, 4711).writers == 1);
	slate_open_free(s, 4711);
	check(slate_open_at(s, 4711)->node == 0 && slate_open_counts(s, 4711).opens == 0);
	check(slate_open_new(s, 77, WAY_PASSTHROUGH, &i) == 0 && i == 4711);
	check(slate_open_counts(s, i).opens == 0 && slate_open_at(s, i)->way == WAY_PASSTHROUGH);
	check(slate_open_new(s, 1, WAY_DAEMON, &i) == -ENFILE);
	slate_open_free(s, 100);
	slate_open_free(s, 200);
	check(slate_open_new(s, 1, WAY_DAEMON, &i) == 0 && slate_open_new(s, 1, WAY_DAEMON, &i) == 0); /* both are found */
	check(slate_open_new(s, 1, WAY_DAEMON, &i) == -ENFILE);
	for (i = 0; i < SLATE_OPENS; i++)
		slate_open_free(s, i);
}

struct owner {
	struct slate *slate;
	uint64_t node;
};

/* A slot that two had would show the other's number. */
static void *come_and_go(void *data)
{
	struct owner *o = data;
	uint64_t ids[THREADS + 1];

	for (uint32_t turn = 0; turn < TURNS; turn++) {
		const struct slate_open *slot;
		uint32_t i;

		check(slate_open_new(o->slate, o->node, WAY_DAEMON, &i) == 0);
		if (turn % 4096 == 0)
			check(slate_open_list(o->slate, ids, THREADS + 1) <= THREADS);
		slot = slate_open_at(o->slate, i);
		slate_open_count(o->slate, NULL, i, (int)turn + 1, 0);
		check(slot->node == o->node && slate_open_counts(o->slate, i).opens == turn + 1);
		slate_open_free(o->slate, i);
	}
	return NULL;
}

static void threads(struct slate *s)
{
	struct owner owner[THREADS];
	pthread_t thread[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		owner[i] = (struct owner){s, i + 1};
		check(!pthread_create(&thread[i], NULL, come_and_go, &owner[i]));
	}
	for (unsigned i = 0; i < THREADS; i++)
		check(!pthread_join(thread[i], NULL));
	check(slate_open_list(s, all, SLATE_OPENS) == 0);
}

static void list(struct slate *s)
{
	uint32_t a, b;

	check(slate_open_new(s, 5, WAY_DAEMON, &a) == 0 && slate_open_new(s, 6, WAY_DAEMON, &b) == 0);
	check(slate_open_list(s, all, SLATE_OPENS) == 2 && all[0] + all[1] == 11);
	check(slate_open_list(s, all, 1) == 1);
	slate_open_free(s, a);
	check(slate_open_list(s, all, SLATE_OPENS) == 1 && all[0] == 6);
	slate_open_free(s, b);
}

static void requests(struct slate *s)
{
	struct slate_request *q = slate_request_take(s), *other = slate_request_take(s);
	struct slate_record *r = &q->record;
	char name[300];
	int outcome;

	memset(name, 'n', sizeof name);
	name[299] = 0;
	check(q && other && q != other && slate_phase(q, NULL) == SLATE_NOTHING);
	r->before.len = r->before2.len = 8;
	slate_names(q, 5, "a", 6, name);
	check(r->node == 5 && r->node2 == 6 && r->before.len == 0 && r->before2.len == 0);
	check(!strcmp(r->name, "a") && strlen(r->name2) == 255);
	check(slate_phase(q, NULL) == SLATE_NOTHING);
	slate_begin(q);
	check(slate_phase(q, NULL) == SLATE_BEGUN && r->begun_ns);
	slate_outcome(q, -EEXIST);
	check(slate_phase(q, &outcome) == SLATE_DONE && outcome == -EEXIST);
	r->name[0] = 'b'; /* somebody wrote over it */
	check(slate_phase(q, NULL) == SLATE_NOTHING);
	slate_clear(q);
	slate_names(q, 5, "bb", 0, NULL);
	check(!strcmp(r->name, "bb") && !r->name2[0] && r->node2 == 0);
	slate_request_put(s, q);
	check(slate_request_take(s) == q);
	slate_request_put(s, q);
	slate_request_put(s, other);
}

int main(void)
{
	struct slate *s;

	check(slate_new(-1, &s, NULL) == 0);
	all_of_them(s);
	threads(s);
	list(s);
	requests(s);
	slate_free(s);
	return 0;
}
