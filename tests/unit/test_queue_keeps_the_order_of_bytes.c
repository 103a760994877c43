/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The way of a request through queue, splitter and a slow stage of whole blocks, by many threads:
 * what every read saw, and what is there in the end, is what the same requests give one after
 * the other in the order in which they entered the queue.  Writes that extend and resizes run
 * alone, as base/split.h wants it. */
#include <string.h>

#include "base/queue.h"
#include "base/split.h"
#include "tests/unit/check.h"
#include "tests/unit/random.h"
#include "tests/unit/stages/delay.h"
#include "tests/unit/stages/memory.h"

#define THREADS  4
#define REQUESTS 400 /* of each thread */
#define SIZE     60000u
#define BLOCK    4096u
#define LEN_MAX  6000u

enum what { READ, WRITE, TRIM, RESIZE, FLUSH };

struct request {
	struct io io;
	enum what what;
	uint64_t off, len; /* RESIZE: off is the size */
	uint8_t stamp;     /* the bytes of a write */
	uint8_t *seen;     /* the bytes of a read, seen_len of them */
	size_t seen_len;
};

static struct stage *top;
static struct queue queue;
static pthread_mutex_t entry_lock = PTHREAD_MUTEX_INITIALIZER; /* makes history the queue's order */
static struct request *history[2 * THREADS * REQUESTS];
static unsigned entered, reentered;

static bool must_be_alone(const struct request *r)
{
	return r->what == RESIZE || (r->what == WRITE && split_grows(top, r->off, r->len));
}

static bool enter(struct request *r)
{
	LOCKED(&entry_lock);

	r->io.kind = must_be_alone(r)   ? IO_ALONE
		     : r->what == READ  ? IO_READ
		     : r->what == FLUSH ? IO_FLUSH
					: IO_WRITE;
	split_range(BLOCK, r->off, r->len, &r->io.off, &r->io.end);
	history[entered++] = r;
	return queue_enter(&queue, &r->io);
}

static void do_it(struct request *r)
{
	uint8_t buf[LEN_MAX];

	switch (r->what) {
	case READ:
		r->seen = malloc(LEN_MAX);
		check(r->seen);
		check(split_read(top, r->seen, r->off, r->len, &r->seen_len) == 0);
		break;
	case WRITE:
		memset(buf, r->stamp, r->len);
		check(split_write(top, buf, r->off, r->len, 0) == 0);
		break;
	case TRIM:
		check(split_trim(top, r->off, r->len) == 0);
		break;
	case RESIZE:
		check(split_resize(top, r->off) == 0);
		break;
	case FLUSH:
		check(stage_flush(top) == 0);
		break;
	}
}

/* An older resize may have made it a write that extends: then it is not done, and enters again at
 * the end of the order. */
static bool must_enter_again(struct request *r)
{
	if (r->io.kind == IO_ALONE || !must_be_alone(r))
		return false;

	LOCKED(&entry_lock);
	for (unsigned i = 0; i < entered; i++)
		if (history[i] == r)
			history[i] = NULL;
	reentered++;
	return true;
}

static void run(struct io *todo)
{
	while (todo) {
		struct request *r = container_of(todo, struct request, io);
		struct io *after = todo->next, *more, *end;
		bool again = must_enter_again(r);

		if (!again)
			do_it(r);
		more = queue_leave(&queue, &r->io);
		for (end = more; end && end->next;)
			end = end->next;
		if (end)
			end->next = after;
		todo = more ? more : after;
		if (again && enter(r)) {
			r->io.next = todo;
			todo = &r->io;
		}
	}
}

static void *work(void *data)
{
	static const enum what mix[] = {READ,  READ,  READ, WRITE, WRITE,
					WRITE, WRITE, TRIM, FLUSH, RESIZE};
	uint64_t seed = (uint64_t)(uintptr_t)data * 7919 + 1;

	for (unsigned i = 0; i < REQUESTS; i++) {
		struct request *r = calloc(1, sizeof *r);

		check(r);
		r->what = mix[random_below(&seed, ARRAY_SIZE(mix))];
		r->off = random_below(&seed, SIZE);
		r->len = random_below(&seed, LEN_MAX);
		r->stamp = (uint8_t)(random_below(&seed, 255) + 1);
		if (r->what == RESIZE)
			r->off = SIZE / 2 + r->off / 2;
		if (enter(r))
			run(&r->io);
	}
	return NULL;
}

/* One after the other, on a leaf of its own. */
static void replay(struct stage *model)
{
	uint8_t buf[LEN_MAX];
	size_t n;

	for (unsigned i = 0; i < entered; i++) {
		struct request *r = history[i];

		if (!r)
			continue;
		if (r->what == READ) {
			check(split_read(model, buf, r->off, r->len, &n) == 0);
			check(n == r->seen_len && memcmp(buf, r->seen, n) == 0);
		} else if (r->what == WRITE) {
			memset(buf, r->stamp, r->len);
			check(split_write(model, buf, r->off, r->len, 0) == 0);
		} else if (r->what == TRIM) {
			check(split_trim(model, r->off, r->len) == 0);
		} else if (r->what == RESIZE) {
			check(split_resize(model, r->off) == 0);
		}
		free(r->seen);
		free(r);
	}
}

int main(void)
{
	pthread_t threads[THREADS];
	struct stage *leaf, *model;

	check(memory_new(SIZE, BLOCK, &leaf) == 0);
	check(delay_new(20000, leaf, &top) == 0);
	check(memory_new(SIZE, 1, &model) == 0);
	queue_init(&queue, 3);
	for (uintptr_t i = 0; i < THREADS; i++)
		check(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	queue_done(&queue);

	replay(model);
	check(stage_size(model) == stage_size(leaf));
	check(memcmp(memory_bytes(model), memory_bytes(leaf), stage_size(leaf)) == 0);
	printf("%u requests, %u entered again\n", entered - reentered, reentered);
	memory_free(model);
	delay_free(top);
	memory_free(leaf);
	return 0;
}
