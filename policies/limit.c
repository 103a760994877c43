/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policies/limit.c - the stage that delays I/O beyond a limit of operations or bytes.
 *
 * Reads, writes, trims and zeros wait in the calling thread until policies/limiter.h lets them
 * start; everything else passes.  Nothing is stored, no byte changes, nothing is refused.
 *
 * Waiting    an I/O that may not start stands in a line.  Only the head of all lines sets an alarm
 *            (an absolute time of CLOCK_MONOTONIC); who finds the time come serves everybody whose
 *            turn it is, and wakes the new head.  So new settings, which change who is next and
 *            when, take effect at once and in the order of the lines.
 * Scope      of a disk: the stage has a gate of its own.  Of a policy: all stages of the policy
 *            meet at the gate of its pool, each as a flow with its shares.
 * Locks      gate.lock protects the limiter, its flows and the counters of the stages at it.
 *            Nothing else is taken under it, and nobody sleeps or does I/O with it.
 */
#include <inttypes.h>
#include <time.h>

#include "base/cleanup.h"
#include "policies/limit.h"
#include "policies/limiter.h"
#include "base/stack.h"

/* An alarm further away is set again: no time is too far for a timespec. */
#define ALARM_MAX_NS (3600 * BUCKET_SECOND_NS)

struct gate {
	pthread_mutex_t lock;
	struct limiter limiter;
};

struct limit {
	struct stage stage;
	struct gate own;   /* used with the scope of a disk */
	struct gate *gate; /* own, or the pool's */
	struct limiter_flow flow;
	struct limit_conf conf;
	uint64_t delayed, delayed_ns; /* I/Os that waited, and how long together */
	unsigned waiting;
	bool hurried; /* the stack goes: nobody waits any more */
};

struct turn { /* an I/O that waits, on its thread's stack */
	struct limiter_wait wait;
	pthread_cond_t come;
	bool granted;
};

/* CLOCK_MONOTONIC, or CLOCK_MONOTONIC_COARSE: the same a few milliseconds ago. */
static uint64_t clock_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * BUCKET_SECOND_NS + (uint64_t)t.tv_nsec;
}

static uint64_t clock_ns(void)
{
	return clock_of(CLOCK_MONOTONIC);
}

/* ---- the gate ---- */

static void gate_init(struct gate *g, const struct meter_conf *conf)
{
	pthread_mutex_init(&g->lock, NULL);
	limiter_init(&g->limiter);
	limiter_set(&g->limiter, conf, clock_ns());
}

static void gate_done(struct gate *g)
{
	pthread_mutex_destroy(&g->lock);
}

static void grant(struct limiter_wait *w)
{
	struct turn *turn = container_of(w, struct turn, wait);

	turn->granted = true;
	pthread_cond_signal(&turn->come);
}

/* Let everybody start whose turn it is; then the head sets its alarm.  Under the lock.  Returns
 * when the head may start. */
static uint64_t gate_serve(struct gate *g, uint64_t now_ns)
{
	struct limiter_wait *w;
	uint64_t when;

	while ((w = limiter_next(&g->limiter, now_ns, &when)))
		grant(w);

	w = limiter_head(&g->limiter);
	if (w)
		pthread_cond_signal(&container_of(w, struct turn, wait)->come);
	return when;
}

static void gate_set(struct gate *g, const struct meter_conf *conf)
{
	LOCKED(&g->lock);
	uint64_t now = clock_ns();

	limiter_set(&g->limiter, conf, now);
	gate_serve(g, now);
}

static void turn_init(struct turn *turn)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&turn->come, &attr);
	pthread_condattr_destroy(&attr);
}

static void sleep_until(struct turn *turn, struct gate *g, uint64_t when, uint64_t now)
{
	uint64_t alarm = MIN(when, now + ALARM_MAX_NS);
	struct timespec t = {
		.tv_sec = (time_t)(alarm / BUCKET_SECOND_NS),
		.tv_nsec = (long)(alarm % BUCKET_SECOND_NS),
	};

	pthread_cond_timedwait(&turn->come, &g->lock, &t);
}

/* @turn stands in a line.  Under the lock, which is released while asleep. */
static void wait_turn(struct limit *l, struct turn *turn)
{
	struct gate *g = l->gate;
	uint64_t since = clock_ns(), now = since;

	l->waiting++;
	while (!turn->granted) {
		if (limiter_head(&g->limiter) == &turn->wait) {
			uint64_t when = gate_serve(g, now);

			if (!turn->granted)
				sleep_until(turn, g, when, now);
		} else {
			pthread_cond_wait(&turn->come, &g->lock);
		}
		now = clock_ns();
	}
	l->waiting--;
	l->delayed++;
	l->delayed_ns += now - since;
}

/* Returns when an I/O of @bytes may start.  What was allowed a moment ago is allowed now: the
 * coarse clock, which costs nothing, is asked first, and far below the limit it alone. */
static void admit(struct limit *l, uint64_t bytes)
{
	struct limiter *limiter = &l->gate->limiter;
	uint64_t coarse = clock_of(CLOCK_MONOTONIC_COARSE);
	struct turn turn;

	LOCKED(&l->gate->lock);
	if (l->hurried)
		return;
	if (limiter_try(limiter, &l->flow, bytes, coarse) ||
	    limiter_try(limiter, &l->flow, bytes, clock_ns()))
		return;

	turn.wait.bytes = bytes;
	turn.granted = false;
	turn_init(&turn);
	limiter_wait(limiter, &l->flow, &turn.wait);
	wait_turn(l, &turn);
	pthread_cond_destroy(&turn.come);
}

/* ---- the operations ---- */

static int limit_read(struct stage *st, void *ret_buf, struct seal *ret_seals, uint64_t off,
		      size_t len)
{
	admit(container_of(st, struct limit, stage), len);
	return stage_read(st->next, ret_buf, ret_seals, off, len);
}

static int limit_write(struct stage *st, const void *buf, const struct seal *seals, uint64_t off,
		       size_t len, unsigned flags)
{
	admit(container_of(st, struct limit, stage), len);
	return stage_write(st->next, buf, seals, off, len, flags);
}

/* A trim or zero is one operation and moves no data, however long its range. */
static int limit_trim(struct stage *st, uint64_t off, uint64_t len)
{
	admit(container_of(st, struct limit, stage), 0);
	return stage_trim(st->next, off, len);
}

static int limit_zero(struct stage *st, uint64_t off, uint64_t len)
{
	admit(container_of(st, struct limit, stage), 0);
	return stage_zero(st->next, off, len);
}

/* Under the lock. */
static void let_waiters_go(struct limit *l)
{
	uint64_t now = clock_ns();
	struct limiter_wait *w;

	while ((w = limiter_release(&l->gate->limiter, &l->flow, now)))
		grant(w);
	gate_serve(l->gate, now);
}

/* Nobody waits for a stack that is taken apart: neither those who stand in line now nor those who
 * waited for them in the disk's queue. */
static void limit_hurry(struct stage *st)
{
	struct limit *l = container_of(st, struct limit, stage);

	LOCKED(&l->gate->lock);
	l->hurried = true;
	let_waiters_go(l);
}

/* May be called while I/O waits here, unlike the contract asks. */
static int limit_drain(struct stage *st)
{
	struct limit *l = container_of(st, struct limit, stage);

	pthread_mutex_lock(&l->gate->lock);
	let_waiters_go(l);
	pthread_mutex_unlock(&l->gate->lock);
	return stage_drain(st->next);
}

static void limit_close(struct stage *st)
{
	struct limit *l = container_of(st, struct limit, stage);

	pthread_mutex_lock(&l->gate->lock);
	limiter_remove(&l->gate->limiter, &l->flow);
	pthread_mutex_unlock(&l->gate->lock);
	gate_done(&l->own);
	free(l);
}

static const struct stage_ops limit_ops = {
	.name = "limit",
	.open = stage_fwd_open,
	.read = limit_read,
	.write = limit_write,
	.flush = stage_fwd_flush,
	.trim = limit_trim,
	.zero = limit_zero,
	.reserve = stage_fwd_reserve,
	.resize = stage_fwd_resize,
	.extent = stage_fwd_extent,
	.drain = limit_drain,
	.close = limit_close,
};

/* ---- the class ---- */

/* Settings that were checked when the policy was loaded. */
static int conf_of(const void *settings, struct limit_conf *ret)
{
	return limit_conf_parse(settings, ret, NULL);
}

static int limit_check(const void *settings, char **ret_why)
{
	struct limit_conf conf;

	return limit_conf_parse(settings, &conf, ret_why);
}

static int limit_pool_new(const void *settings, void **ret)
{
	struct limit_conf conf;
	struct gate *g;
	int r;

	r = conf_of(settings, &conf);
	if (r < 0)
		return r;
	g = calloc(1, sizeof *g);
	if (!g)
		return -ENOMEM;

	gate_init(g, &conf.meter);
	*ret = g;
	return 0;
}

static int limit_pool_update(void *pool, const void *settings)
{
	struct limit_conf conf;
	int r;

	r = conf_of(settings, &conf);
	if (r < 0)
		return r;
	gate_set(pool, &conf.meter);
	return 0;
}

static void limit_pool_free(void *pool)
{
	if (!pool)
		return;
	gate_done(pool);
	free(pool);
}

static int limit_create(const void *settings, void *pool, struct stage *next, struct stage **ret)
{
	struct limit_conf conf;
	struct limit *l;
	int r;

	r = conf_of(settings, &conf);
	if (r < 0)
		return r;
	if (conf.scope == LIMIT_SCOPE_POLICY && !pool)
		return -EINVAL;
	l = calloc(1, sizeof *l);
	if (!l)
		return -ENOMEM;

	l->stage.ops = &limit_ops;
	l->stage.next = next;
	l->stage.size = stage_size(next);
	l->stage.block = next->block;
	l->conf = conf;
	gate_init(&l->own, &conf.meter);
	l->gate = conf.scope == LIMIT_SCOPE_POLICY ? pool : &l->own;
	pthread_mutex_lock(&l->gate->lock);
	limiter_add(&l->gate->limiter, &l->flow, conf.shares);
	pthread_mutex_unlock(&l->gate->lock);
	*ret = &l->stage;
	return 0;
}

/* A pool is told by limit_pool_update; here only the disk's part of it changes. */
static int limit_update(struct stage *st, const void *settings)
{
	struct limit *l = container_of(st, struct limit, stage);
	struct limit_conf conf;
	int r;

	r = conf_of(settings, &conf);
	if (r < 0)
		return r;

	pthread_mutex_lock(&l->gate->lock);
	if (conf.scope == l->conf.scope) {
		l->conf = conf;
		limiter_set_shares(&l->flow, conf.shares);
	} else {
		r = -ENOTSUP; /* another gate: the stack is rebuilt */
	}
	pthread_mutex_unlock(&l->gate->lock);

	if (r == 0 && conf.scope == LIMIT_SCOPE_DISK)
		gate_set(l->gate, &conf.meter);
	return r;
}

static json_t *limit_stats(struct stage *st)
{
	struct limit *l = container_of(st, struct limit, stage);
	const struct meter *m = &l->gate->limiter.meter;

	LOCKED(&l->gate->lock);
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "scope",
			 l->conf.scope == LIMIT_SCOPE_POLICY ? "policy" : "disk", "iops",
			 (json_int_t)m->iops.rate, "bandwidth", (json_int_t)m->bandwidth.rate,
			 "shares", (json_int_t)l->flow.shares, "waiting", (json_int_t)l->waiting,
			 "delayed", (json_int_t)l->delayed, "delayed_us",
			 (json_int_t)(l->delayed_ns / 1000));
}

const struct stage_class limit_class = {
	.name = "limit",
	.rank = STAGE_RANK_LIMIT,
	.settings_size = sizeof(struct limit_settings),
	.fields = limit_fields,
	.check = limit_check,
	.pool_new = limit_pool_new,
	.pool_update = limit_pool_update,
	.pool_free = limit_pool_free,
	.create = limit_create,
	.update = limit_update,
	.hurry = limit_hurry,
	.stats = limit_stats,
};
