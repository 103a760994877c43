/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/pool.c - see base/pool.h.
 *
 * Invariant  busy threads run a job each; jobs not yet taken are in the list, oldest first.
 * Locks      pool->lock protects the struct; no job runs under it, nothing is taken under it.
 */
#include <signal.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/pool.h"

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t work; /* a job came, or ending */
	pthread_cond_t idle; /* busy is 0 and jobs is empty */
	struct list jobs;
	unsigned busy;
	bool ending;
	unsigned threads;
	pthread_t thread[];
};

/* The oldest job; NULL when the pool ends.  Waits. */
static struct job *pool_take(struct pool *p)
{
	struct job *job;

	while (list_empty(&p->jobs) && !p->ending)
		pthread_cond_wait(&p->work, &p->lock);
	if (list_empty(&p->jobs))
		return NULL;

	job = list_entry(p->jobs.next, struct job, link);
	list_remove(&job->link);
	p->busy++;
	return job;
}

static void *pool_thread(void *data)
{
	struct pool *p = data;
	struct job *job;

	pthread_mutex_lock(&p->lock);
	while ((job = pool_take(p))) {
		pthread_mutex_unlock(&p->lock);
		job->run(job); /* the job may be gone now */
		pthread_mutex_lock(&p->lock);
		p->busy--;
		if (p->busy == 0 && list_empty(&p->jobs))
			pthread_cond_broadcast(&p->idle);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* Signals belong to the thread that asked for them, never to a background job. */
static int start_thread(struct pool *p, const char *name)
{
	sigset_t all, before;
	char short_name[16]; /* the kernel's limit */
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&p->thread[p->threads], NULL, pool_thread, p);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r)
		return -r;

	snprintf(short_name, sizeof short_name, "%.15s", name);
	pthread_setname_np(p->thread[p->threads], short_name);
	p->threads++;
	return 0;
}

int pool_new(unsigned threads, const char *name, struct pool **ret)
{
	struct pool *p;
	int r;

	p = calloc(1, sizeof *p + threads * sizeof p->thread[0]);
	if (!p)
		return -ENOMEM;

	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->idle, NULL);
	list_init(&p->jobs);
	while (p->threads < threads) {
		r = start_thread(p, name);
		if (r < 0) {
			pool_free(p);
			return r;
		}
	}
	*ret = p;
	return 0;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;

	pthread_mutex_lock(&p->lock);
	p->ending = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->threads; i++)
		pthread_join(p->thread[i], NULL);

	pthread_cond_destroy(&p->idle);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

void pool_add(struct pool *p, struct job *job)
{
	LOCKED(&p->lock);

	list_append(&p->jobs, &job->link);
	pthread_cond_signal(&p->work);
}

void pool_wait_idle(struct pool *p)
{
	LOCKED(&p->lock);

	while (p->busy > 0 || !list_empty(&p->jobs))
		pthread_cond_wait(&p->idle, &p->lock);
}
