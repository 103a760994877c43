/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/fdcache.h - a bounded cache of open descriptors of backing files.
 *
 * Nobody keeps a descriptor: who needs one borrows it here for the time of a call.  So a hundred
 * thousand known files need no more descriptors than a thousand.
 *
 * A descriptor is found by handle and kind.  Idle ones are closed in least-recently-used order
 * when there are more than the capacity (kept per shard: each has its part of it), all of them
 * when the process runs out of descriptors; borrowed ones are never closed, so the cache may
 * exceed its capacity by the number of borrowers.
 *
 * Invariant  an entry that fdcache_forget was called for is never given out again, and is closed
 *            when its last borrower returns it.
 * Threads    any.  Locks are inside, one per shard, and never held over a system call.
 */
#ifndef BASE_FDCACHE_H
#define BASE_FDCACHE_H

#include <stddef.h>

#include "base/handle.h"

enum fd_kind {
	FD_PATH,  /* O_PATH: attributes, *at() calls */
	FD_READ,  /* O_RDONLY */
	FD_WRITE, /* O_RDWR; also serves FD_READ */
};

struct fdcache;
struct fdref; /* one borrowed descriptor */

/* @mount_fd is borrowed: any open descriptor on the filesystem, and must outlive the cache.
 * @capacity is the number of idle descriptors kept, at least 1. */
int fdcache_new(int mount_fd, size_t capacity, struct fdcache **ret);
void fdcache_free(struct fdcache *c); /* every borrower must have returned its own */

/* How to find a file when opening its handle fails with -EACCES or -ESTALE, as Landlock makes it
 * for one whose name the kernel does not remember (fs/reconnect.h).  @find gets that error and
 * returns an O_PATH descriptor of the file, or a negative errno, which fdcache_get then returns.
 * Called without locks, from any thread; call this before the first fdcache_get. */
typedef int (*fdcache_find)(void *data, const struct handle *h, int error);
void fdcache_find_with(struct fdcache *c, fdcache_find find, void *data);

/* Borrow a descriptor of the file of @h.  A cached FD_WRITE serves FD_READ, and either serves
 * FD_PATH.  Backing files are opened without O_APPEND, O_DIRECT or O_TRUNC, with O_NOFOLLOW |
 * O_NONBLOCK | O_CLOEXEC | O_NOATIME-less defaults.
 *
 * -ESTALE  the file is gone; or what open returned (-EROFS, -EPERM, -ETXTBSY, -EMFILE)
 */
int fdcache_get(struct fdcache *c, const struct handle *h, enum fd_kind kind, struct fdref **ret);
int fdref_fd(const struct fdref *r);
void fdref_put(struct fdref *r); /* accepts NULL */

static inline void fdref_putp(struct fdref **r)
{
	fdref_put(*r);
}

/* Give an open descriptor to the cache (just created, say): it is the cache's from now on, also
 * on failure, and closed at once when the cache has one that serves as well.  @ret may be NULL.
 *
 * -ENOMEM */
int fdcache_add(struct fdcache *c, const struct handle *h, enum fd_kind kind, int fd,
		struct fdref **ret);

/* Close every idle descriptor of the file, and borrowed ones when they come back.  True when no
 * descriptor of ours is open on it any more; false while one is borrowed, being opened or being
 * closed: ask again. */
bool fdcache_forget(struct fdcache *c, const struct handle *h);

/* A call that makes a descriptor gave @error.  True when that is -EMFILE or -ENFILE and it is worth
 * trying again: idle descriptors were closed, or others come back in a moment.  @tries counts, and
 * begins with 0; in the end it is false. */
bool fdcache_make_room(struct fdcache *c, int error, unsigned *tries);

size_t fdcache_open_count(struct fdcache *c);

#endif
