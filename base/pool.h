/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/pool.h - the one bounded pool of threads for background work.
 *
 * Catalog commits, disk recognition, and later destage, scrub and shipping run here, so that
 * together they never take more than a few threads from the requests of guests.
 *
 * Jobs run in the order they were given, at most @threads at once.  A job runs to its end;
 * pool_free runs what was given before it and then joins.
 * Threads    any; a job may add jobs.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include "base/list.h"

struct pool;

struct job {
	struct list link;
	void (*run)(struct job *job); /* owns the job from here on and may free it */
};

int pool_new(unsigned threads, const char *name, struct pool **ret); /* -EAGAIN, -ENOMEM */
void pool_free(struct pool *p);                                      /* accepts NULL */
void pool_add(struct pool *p, struct job *job);
void pool_wait_idle(struct pool *p); /* until no job runs or waits */

#endif
