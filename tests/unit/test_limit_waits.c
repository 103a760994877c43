/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stage delays what is beyond the limit, only that, and lets everybody go when asked. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/cleanup.h"
#include "tests/unit/limit_rig.h"

static void took(double since, double least, double most)
{
	double t = seconds() - since;

	if (t < least || t > most)
		fprintf(stderr, "took %.3f s, want %.3f to %.3f\n", t, least, most);
	check(t >= least && t <= most);
}

/* 20 ms of slack start at once, the others at 1000 a second. */
static void delays_operations(void)
{
	struct limit_settings settings = {.iops = (char *)"1000"};
	struct stack *s = rig_disk("limit", &settings, NULL);
	double since = seconds();

	rig_reads(s, 21, 4096);
	check(rig_count(s, "limit", "delayed") == 0);
	rig_reads(s, 100, 4096);
	took(since, 0.098, 2);
	check(rig_count(s, "limit", "delayed") > 0);
	check(rig_count(s, "limit", "delayed_us") > 50000);
	check(rig_count(s, "limit", "waiting") == 0);
	stack_free(s);
}

static void delays_bytes(void)
{
	struct limit_settings settings = {.bandwidth = (char *)"10M"};
	struct stack *s = rig_disk("limit", &settings, NULL);
	double since = seconds();

	rig_reads(s, 2, 1 << 20);
	took(since, 0.079, 2); /* the first is free, the second waits for it to be paid */
	stack_free(s);
}

/* Writes, trims and zeros count; what moves no data is free. */
static void counts_what_it_should(void)
{
	struct limit_settings settings = {.iops = (char *)"10"};
	static char buf[4096];
	struct stage_extent extent;
	struct stack *s;
	struct stage *top;
	double since;

	for (int i = 0; i < 3; i++) {
		s = rig_disk("limit", &settings, NULL);
		top = stack_top(s);
		since = seconds();
		check(stage_write(top, buf, NULL, 0, sizeof buf, 0) == 0);
		check(i != 0 || stage_write(top, buf, NULL, 0, sizeof buf, 0) == 0);
		check(i != 1 || stage_trim(top, 0, 1 << 19) == 0);
		check(i != 2 || stage_zero(top, 0, 1 << 19) == 0);
		took(since, 0.079, 2);

		since = seconds();
		for (int k = 0; k < 100; k++)
			check(stage_flush(top) == 0 && stage_reserve(top, 0, 4096) == 0 &&
			      stage_resize(top, RIG_BYTES) == 0 &&
			      stage_extent(top, 0, &extent) == 0 && stage_drain(top) == 0);
		took(since, 0, 2); /* 500 at 10 a second would be 50 */
		stack_free(s);
	}
}

/* What comes from below comes back, and the bytes are those of the disk. */
static void passes_everything(void)
{
	struct limit_settings settings = {.iops = (char *)"1000000000", .bandwidth = (char *)"1T"};
	struct stack *s = rig_disk("limit", &settings, NULL);
	char in[5000], out[5000];

	memset(in, 'x', sizeof in);
	check(stage_write(stack_top(s), in, NULL, RIG_BYTES - 100, sizeof in, STAGE_FUA) == 0);
	check(stage_size(stack_top(s)) == RIG_BYTES + 4900);
	check(stage_read(stack_top(s), out, NULL, RIG_BYTES - 100, sizeof out) == 0);
	check(memcmp(in, out, sizeof in) == 0);
	check(stage_zero(stack_top(s), RIG_BYTES, 10) == 0);
	check(stage_read(stack_top(s), out, NULL, RIG_BYTES, 11) == 0);
	check(out[0] == 0 && out[9] == 0 && out[10] == 'x');
	stack_free(s);
}

struct reader {
	pthread_t thread;
	struct stack *stack;
	unsigned n;
	_Atomic unsigned done;
};

static void *read_on(void *data)
{
	struct reader *r = data;

	while (r->done < r->n) {
		rig_reads(r->stack, 1, 4096);
		r->done++;
	}
	return NULL;
}

static void start(struct reader *r, struct stack *s, unsigned n)
{
	r->stack = s;
	r->n = n;
	r->done = 0;
	check(pthread_create(&r->thread, NULL, read_on, r) == 0);
}

/* New settings end waits that the old ones began, and begin none for those who wait. */
static void update_wakes(void)
{
	struct limit_settings slow = {.iops = (char *)"1"}, fast = {.iops = (char *)"1000000"};
	struct stack *s = rig_disk("limit", &slow, NULL);
	struct reader r[8];
	double since = seconds();

	rig_reads(s, 1, RIG_BYTES); /* counts 32 times: the first of them waits for 32 seconds */
	for (int i = 0; i < 8; i++)
		start(&r[i], s, 10);
	while (rig_count(s, "limit", "waiting") < 8)
		pause_seconds(0.001);
	rig_update(s, "limit", &fast);
	for (int i = 0; i < 8; i++)
		check(pthread_join(r[i].thread, NULL) == 0);
	took(since, 0, 5);
	stack_free(s);
}

/* A drain lets those who wait go; the limit holds again for those who come later. */
static void drain_ends_waits(void)
{
	struct limit_settings slow = {.iops = (char *)"1"};
	struct stack *s = rig_disk("limit", &slow, NULL);
	struct reader r[4];
	double since = seconds();

	rig_reads(s, 1, 4096);
	for (int i = 0; i < 4; i++)
		start(&r[i], s, 1);
	while (rig_count(s, "limit", "waiting") < 4)
		pause_seconds(0.001);
	check(stage_drain(stack_top(s)) == 0);
	for (int i = 0; i < 4; i++)
		check(pthread_join(r[i].thread, NULL) == 0);
	took(since, 0, 2.5);

	start(&r[0], s, 1);
	pause_seconds(0.1);
	check(r[0].done == 0);
	check(stage_drain(stack_top(s)) == 0);
	check(pthread_join(r[0].thread, NULL) == 0);
	stack_free(s);
}

/* A stack that is about to go makes nobody wait any more, also those who come later. */
static void hurry_ends_waits_for_good(void)
{
	struct limit_settings slow = {.iops = (char *)"1"};
	struct stack *s = rig_disk("limit", &slow, NULL);
	struct reader r;
	double since = seconds();

	rig_reads(s, 1, 4096);
	start(&r, s, 1);
	while (rig_count(s, "limit", "waiting") < 1)
		pause_seconds(0.001);
	stack_hurry(s);
	check(pthread_join(r.thread, NULL) == 0);
	start(&r, s, 1000);
	check(pthread_join(r.thread, NULL) == 0);
	took(since, 0, 5);
	stack_free(s);
}

/* Disks of one policy share its pool; a new version changes the pool under them. */
static void pool(void)
{
	const struct stage_class *class = stage_class_find("limit");
	struct limit_settings one = {.iops = (char *)"400", .scope = LIMIT_SCOPE_POLICY};
	struct limit_settings rich = one, disk = {.iops = (char *)"400"}, fast = one;
	struct reader r[2];
	struct stack *s[2];
	struct stack_part part;
	double since, first, both;
	void *gate;

	rich.shares = (char *)"3000";
	fast.iops = (char *)"100000";
	check(class->pool_new(&one, &gate) == 0);
	s[0] = rig_disk("limit", &one, gate);
	s[1] = rig_disk("limit", &rich, gate);
	since = seconds();
	for (int i = 0; i < 2; i++)
		start(&r[i], s[i], 100000);
	pause_seconds(0.5);

	/* 400 a second and 8 of slack, 1 : 3; a busy machine may get less.  test_limit_shares has
	 * the exact numbers. */
	first = r[0].done;
	both = first + r[1].done;
	check(both >= 50 && both <= 400 * (seconds() - since) + 20);
	check(both - first >= 1.5 * first);

	/* Another scope is another gate: rebuild. */
	part = (struct stack_part){class, &disk, NULL};
	check(stack_update(s[0], &part) == -ENOTSUP);
	rig_update(s[0], "limit", &rich);
	check(rig_count(s[0], "limit", "shares") == 3000);

	check(class->pool_update(gate, &fast) == 0);
	for (int i = 0; i < 2; i++)
		check(pthread_join(r[i].thread, NULL) == 0);
	for (int i = 0; i < 2; i++)
		stack_free(s[i]);
	class->pool_free(gate);
	class->pool_free(NULL);
}

static void refuses(void)
{
	const struct stage_class *class = stage_class_find("limit");
	struct limit_settings shared = {.iops = (char *)"1", .scope = LIMIT_SCOPE_POLICY},
			      none = {0};
	struct stage *leaf, *st = NULL;

	check(memory_new(RIG_BYTES, 1, &leaf) == 0);
	check(class->create(&shared, NULL, leaf, &st) == -EINVAL); /* no pool */
	check(class->create(&none, NULL, leaf, &st) == -EINVAL);
	check(!st);
	memory_free(leaf);
}

int main(void)
{
	delays_operations();
	delays_bytes();
	counts_what_it_should();
	passes_everything();
	update_wakes();
	drain_ends_waits();
	hurry_ends_waits_for_good();
	pool();
	refuses();
	return 0;
}
