/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Threads borrow, forget and wait for a few files at once: nobody gets another file's descriptor,
 * one that is closed, or one that was forgotten before the asking; and none is left behind. */
#include <sched.h>
#include <sys/stat.h>

#include "base/fdcache.h"
#include "tests/unit/backing.h"
#include "tests/unit/random.h"

#define FILES   6
#define THREADS 4
#define STEPS   4000

static struct fdcache *cache;
static struct handle files[FILES];

static void borrow(unsigned file, enum fd_kind kind, bool forget)
{
	struct fdref *ref;
	struct stat attr;

	check(fdcache_get(cache, &files[file], kind, &ref) == 0);
	if (forget)
		check(!fdcache_forget(cache, &files[file])); /* we hold one ourselves */
	check(fstat(fdref_fd(ref), &attr) == 0 && attr.st_size == (off_t)file);
	fdref_put(ref);
}

static void *work(void *data)
{
	uint64_t seed = (uint64_t)(uintptr_t)data * 7919 + 1;

	for (unsigned i = 0; i < STEPS; i++) {
		unsigned file = (unsigned)random_below(&seed, FILES);

		if (random_below(&seed, 10) == 0)
			fdcache_forget(cache, &files[file]);
		else
			borrow(file, (enum fd_kind)random_below(&seed, 3),
			       random_below(&seed, 10) == 0);
	}
	return NULL;
}

/* A file that one thread uses alone: when forget says true, no descriptor is open on it, whoever
 * was just evicting it. */
static void *work_alone(void *data)
{
	struct handle own = backing_file("own", FILES);
	struct fdref *ref;
	int fd;

	for (unsigned i = 0; i < STEPS; i++) {
		check(fdcache_get(cache, &own, FD_READ, &ref) == 0);
		fdref_put(ref);
		if (i % 3)
			continue;
		while (!fdcache_forget(cache, &own))
			sched_yield();
		fd = openat(backing_fd, "own", O_RDWR | O_CLOEXEC);
		check(fd >= 0 && fcntl(fd, F_SETLEASE, F_WRLCK) == 0);
		close(fd);
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS + 1];
	char name[4];

	check(fdcache_new(backing_make(), 3, &cache) == 0);
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof name, "%u", i);
		files[i] = backing_file(name, (off_t)i);
	}
	for (uintptr_t i = 0; i < THREADS; i++)
		check(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
	check(pthread_create(&threads[THREADS], NULL, work_alone, NULL) == 0);
	for (unsigned i = 0; i <= THREADS; i++)
		pthread_join(threads[i], NULL);

	check(fdcache_open_count(cache) <= 3);
	for (unsigned i = 0; i < FILES; i++)
		check(fdcache_forget(cache, &files[i]));
	check(fdcache_open_count(cache) == 0);
	fdcache_free(cache);
	return 0;
}
