/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/fdcache.c - see base/fdcache.h.
 *
 * An entry is one open descriptor.  It is in the chain of its hash from the moment it is usable
 * until its descriptor is closed, and in one of these states:
 *     borrowed   refs > 0
 *     idle       refs == 0, in the shard's list of idle ones, least recently used first
 *     stale      forgotten: never given out again; retired when its last borrower returns it
 *     retired    stale and refs == 0, in nobody's list but the retirer's, about to be closed
 * That a retired entry stays in its chain while it is being closed lets fdcache_forget tell
 * "closed" from "about to be closed".  For the same reason a thread that opens a file announces
 * it (struct opening): a descriptor may exist that is in no entry yet.
 *
 * Two threads that miss the same file may both open it; the later one closes its own.
 *
 * Locks      shard->lock protects its chains, lists, counters and all entries in them.  Never
 *            held over a system call; nothing is taken under it.
 */
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/fdcache.h"
#include "base/list.h"

#define SHARDS_MAX     16
#define ROOM_TRIES     150 /* about three seconds: an fsync takes its time */
#define SHARD_CAPACITY 64 /* below this many a shard, exact LRU order beats fewer collisions */

struct shard;

struct fdref {
	struct fdref *chain;
	struct list idle; /* or in a list of retired ones */
	struct shard *shard;
	uint64_t hash;
	struct handle handle;
	enum fd_kind kind;
	int fd;
	unsigned refs;
	bool stale;
};

/* On the stack of a thread that is opening a file. */
struct opening {
	struct list link;
	const struct handle *handle;
	bool forgotten; /* fdcache_forget came in between: what is opened is stale */
};

struct shard {
	pthread_mutex_t lock;
	struct list idle;
	struct list openings;
	size_t idle_count, open_count, capacity;
	size_t mask; /* number of chains - 1 */
	struct fdref **chains;
} __attribute__((aligned(64)));

struct fdcache {
	int mount_fd;
	fdcache_find find; /* NULL: none */
	void *find_data;
	unsigned shards; /* a power of two */
	struct shard shard[];
};

static const int open_flags[] = {
	[FD_PATH] = O_PATH | O_NOFOLLOW | O_CLOEXEC,
	[FD_READ] = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
	[FD_WRITE] = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
};

/* The low bits choose the chain, the high ones the shard. */
static struct shard *shard_of(struct fdcache *c, uint64_t hash)
{
	return &c->shard[hash >> 48 & (c->shards - 1)];
}

static struct fdref **chain_of(struct shard *s, uint64_t hash)
{
	return &s->chains[hash & s->mask];
}

static bool entry_is(const struct fdref *e, const struct handle *h, uint64_t hash)
{
	return e->hash == hash && handle_equal(&e->handle, h);
}

/* Borrow a cached entry that serves @kind.  The hot path: no allocation, no system call. */
static struct fdref *borrow(struct shard *s, const struct handle *h, uint64_t hash,
			    enum fd_kind kind)
{
	for (struct fdref *e = *chain_of(s, hash); e; e = e->chain) {
		if (e->kind < kind || e->stale || !entry_is(e, h, hash))
			continue;
		if (e->refs++ == 0) {
			list_remove(&e->idle);
			s->idle_count--;
		}
		return e;
	}
	return NULL;
}

static void insert(struct shard *s, struct fdref *e)
{
	struct fdref **chain = chain_of(s, e->hash);

	e->shard = s;
	e->chain = *chain;
	*chain = e;
	s->open_count++;
}

static void unchain(struct shard *s, struct fdref *e)
{
	struct fdref **p = chain_of(s, e->hash);

	while (*p != e)
		p = &(*p)->chain;
	*p = e->chain;
	s->open_count--;
}

/* An idle entry leaves the cache; the caller closes it after the lock. */
static void retire_idle(struct shard *s, struct fdref *e, struct list *retired)
{
	list_remove(&e->idle);
	s->idle_count--;
	e->stale = true;
	list_append(retired, &e->idle);
}

static void close_retired(struct shard *s, struct list *retired)
{
	if (list_empty(retired))
		return;

	list_for_each (l, retired)
		close(list_entry(l, struct fdref, idle)->fd);

	LOCKED(&s->lock);
	list_for_each_safe (l, retired) {
		struct fdref *e = list_entry(l, struct fdref, idle);

		unchain(s, e);
		free(e);
	}
}

/* Close all idle descriptors: somebody in this process needs room in the descriptor table. */
static void drop_idle(struct fdcache *c)
{
	for (unsigned i = 0; i < c->shards; i++) {
		struct shard *s = &c->shard[i];
		struct list retired;

		list_init(&retired);
		pthread_mutex_lock(&s->lock);
		list_for_each_safe (l, &s->idle)
			retire_idle(s, list_entry(l, struct fdref, idle), &retired);
		pthread_mutex_unlock(&s->lock);
		close_retired(s, &retired);
	}
}

bool fdcache_make_room(struct fdcache *c, int error, unsigned *tries)
{
	if ((error != -EMFILE && error != -ENFILE) || ++*tries > ROOM_TRIES)
		return false;
	drop_idle(c);
	if (*tries > 1) /* those that are left are borrowed, for the time of a call */
		nanosleep(&(struct timespec){.tv_nsec = MIN(*tries, 20u) * 1000000}, NULL);
	return true;
}

static int open_once(struct fdcache *c, const struct handle *h, enum fd_kind kind)
{
	_cleanup_(closep) int found = -1;
	int fd = handle_open(c->mount_fd, h, open_flags[kind]);

	if ((fd != -EACCES && fd != -ESTALE) || !c->find)
		return fd;
	found = c->find(c->find_data, h, fd);
	if (kind == FD_PATH)
		return TAKE_FD(found);
	return found < 0 ? found : handle_reopen(found, open_flags[kind]);
}

static int open_file(struct fdcache *c, const struct handle *h, enum fd_kind kind)
{
	unsigned tries = 0;
	int fd;

	do {
		fd = open_once(c, h, kind);
	} while (fd < 0 && fdcache_make_room(c, fd, &tries));
	return fd;
}

/* @fresh becomes an entry, unless one that serves as well is there already: then that one is
 * borrowed and @fresh stays the caller's.  @o is NULL for a descriptor that was not opened here. */
static struct fdref *settle(struct shard *s, struct opening *o, struct fdref *fresh)
{
	struct fdref *e = NULL;

	if (!o || !o->forgotten)
		e = borrow(s, &fresh->handle, fresh->hash, fresh->kind);
	if (e)
		return e;

	fresh->stale = o && o->forgotten;
	fresh->refs = 1;
	insert(s, fresh);
	return fresh;
}

static struct fdref *entry_new(const struct handle *h, uint64_t hash, enum fd_kind kind, int fd)
{
	struct fdref *e = calloc(1, sizeof *e);

	if (e) {
		*e = (struct fdref){.handle = *h, .hash = hash, .kind = kind, .fd = fd};
		list_init(&e->idle);
	}
	return e;
}

/* @o is announced and stays so until nothing of what we open can be left behind unseen. */
static int open_entry(struct fdcache *c, struct shard *s, struct opening *o, uint64_t hash,
		      enum fd_kind kind, struct fdref **ret)
{
	struct fdref *e, *fresh;
	int fd;

	fresh = entry_new(o->handle, hash, kind, -1);
	if (!fresh)
		return -ENOMEM;

	fd = open_file(c, o->handle, kind);
	if (fd < 0) {
		free(fresh);
		return fd;
	}

	fresh->fd = fd;
	pthread_mutex_lock(&s->lock);
	e = settle(s, o, fresh);
	pthread_mutex_unlock(&s->lock);
	if (e != fresh) {
		close(fd);
		free(fresh);
	}
	*ret = e;
	return 0;
}

int fdcache_get(struct fdcache *c, const struct handle *h, enum fd_kind kind, struct fdref **ret)
{
	uint64_t hash = handle_hash(h);
	struct shard *s = shard_of(c, hash);
	struct opening o = {.handle = h};
	struct fdref *e;
	int r;

	pthread_mutex_lock(&s->lock);
	e = borrow(s, h, hash, kind);
	if (!e)
		list_append(&s->openings, &o.link);
	pthread_mutex_unlock(&s->lock);
	if (e) {
		*ret = e;
		return 0;
	}

	r = open_entry(c, s, &o, hash, kind, ret);

	pthread_mutex_lock(&s->lock);
	list_remove(&o.link);
	pthread_mutex_unlock(&s->lock);
	return r;
}

int fdcache_add(struct fdcache *c, const struct handle *h, enum fd_kind kind, int fd,
		struct fdref **ret)
{
	uint64_t hash = handle_hash(h);
	struct shard *s = shard_of(c, hash);
	struct fdref *e, *fresh;

	fresh = entry_new(h, hash, kind, fd);
	if (!fresh) {
		close(fd);
		return -ENOMEM;
	}

	pthread_mutex_lock(&s->lock);
	e = settle(s, NULL, fresh);
	pthread_mutex_unlock(&s->lock);
	if (e != fresh) {
		close(fd);
		free(fresh);
	}

	if (ret)
		*ret = e;
	else
		fdref_put(e);
	return 0;
}

int fdref_fd(const struct fdref *r)
{
	return r->fd;
}

void fdref_put(struct fdref *r)
{
	struct shard *s;
	struct list retired;

	if (!r)
		return;

	s = r->shard;
	list_init(&retired);
	pthread_mutex_lock(&s->lock);
	if (--r->refs == 0) {
		if (r->stale) {
			list_append(&retired, &r->idle);
		} else {
			list_append(&s->idle, &r->idle);
			if (++s->idle_count > s->capacity)
				retire_idle(s, list_entry(s->idle.next, struct fdref, idle),
					    &retired);
		}
	}
	pthread_mutex_unlock(&s->lock);
	close_retired(s, &retired);
}

/* Is a descriptor of the file open, or about to be? */
static bool in_use(struct shard *s, const struct handle *h, uint64_t hash)
{
	for (struct fdref *e = *chain_of(s, hash); e; e = e->chain)
		if (entry_is(e, h, hash))
			return true;

	list_for_each (l, &s->openings)
		if (handle_equal(list_entry(l, struct opening, link)->handle, h))
			return true;
	return false;
}

bool fdcache_forget(struct fdcache *c, const struct handle *h)
{
	uint64_t hash = handle_hash(h);
	struct shard *s = shard_of(c, hash);
	struct list retired;

	list_init(&retired);
	pthread_mutex_lock(&s->lock);
	for (struct fdref *e = *chain_of(s, hash); e; e = e->chain) {
		if (e->stale || !entry_is(e, h, hash))
			continue;
		if (e->refs == 0)
			retire_idle(s, e, &retired);
		else
			e->stale = true;
	}
	list_for_each (l, &s->openings) {
		struct opening *o = list_entry(l, struct opening, link);

		if (handle_equal(o->handle, h))
			o->forgotten = true;
	}
	pthread_mutex_unlock(&s->lock);
	close_retired(s, &retired);

	LOCKED(&s->lock);
	return !in_use(s, h, hash);
}

size_t fdcache_open_count(struct fdcache *c)
{
	size_t n = 0;

	for (unsigned i = 0; i < c->shards; i++) {
		LOCKED(&c->shard[i].lock);
		n += c->shard[i].open_count;
	}
	return n;
}

static int shard_init(struct shard *s, size_t capacity)
{
	size_t chains = 64;

	while (chains < 2 * capacity)
		chains *= 2;
	s->chains = calloc(chains, sizeof(struct fdref *));
	if (!s->chains)
		return -ENOMEM;

	pthread_mutex_init(&s->lock, NULL);
	list_init(&s->idle);
	list_init(&s->openings);
	s->mask = chains - 1;
	s->capacity = capacity;
	return 0;
}

int fdcache_new(int mount_fd, size_t capacity, struct fdcache **ret)
{
	unsigned shards = 1;
	struct fdcache *c;

	if (capacity == 0)
		return -EINVAL;
	while (shards < SHARDS_MAX && capacity / (2 * shards) >= SHARD_CAPACITY)
		shards *= 2;

	c = aligned_alloc(64, sizeof *c + shards * sizeof c->shard[0]);
	if (!c)
		return -ENOMEM;

	c->mount_fd = mount_fd;
	c->find = NULL;
	c->find_data = NULL;
	for (c->shards = 0; c->shards < shards; c->shards++) {
		c->shard[c->shards] = (struct shard){0};
		if (shard_init(&c->shard[c->shards], capacity / shards) < 0) {
			fdcache_free(c);
			return -ENOMEM;
		}
	}
	*ret = c;
	return 0;
}

void fdcache_find_with(struct fdcache *c, fdcache_find find, void *data)
{
	c->find = find;
	c->find_data = data;
}

void fdcache_free(struct fdcache *c)
{
	if (!c)
		return;

	drop_idle(c);
	for (unsigned i = 0; i < c->shards; i++) {
		pthread_mutex_destroy(&c->shard[i].lock);
		free(c->shard[i].chains);
	}
	free(c);
}
