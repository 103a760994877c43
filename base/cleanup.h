/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/cleanup.h - cleanup by attribute, and the few macros everybody needs.
 *
 *     _cleanup_(closep) int fd = -1;           closed on every return
 *     return TAKE_FD(fd);                      unless it was given away
 *
 * Every helper accepts the empty value (NULL, -1) and keeps errno.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)     ((a) < (b) ? (a) : (b))
#define MAX(a, b)     ((a) > (b) ? (a) : (b))

/* Hand an owned pointer on: the variable is NULL afterwards. */
#define TAKE_PTR(p)                                                                                \
	({                                                                                         \
		__typeof__(p) take_ptr_ = (p);                                                     \
		(p) = NULL;                                                                        \
		take_ptr_;                                                                         \
	})

#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int take_fd_ = (fd);                                                               \
		(fd) = -1;                                                                         \
		take_fd_;                                                                          \
	})

static inline void closep(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void unlockp(pthread_mutex_t **lock)
{
	if (*lock)
		pthread_mutex_unlock(*lock);
}

/* Hold @lock until the end of the scope. */
#define LOCKED(lock)                                                                               \
	_cleanup_(unlockp) pthread_mutex_t *locked_here_ __attribute__((unused)) = (lock);         \
	pthread_mutex_lock(locked_here_)

#endif
