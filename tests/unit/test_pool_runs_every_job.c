/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pool runs every job once, starts them in the order given, never more than it has threads,
 * takes jobs from jobs, and does what it was given before it ends. */
#include <sched.h>
#include <stdatomic.h>

#include "base/pool.h"
#include "tests/unit/check.h"

#define JOBS 2000

struct numbered {
	struct job job;
	unsigned number;
	struct pool *pool;
	struct numbered *follow; /* added when this one runs */
};

static _Atomic unsigned running, most_running, done;
static unsigned last_started; /* read and written by a pool of one thread only */

static void count(struct job *job)
{
	struct numbered *n = container_of(job, struct numbered, job);
	unsigned now = ++running;

	while (now > most_running)
		most_running = now;
	sched_yield();
	if (n->follow)
		pool_add(n->pool, &n->follow->job);
	running--;
	free(n);
	done++;
}

static void in_order(struct job *job)
{
	struct numbered *n = container_of(job, struct numbered, job);

	check(n->number == last_started + 1);
	last_started = n->number;
	free(n);
	done++;
}

static struct numbered *job_new(struct pool *p, unsigned number, void (*run)(struct job *))
{
	struct numbered *n = calloc(1, sizeof *n);

	check(n);
	n->job.run = run;
	n->number = number;
	n->pool = p;
	return n;
}

int main(void)
{
	struct pool *p;

	check(pool_new(3, "a rather long name of a pool", &p) == 0);
	pool_wait_idle(p);
	for (unsigned i = 0; i < JOBS; i++) {
		struct numbered *n = job_new(p, i, count);

		if (i % 10 == 0)
			n->follow = job_new(p, i, count);
		pool_add(p, &n->job);
	}
	pool_wait_idle(p);
	check(done == JOBS + JOBS / 10);
	check(most_running >= 1 && most_running <= 3);
	pool_free(p);

	done = 0;
	check(pool_new(1, "one", &p) == 0);
	for (unsigned i = 1; i <= JOBS; i++)
		pool_add(p, &job_new(p, i, in_order)->job);
	pool_free(p);
	check(done == JOBS);
	pool_free(NULL);
	return 0;
}
