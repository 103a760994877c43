/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policies/inspect.c - the stage that counts what a disk does: how often, how much, how long.
 *
 * Every operation passes unchanged; those of the table below are timed.  The counters live as
 * long as the stage (the disk is in use and its stack is not rebuilt) and are stored nowhere.
 *
 * Threads    counters are relaxed atomics: each is exact, and two of them may be of slightly
 *            different moments.  Most of them are there STRIPES times, chosen by the processor,
 *            so that processors seldom write to the same cache line; a reader adds them up.
 * Sequential an I/O is sequential when it starts where one of the last STREAMS runs of its
 *            direction ended; the first one of a run is not.  Two threads that meet in the same
 *            run may both, or neither, be counted: a hint, not an account.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

#include "base/cleanup.h"
#include "policies/histogram.h"
#include "base/stack.h"

#define STREAMS 8
#define STRIPES 4

enum operation { READ, WRITE, FLUSH, TRIM, ZERO, OPERATIONS };

static const char *const operation_names[OPERATIONS] = {"read", "write", "flush", "trim", "zero"};

/* Sizes are counted by the power of two at or above them, from 512 bytes to 16 MiB. */
#define SIZE_MIN_BITS 9
#define SIZE_CLASSES  16

struct streams { /* a cache line of its own: every I/O of the direction writes here */
	_Atomic uint64_t ends[STREAMS];
	_Atomic uint64_t sequential;
	_Atomic unsigned oldest;
} __attribute__((aligned(64)));

struct stripe {
	_Atomic uint64_t errors, depth_sum;
	_Atomic uint64_t bytes[OPERATIONS];
	_Atomic uint64_t sizes[SIZE_CLASSES];
	struct histogram latency[OPERATIONS];
} __attribute__((aligned(64)));

struct depth { /* I/Os under way: one number by its nature */
	_Atomic unsigned now, max;
} __attribute__((aligned(64)));

struct inspect { /* in pages of its own: what is never written takes no memory */
	struct stage stage;
	struct timespec since; /* CLOCK_REALTIME */
	struct depth depth;
	struct streams streams[2]; /* READ, WRITE */
	struct stripe stripes[STRIPES];
};

struct timer { /* of one I/O */
	struct stripe *stripe;
	uint64_t since_ns;
};

#define ADD(counter, n) atomic_fetch_add_explicit(&(counter), n, memory_order_relaxed)
#define GET(counter)	atomic_load_explicit(&(counter), memory_order_relaxed)
#define SET(counter, n) atomic_store_explicit(&(counter), n, memory_order_relaxed)

/* ---- counting ---- */

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static unsigned size_class(uint64_t len)
{
	unsigned bits;

	if (len <= (1u << SIZE_MIN_BITS))
		return 0;
	bits = 64 - (unsigned)__builtin_clzll(len - 1);
	return MIN(bits - SIZE_MIN_BITS, SIZE_CLASSES - 1u);
}

static void note_place(struct streams *s, uint64_t off, size_t len)
{
	unsigned slot;

	for (unsigned i = 0; i < STREAMS; i++) {
		if (GET(s->ends[i]) != off)
			continue;
		SET(s->ends[i], off + len);
		ADD(s->sequential, 1);
		return;
	}
	slot = ADD(s->oldest, 1) % STREAMS;
	SET(s->ends[slot], off + len);
}

static struct timer begin(struct inspect *in)
{
	struct stripe *stripe = &in->stripes[(unsigned)sched_getcpu() % STRIPES];
	unsigned depth = ADD(in->depth.now, 1) + 1;
	unsigned max = GET(in->depth.max);

	while (depth > max &&
	       !atomic_compare_exchange_weak_explicit(&in->depth.max, &max, depth,
						      memory_order_relaxed, memory_order_relaxed))
		;
	ADD(stripe->depth_sum, depth);
	return (struct timer){.stripe = stripe, .since_ns = clock_ns()};
}

/* The I/O of @t ended with @r: passes it on. */
static int end(struct inspect *in, struct timer t, enum operation op, uint64_t bytes, int r)
{
	histogram_add(&t.stripe->latency[op], clock_ns() - t.since_ns);
	ADD(in->depth.now, -1u);
	if (r < 0)
		ADD(t.stripe->errors, 1);
	else if (bytes)
		ADD(t.stripe->bytes[op], bytes);
	return r;
}

/* ---- the operations ---- */

static int inspect_open(struct stage *st)
{
	struct inspect *in = container_of(st, struct inspect, stage);

	clock_gettime(CLOCK_REALTIME, &in->since);
	return stage_fwd_open(st);
}

static int inspect_read(struct stage *st, void *ret_buf, struct seal *ret_seals, uint64_t off,
			size_t len)
{
	struct inspect *in = container_of(st, struct inspect, stage);
	struct timer t = begin(in);

	ADD(t.stripe->sizes[size_class(len)], 1);
	note_place(&in->streams[READ], off, len);
	return end(in, t, READ, len, stage_read(st->next, ret_buf, ret_seals, off, len));
}

static int inspect_write(struct stage *st, const void *buf, const struct seal *seals, uint64_t off,
			 size_t len, unsigned flags)
{
	struct inspect *in = container_of(st, struct inspect, stage);
	struct timer t = begin(in);

	ADD(t.stripe->sizes[size_class(len)], 1);
	note_place(&in->streams[WRITE], off, len);
	return end(in, t, WRITE, len, stage_write(st->next, buf, seals, off, len, flags));
}

static int inspect_flush(struct stage *st)
{
	struct inspect *in = container_of(st, struct inspect, stage);
	struct timer t = begin(in);

	return end(in, t, FLUSH, 0, stage_flush(st->next));
}

static int inspect_trim(struct stage *st, uint64_t off, uint64_t len)
{
	struct inspect *in = container_of(st, struct inspect, stage);
	struct timer t = begin(in);

	return end(in, t, TRIM, len, stage_trim(st->next, off, len));
}

static int inspect_zero(struct stage *st, uint64_t off, uint64_t len)
{
	struct inspect *in = container_of(st, struct inspect, stage);
	struct timer t = begin(in);

	return end(in, t, ZERO, len, stage_zero(st->next, off, len));
}

static void inspect_close(struct stage *st)
{
	munmap(container_of(st, struct inspect, stage), sizeof(struct inspect));
}

static const struct stage_ops inspect_ops = {
	.name = "inspect",
	.open = inspect_open,
	.read = inspect_read,
	.write = inspect_write,
	.flush = inspect_flush,
	.trim = inspect_trim,
	.zero = inspect_zero,
	.reserve = stage_fwd_reserve,
	.resize = stage_fwd_resize,
	.extent = stage_fwd_extent,
	.drain = stage_fwd_drain,
	.close = inspect_close,
};

/* ---- the numbers as JSON ---- */

static json_t *microseconds(uint64_t ns)
{
	return json_real((double)ns / 1000.0);
}

static json_t *operation_json(struct inspect *in, enum operation op, uint64_t *ret_ops)
{
	struct histogram all = {0};
	struct histogram_summary s;
	json_t *latency, *json;
	uint64_t bytes = 0;

	for (unsigned i = 0; i < STRIPES; i++) {
		histogram_merge(&all, &in->stripes[i].latency[op]);
		bytes += GET(in->stripes[i].bytes[op]);
	}
	histogram_summarise(&all, &s);
	*ret_ops = s.count;
	latency = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "p50", microseconds(s.p50_ns), "p90",
			    microseconds(s.p90_ns), "p99", microseconds(s.p99_ns), "p999",
			    microseconds(s.p999_ns), "max", microseconds(s.max_ns), "mean",
			    microseconds(s.mean_ns));
	json = json_pack("{s:I, s:o}", "ops", (json_int_t)s.count, "latency_us", latency);
	if (json && op != FLUSH)
		json_object_set_new(json, "bytes", json_integer((json_int_t)bytes));
	return json;
}

static json_t *sizes_json(struct inspect *in)
{
	json_t *json = json_object();
	char key[24];

	for (unsigned i = 0; i < SIZE_CLASSES; i++) {
		uint64_t n = 0;

		for (unsigned k = 0; k < STRIPES; k++)
			n += GET(in->stripes[k].sizes[i]);
		if (n == 0)
			continue;
		snprintf(key, sizeof key, "%lu", 1ul << (SIZE_MIN_BITS + i));
		json_object_set_new(json, key, json_integer((json_int_t)n));
	}
	return json;
}

/* A share of nothing is null. */
static json_t *share(uint64_t part, uint64_t whole)
{
	return whole ? json_real((double)MIN(part, whole) / (double)whole) : json_null();
}

static json_t *since_json(const struct timespec *since)
{
	char text[40];
	struct tm tm;

	gmtime_r(&since->tv_sec, &tm);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

static json_t *inspect_stats(struct stage *st)
{
	struct inspect *in = container_of(st, struct inspect, stage);
	uint64_t ops[OPERATIONS], all = 0, depth_sum = 0, errors = 0;
	json_t *json = json_object();

	for (unsigned op = 0; op < OPERATIONS; op++) {
		json_object_set_new(json, operation_names[op], operation_json(in, op, &ops[op]));
		all += ops[op];
	}
	for (unsigned i = 0; i < STRIPES; i++) {
		depth_sum += GET(in->stripes[i].depth_sum);
		errors += GET(in->stripes[i].errors);
	}
	json_object_set_new(json, "block_sizes", sizes_json(in));
	json_object_set_new(json, "sequential",
			    json_pack("{s:o, s:o}", "read",
				      share(GET(in->streams[READ].sequential), ops[READ]), "write",
				      share(GET(in->streams[WRITE].sequential), ops[WRITE])));
	json_object_set_new(json, "read_share", share(ops[READ], ops[READ] + ops[WRITE]));
	json_object_set_new(
		json, "queue_depth",
		json_pack("{s:I, s:I, s:o}", "now", (json_int_t)GET(in->depth.now), "max",
			  (json_int_t)GET(in->depth.max), "mean",
			  all ? json_real((double)depth_sum / (double)all) : json_null()));
	json_object_set_new(json, "errors", json_integer((json_int_t)errors));
	json_object_set_new(json, "since", since_json(&in->since));
	return json;
}

/* ---- the class ---- */

static int inspect_create(const void *settings, void *pool, struct stage *next, struct stage **ret)
{
	struct inspect *in;

	in = mmap(NULL, sizeof *in, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (in == MAP_FAILED)
		return -errno;

	in->stage.ops = &inspect_ops;
	in->stage.next = next;
	in->stage.size = stage_size(next);
	in->stage.block = next->block;
	/* No run has ended yet, and in particular none at offset 0. */
	for (unsigned i = 0; i < STREAMS; i++)
		in->streams[READ].ends[i] = in->streams[WRITE].ends[i] = UINT64_MAX;
	*ret = &in->stage;
	return 0;
}

static int inspect_update(struct stage *st, const void *settings)
{
	return 0; /* there is nothing to set */
}

static const cyaml_schema_field_t inspect_fields[] = {CYAML_FIELD_END};

const struct stage_class inspect_class = {
	.name = "inspect",
	.rank = STAGE_RANK_INSPECT,
	.fields = inspect_fields,
	.create = inspect_create,
	.update = inspect_update,
	.stats = inspect_stats,
};
