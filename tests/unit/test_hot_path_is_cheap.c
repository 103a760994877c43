/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every FUSE request pays: a descriptor that is in the cache, and a queue with nothing in its
 * way.  The bounds are wide, so that a busy machine or a sanitizer build passes and a system call
 * or an allocation on the way does not go unseen in the printed numbers. */
#include <time.h>

#include "base/fdcache.h"
#include "base/queue.h"
#include "tests/unit/backing.h"

#define ROUNDS 100000u
#define FILES  500u

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t fdcache_hit_ns(void)
{
	static struct handle files[FILES];
	struct fdcache *c;
	struct fdref *ref;
	uint64_t since = 0;
	char name[12];

	check(fdcache_new(backing_make(), 1024, &c) == 0);
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof name, "%u", i);
		files[i] = backing_file(name, 0);
	}
	for (unsigned i = 0; i < ROUNDS; i++) {
		if (i == FILES)
			since = now_ns();
		check(fdcache_get(c, &files[i * 7 % FILES], FD_READ, &ref) == 0);
		fdref_put(ref);
	}
	since = now_ns() - since;
	fdcache_free(c);
	return since / (ROUNDS - FILES);
}

static uint64_t queue_ns(unsigned in_flight)
{
	static struct io ios[64];
	struct queue q;
	uint64_t since;

	queue_init(&q, 64);
	for (unsigned i = 0; i < in_flight; i++) {
		ios[i] = (struct io){.kind = IO_WRITE, .off = i * 77 % 64 * 4096ull};
		ios[i].end = ios[i].off + 4096;
		check(queue_enter(&q, &ios[i]));
	}
	since = now_ns();
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct io io = {.kind = IO_WRITE, .off = (1000 + i) * 4096ull};

		io.end = io.off + 4096;
		check(queue_enter(&q, &io));
		check(!queue_leave(&q, &io));
	}
	since = now_ns() - since;
	for (unsigned i = 0; i < in_flight; i++)
		queue_leave(&q, &ios[i]);
	queue_done(&q);
	return since / ROUNDS;
}

int main(void)
{
	uint64_t hit = fdcache_hit_ns(), idle = queue_ns(0), busy = queue_ns(16);

	printf("fdcache get+put %ju ns, queue enter+leave %ju ns idle, %ju ns with 16 in service\n",
	       (uintmax_t)hit, (uintmax_t)idle, (uintmax_t)busy);
	check(hit < 20000 && idle < 20000 && busy < 20000);
	return 0;
}
