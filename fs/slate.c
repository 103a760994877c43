/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/slate.c - see fs/slate.h. */
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/cleanup.h"
#include "fs/slate.h"

/* The memory that will be shared: only fixed-size fields. */
struct slate_memory {
	uint64_t magic;
	uint32_t version;
	uint32_t threads, nodes, opens; /* how many slots of each this layout has */
	struct slate_thread thread[SLATE_THREADS];
	struct slate_node node[SLATE_NODES];
	struct slate_open open[SLATE_OPENS];
};

/* Node slots form a ring: [tail, head) are in use, in the order of their promises, so the order
 * of two changes of one node is kept.  [tail, taken) are being committed. */
struct slate {
	struct slate_memory *memory;
	pthread_mutex_t lock; /* protects all below, and allocation of slots */
	pthread_cond_t space;
	uint64_t head, taken, tail;
	uint32_t open_hint; /* where to look for a free open slot first */
};

int slate_new(struct slate **ret)
{
	_cleanup_(freep) struct slate *s = calloc(1, sizeof *s);

	if (!s)
		return -ENOMEM;
	s->memory = mmap(NULL, sizeof *s->memory, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s->memory == MAP_FAILED)
		return -ENOMEM;
	s->memory->magic = SLATE_MAGIC;
	s->memory->version = SLATE_VERSION;
	s->memory->threads = SLATE_THREADS;
	s->memory->nodes = SLATE_NODES;
	s->memory->opens = SLATE_OPENS;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->space, NULL);
	*ret = TAKE_PTR(s);
	return 0;
}

void slate_free(struct slate *s)
{
	if (!s)
		return;
	munmap(s->memory, sizeof *s->memory);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->space);
	free(s);
}

struct slate_thread *slate_thread(struct slate *s, unsigned index)
{
	return &s->memory->thread[index % SLATE_THREADS];
}

static void copy_name(char to[256], const char *name)
{
	size_t n = name ? strnlen(name, 255) : 0;

	if (n)
		memcpy(to, name, n);
	to[n] = 0;
}

void slate_begin(struct slate_thread *t, uint64_t dir, const char *name, uint64_t dir2,
		 const char *name2)
{
	t->node = dir;
	t->node2 = dir2;
	t->before.len = t->before2.len = 0;
	copy_name(t->name, name);
	copy_name(t->name2, name2);
}

void slate_outcome(struct slate_thread *t, int r)
{
	t->outcome = r;
	t->state = SLATE_DONE;
}

static struct slate_node *node_slot(struct slate *s, uint64_t n)
{
	return &s->memory->node[n % SLATE_NODES];
}

/* Under the lock, which is let go meanwhile.  False: give up. */
static bool wait_for_space(struct slate *s, bool (*full)(void *data), void *data)
{
	struct timespec until;
	bool hope;

	pthread_mutex_unlock(&s->lock);
	hope = full(data);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	pthread_mutex_lock(&s->lock);
	if (hope && s->head - s->tail == SLATE_NODES)
		pthread_cond_timedwait(&s->space, &s->lock, &until);
	return hope;
}

bool slate_node_put(struct slate *s, const struct catalog_node *node, bool gone,
		    bool (*full)(void *data), void *data)
{
	struct slate_node *slot;

	LOCKED(&s->lock);
	while (s->head - s->tail == SLATE_NODES)
		if (!wait_for_space(s, full, data))
			return false;
	slot = node_slot(s, s->head);
	slot->node = *node;
	if (gone)
		slot->node.handle.len = 0;
	slot->state = gone ? SLATE_NODE_GONE : SLATE_NODE_NEW;
	s->head++;
	return true;
}

void slate_node_take(struct slate *s, struct catalog_node *nodes, uint32_t *slots, size_t max,
		     size_t *ret_n)
{
	size_t n = 0;

	LOCKED(&s->lock);
	while (n < max && s->taken < s->head) {
		nodes[n] = node_slot(s, s->taken)->node;
		slots[n] = (uint32_t)(s->taken % SLATE_NODES);
		s->taken++;
		n++;
	}
	*ret_n = n;
}

void slate_node_committed(struct slate *s, const uint32_t *slots, size_t n)
{
	LOCKED(&s->lock);
	for (size_t i = 0; i < n; i++)
		s->memory->node[slots[i]].state = SLATE_NODE_FREE;
	s->tail += n; /* one committer, so they are the oldest */
	pthread_cond_broadcast(&s->space);
}

size_t slate_node_count(struct slate *s)
{
	LOCKED(&s->lock);
	return s->head - s->taken;
}

int slate_open_new(struct slate *s, uint64_t node, uint32_t *ret)
{
	LOCKED(&s->lock);
	for (uint32_t tried = 0; tried < SLATE_OPENS; tried++) {
		uint32_t i = (s->open_hint + tried) % SLATE_OPENS;

		if (s->memory->open[i].node)
			continue;
		s->memory->open[i] = (struct slate_open){.node = node};
		s->open_hint = i + 1;
		*ret = i;
		return 0;
	}
	return -ENFILE;
}

struct slate_open *slate_open_at(struct slate *s, uint32_t index)
{
	return &s->memory->open[index];
}

void slate_open_free(struct slate *s, uint32_t index)
{
	LOCKED(&s->lock);
	s->memory->open[index] = (struct slate_open){0};
	s->open_hint = index;
}

size_t slate_open_list(struct slate *s, uint64_t *nodes, size_t max)
{
	size_t n = 0;

	LOCKED(&s->lock);
	for (uint32_t i = 0; i < SLATE_OPENS && n < max; i++)
		if (s->memory->open[i].node)
			nodes[n++] = s->memory->open[i].node;
	return n;
}
