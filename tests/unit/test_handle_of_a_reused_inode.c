/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The handle of a removed file whose inode number is being given to a new one is stale, or opens:
 * never ENOMEM, as ext4 says it for a moment (where the tests' directory is on ext4). */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/cleanup.h"
#include "base/handle.h"
#include "tests/unit/backing.h"
#include "tests/unit/check.h"

#define ROUNDS 100000

static struct handle newest;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* protects newest */
static _Atomic bool stop;

static void *make_and_remove(void *name)
{
	while (!stop) {
		int fd = openat(backing_fd, name, O_CREAT | O_EXCL | O_RDWR, 0600), mount_id;
		struct handle h;

		if (fd < 0)
			continue;
		check(handle_get(fd, "", &h, &mount_id) == 0);
		close(fd);
		pthread_mutex_lock(&lock);
		newest = h;
		pthread_mutex_unlock(&lock);
		unlinkat(backing_fd, name, 0);
	}
	return NULL;
}

int main(void)
{
	pthread_t a, b;

	backing_make();
	check(pthread_create(&a, NULL, make_and_remove, (char []){"a"}) == 0);
	check(pthread_create(&b, NULL, make_and_remove, (char []){"b"}) == 0);
	for (int i = 0; i < ROUNDS;) {
		struct handle h;
		int fd;

		pthread_mutex_lock(&lock);
		h = newest;
		pthread_mutex_unlock(&lock);
		if (!h.len)
			continue; /* they have not begun */
		i++;
		fd = handle_open(backing_fd, &h, O_RDWR);
		check(fd >= 0 || fd == -ESTALE);
		if (fd >= 0)
			close(fd);
	}
	stop = true;
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	return 0;
}
