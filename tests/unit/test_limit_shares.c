/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One limit shared by several disks: simulated disks on a simulated clock, as a table. */
#include <string.h>

#include "base/cleanup.h"
#include "policies/limiter.h"
#include "tests/unit/check.h"

#define S     BUCKET_SECOND_NS
#define DISKS 4
#define DEPTH 64

struct disk { /* keeps @depth I/Os going, each @think_ns after the one before */
	uint64_t shares;
	unsigned depth;
	uint64_t think_ns, from_ns, to_ns;
	uint64_t bytes;

	struct limiter_flow flow;
	struct limiter_wait waits[DEPTH];
	uint64_t ready_ns[DEPTH]; /* when it asks; UINT64_MAX: it stands in the line */
	uint64_t served;
};

static void served(struct disk *d, unsigned i, uint64_t now)
{
	d->served++;
	d->ready_ns[i] = now + d->think_ns;
}

static struct disk *disk_of(struct disk *disks, struct limiter_wait *w)
{
	for (unsigned i = 0; i < DISKS; i++)
		if (w >= disks[i].waits && w < disks[i].waits + DEPTH)
			return &disks[i];
	check(!"a wait of nobody");
	return NULL;
}

/* As the stage does it: start, or stand in the line. */
static bool enter(struct limiter *l, struct limiter_flow *f, struct limiter_wait *w, uint64_t now)
{
	if (limiter_try(l, f, w->bytes, now))
		return true;
	limiter_wait(l, f, w);
	return false;
}

/* The next moment at which a disk asks. */
static uint64_t next_ask(struct disk *disks, struct disk **ret, unsigned *ret_i)
{
	uint64_t first = UINT64_MAX;

	for (unsigned k = 0; k < DISKS; k++)
		for (unsigned i = 0; i < disks[k].depth; i++) {
			uint64_t t = disks[k].ready_ns[i];

			if (t < first && t < disks[k].to_ns) {
				first = t;
				*ret = &disks[k];
				*ret_i = i;
			}
		}
	return first;
}

static void simulate(struct disk *disks, const struct meter_conf *conf, uint64_t end)
{
	struct limiter l;
	uint64_t now = 0, when = UINT64_MAX;

	limiter_init(&l);
	limiter_set(&l, conf, 0);
	for (unsigned k = 0; k < DISKS; k++) {
		struct disk *d = &disks[k];

		limiter_add(&l, &d->flow, d->shares ? d->shares : 1);
		for (unsigned i = 0; i < d->depth; i++)
			d->ready_ns[i] = d->from_ns;
	}

	for (;;) {
		struct limiter_wait *w;
		struct disk *d = NULL;
		unsigned i = 0;
		uint64_t ask = next_ask(disks, &d, &i);

		now = MAX(now, MIN(ask, when));
		if (now >= end)
			break;
		if (ask <= now) {
			d->waits[i].bytes = d->bytes;
			d->ready_ns[i] = UINT64_MAX;
			if (enter(&l, &d->flow, &d->waits[i], now))
				served(d, i, now);
		}
		while ((w = limiter_next(&l, now, &when))) {
			d = disk_of(disks, w);
			served(d, (unsigned)(w - d->waits), now);
		}
	}
	while (l.waiting) { /* and the lines can be emptied at any time */
		uint64_t before = l.waiting;

		for (unsigned k = 0; k < DISKS; k++)
			limiter_release(&l, &disks[k].flow, now);
		check(l.waiting < before);
	}
	for (unsigned k = 0; k < DISKS; k++)
		limiter_remove(&l, &disks[k].flow);
	check(list_empty(&l.active) && list_empty(&l.flows));
}

/* 10 seconds of 1000 I/Os a second. */
static const struct {
	const char *what;
	struct disk disks[DISKS];
	double want[DISKS]; /* of 10000 */
} cases[] = {
	{"alone, everything", {{1000, 8, .to_ns = -1ull}}, {1}},
	{"equal shares", {{1000, 8, .to_ns = -1ull}, {1000, 8, .to_ns = -1ull}}, {0.5, 0.5}},
	{"equal shares, unequal depth",
	 {{1000, 1, .to_ns = -1ull}, {1000, 64, .to_ns = -1ull}},
	 {0.5, 0.5}},
	{"shares 3 : 1", {{3000, 8, .to_ns = -1ull}, {1000, 8, .to_ns = -1ull}}, {0.75, 0.25}},
	{"shares 3 : 1, the rich one with one I/O at a time",
	 {{3000, 1, 100000, .to_ns = -1ull}, {1000, 64, .to_ns = -1ull}},
	 {0.75, 0.25}},
	{"shares 100000 : 1", {{100000, 8, .to_ns = -1ull}, {1, 8, .to_ns = -1ull}}, {1, 0}},
	{"shares 4 : 3 : 2 : 1",
	 {{400, 9, .to_ns = -1ull},
	  {300, 7, .to_ns = -1ull},
	  {200, 5, .to_ns = -1ull},
	  {100, 3, .to_ns = -1ull}},
	 {0.4, 0.3, 0.2, 0.1}},
	{"what one leaves is the others': it asks for 100 a second only",
	 {{3000, 1, S / 100, .to_ns = -1ull}, {1000, 8, .to_ns = -1ull}},
	 {0.1, 0.9}},
	{"idle for half the time, nothing saved up",
	 {{1000, 8, .from_ns = 5 * S, .to_ns = -1ull}, {1000, 8, .to_ns = -1ull}},
	 {0.25, 0.75}},
	{"gone after half the time",
	 {{3000, 8, .to_ns = 5 * S}, {1000, 8, .to_ns = -1ull}},
	 {0.375, 0.625}},
	{"large I/O counts as what it is: half as many",
	 {{1000, 8, .to_ns = -1ull, .bytes = 98304}, {1000, 8, .to_ns = -1ull, .bytes = 4096}},
	 {0.5 / 3, 0.5}},
};

static struct disk disks[DISKS];

static void shares(void)
{
	struct meter_conf conf = {.iops = 1000};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		memcpy(disks, cases[i].disks, sizeof disks);
		simulate(disks, &conf, 10 * S);
		for (unsigned k = 0; k < DISKS; k++) {
			double got = (double)disks[k].served / 10000;

			if (got < cases[i].want[k] - 0.01 || got > cases[i].want[k] + 0.01)
				fprintf(stderr, "%s: disk %u has %.3f, want %.3f\n", cases[i].what,
					k, got, cases[i].want[k]);
			check(got >= cases[i].want[k] - 0.01 && got <= cases[i].want[k] + 0.01);
		}
	}
}

/* Tags are moved back before they wrap; who was idle for an age starts level. */
static void tags_do_not_wrap(void)
{
	struct meter_conf conf = {.iops = 1};
	struct limiter_wait w = {.bytes = UINT64_MAX};
	struct limiter_flow idle, busy;
	struct limiter l;
	uint64_t now = 0, when;

	limiter_init(&l);
	limiter_set(&l, &conf, 0);
	limiter_add(&l, &busy, 1);
	limiter_add(&l, &idle, LIMITER_SHARES_MAX);
	for (int i = 0; i < 100; i++) {
		check(enter(&l, &busy, &w, now));
		check(busy.start_ns >= l.virtual_ns && busy.start_ns < UINT64_C(1) << 63);
		now = meter_when(&l.meter);
	}
	check(enter(&l, &idle, &w, now));
	check(idle.start_ns >= l.virtual_ns);
	check(!limiter_next(&l, now, &when) && when == UINT64_MAX);
}

/* Who was idle longest is not first: of two that come back the first to come is. */
static void idle_saves_nothing_up(void)
{
	struct meter_conf conf = {.iops = 10};
	struct limiter_wait w = {0}, waits[2] = {0};
	struct limiter_flow asleep, older, newer, busy;
	struct limiter l;
	uint64_t now = 0, when, tag;

	limiter_init(&l);
	limiter_set(&l, &conf, 0);
	limiter_add(&l, &asleep, 1);
	limiter_add(&l, &older, 1);
	limiter_add(&l, &busy, 1);
	for (int i = 0; i < 10; i++) {
		check(enter(&l, &busy, &w, now));
		now = meter_when(&l.meter);
		if (i == 5)
			limiter_add(&l, &newer, 1);
	}
	check(!enter(&l, &newer, &waits[0], now - 1) && !enter(&l, &older, &waits[1], now - 1));
	check(limiter_next(&l, now, &when) == &waits[0]);
	check(limiter_next(&l, when + S, &when) == &waits[1]);

	/* Nor does virtual time go back for one who need not wait. */
	tag = l.virtual_ns;
	check(tag > asleep.start_ns);
	check(enter(&l, &asleep, &w, now + 100 * S));
	check(l.virtual_ns == tag && asleep.start_ns > tag);
}

/* Within a disk the order is that of arrival, also when somebody could jump the line. */
static void in_order(void)
{
	struct meter_conf conf = {.iops = 10};
	struct limiter_wait w[20] = {0};
	struct limiter_flow f;
	struct limiter l;
	uint64_t now = 0, when;
	unsigned next = 0;

	limiter_init(&l);
	limiter_set(&l, &conf, 0);
	limiter_add(&l, &f, 1);
	for (unsigned i = 0; i < 20; i++)
		if (enter(&l, &f, &w[i], now))
			check(next++ == i);
	while (next < 20) {
		struct limiter_wait *got = limiter_next(&l, now, &when);

		check(!got || got == &w[next++]);
		if (!got)
			now = when;
		/* The time has come for the head, so not for one who comes just now. */
		if (!got && next < 19) {
			struct limiter_wait late = {0};

			check(!enter(&l, &f, &late, now));
			list_remove(&late.link);
			l.waiting--;
		}
	}
	check(now == 19 * S / 10 - BUCKET_SLACK_NS);
}

int main(void)
{
	shares();
	tags_do_not_wrap();
	idle_saves_nothing_up();
	in_order();
	return 0;
}
