/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Threads run requests as fs/ does: whoever finishes one runs what it is given next.  A request
 * in service owns its bytes of a plain table, so TSan sees two that conflict even where the
 * checks do not; of two that conflict the older comes first; and in the end all were served. */
#include <sched.h>
#include <stdatomic.h>

#include "base/queue.h"
#include "tests/unit/check.h"
#include "tests/unit/random.h"

#define THREADS  5
#define REQUESTS 3000 /* of each thread */
#define SLEEPS   200  /* of the thread that waits to be alone */
#define BYTES    64
#define LIMIT    4

struct request {
	struct io io;
	unsigned long age; /* order of entry, from 1 */
};

static struct queue queue;
static pthread_mutex_t entry_lock = PTHREAD_MUTEX_INITIALIZER; /* makes age the queue's order */
static unsigned long entered;

static _Atomic unsigned in_service;
static _Atomic unsigned long finished;
static _Atomic bool is_open_write[THREADS * REQUESTS + 1];

/* The youngest of each kind so far.  Writers own their bytes of the first. */
static unsigned long last_write[BYTES];
static _Atomic unsigned long last_read[BYTES];
static unsigned long alone_calls;

static void serve_read(struct request *r)
{
	for (uint64_t i = r->io.off; i < r->io.end; i++) {
		unsigned long age = last_read[i];

		check(last_write[i] < r->age);
		while (age < r->age && !atomic_compare_exchange_weak(&last_read[i], &age, r->age))
			;
	}
}

static void serve_write(struct request *r)
{
	for (uint64_t i = r->io.off; i < r->io.end; i++) {
		check(last_write[i] < r->age && last_read[i] < r->age);
		last_write[i] = r->age;
	}
}

static void serve_flush(struct request *r)
{
	for (unsigned long age = 1; age < r->age; age++)
		check(!is_open_write[age]);
}

/* Whatever is older is finished, and nothing younger is. */
static void serve_alone(struct request *r)
{
	check(in_service == 1);
	check(finished == r->age - 1);
	for (unsigned i = 0; i < BYTES; i++)
		last_write[i] = r->age;
	alone_calls++;
}

static void serve(struct request *r)
{
	static void (*const by_kind[])(struct request *) = {
		[IO_READ] = serve_read,
		[IO_WRITE] = serve_write,
		[IO_FLUSH] = serve_flush,
		[IO_ALONE] = serve_alone,
	};

	check(++in_service <= LIMIT);
	by_kind[r->io.kind](r);
	sched_yield();
	in_service--;
	finished++;
	if (r->io.kind == IO_WRITE)
		is_open_write[r->age] = false;
}

/* Serve those in the list, and those that get their places. */
static void run(struct io *todo)
{
	while (todo) {
		struct request *r = container_of(todo, struct request, io);
		struct io *after = todo->next, *more;

		serve(r);
		more = queue_leave(&queue, &r->io);
		free(r);
		if (!more) {
			todo = after;
			continue;
		}
		todo = more;
		while (more->next)
			more = more->next;
		more->next = after;
	}
}

static bool enter(struct request *r)
{
	LOCKED(&entry_lock);

	r->age = ++entered;
	is_open_write[r->age] = r->io.kind == IO_WRITE;
	return queue_enter(&queue, &r->io);
}

static void *work(void *data)
{
	uint64_t seed = (uint64_t)(uintptr_t)data * 7919 + 1;

	for (unsigned i = 0; i < REQUESTS; i++) {
		struct request *r = calloc(1, sizeof *r);
		unsigned kind = (unsigned)random_below(&seed, 60);

		check(r);
		r->io.kind = kind == 0   ? IO_ALONE
			     : kind < 3  ? IO_FLUSH
			     : kind < 30 ? IO_READ
					 : IO_WRITE;
		r->io.off = random_below(&seed, BYTES - 4);
		r->io.end = r->io.off + 1 + random_below(&seed, 4);
		if (enter(r))
			run(&r->io);
	}
	return NULL;
}

static void *sleep_until_alone(void *data)
{
	for (unsigned i = 0; i < SLEEPS; i++) {
		struct io io;

		queue_wait_alone(&queue, &io);
		check(++in_service == 1);
		alone_calls++;
		for (unsigned b = 0; b < BYTES; b++)
			last_write[b] = last_write[b]; /* ours, says TSan */
		in_service--;
		run(queue_leave(&queue, &io));
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS + 1];

	queue_init(&queue, LIMIT);
	for (uintptr_t i = 0; i < THREADS; i++)
		check(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
	check(pthread_create(&threads[THREADS], NULL, sleep_until_alone, NULL) == 0);
	for (unsigned i = 0; i <= THREADS; i++)
		pthread_join(threads[i], NULL);

	check(finished == THREADS * REQUESTS);
	check(alone_calls > SLEEPS);
	check(queue_idle(&queue));
	queue_done(&queue);
	return 0;
}
