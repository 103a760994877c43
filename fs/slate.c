/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/slate.c - see fs/slate.h: the memory itself, requests, INIT, epitaphs. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/cleanup.h"
#include "fs/slate_memory.h"

/* A verdict is the phase in the lowest byte, a check in the next three, the outcome above. */
#define VERDICT_CHECK 0x9e37u

static size_t memory_size(void)
{
	return (sizeof(struct slate_memory) + 4095) & ~(size_t)4095;
}

uint64_t slate_sum(uint64_t seed, const void *data, size_t size)
{
	const uint8_t *p = data;
	uint64_t sum = seed ^ 0x9e3779b97f4a7c15ull, word;

	for (; size >= 8; p += 8, size -= 8) {
		memcpy(&word, p, 8);
		sum = (sum ^ word) * 0xff51afd7ed558ccdull;
		sum ^= sum >> 32;
	}
	if (size) {
		word = size;
		memcpy((uint8_t *)&word + 1, p, size);
		sum = (sum ^ word) * 0xff51afd7ed558ccdull;
		sum ^= sum >> 32;
	}
	return sum | 1; /* never 0: that is what empty memory has */
}

/* ---- life -------------------------------------------------------------------------------- */

static uint64_t header_sum(const struct slate_memory *m)
{
	return slate_sum(1, m, offsetof(struct slate_memory, sum));
}

static void make_header(struct slate_memory *m)
{
	m->version = SLATE_VERSION;
	m->requests = SLATE_REQUESTS;
	m->nodes = SLATE_NODES;
	m->opens = SLATE_OPENS;
	m->epitaphs = SLATE_EPITAPHS;
	m->blames = SLATE_BLAMES;
	m->events = SLATE_EVENTS;
	m->size = memory_size();
	m->magic = SLATE_MAGIC;
	m->sum = header_sum(m);
}

/* A worker that died while it made the header was killed before anything else was written. */
static bool is_empty(const struct slate_memory *m)
{
	return m->sum == 0 && m->head == 0;
}

static int check_header(const struct slate_memory *m)
{
	if (m->magic != SLATE_MAGIC)
		return -EUCLEAN;
	if (m->version != SLATE_VERSION)
		return -EPROTO;
	if (m->sum != header_sum(m))
		return -EUCLEAN;
	if (m->requests != SLATE_REQUESTS || m->nodes != SLATE_NODES || m->opens != SLATE_OPENS ||
	    m->epitaphs != SLATE_EPITAPHS || m->blames != SLATE_BLAMES ||
	    m->events != SLATE_EVENTS || m->size != memory_size())
		return -EPROTO;
	return m->head - m->tail <= SLATE_NODES ? 0 : -EUCLEAN;
}

/* The size never changes again, so no access to the mapping can meet its end; and no worker, not
 * even one that was taken over, can leave the next ones a slate that they cannot map. */
static int map_file(int memfd, struct slate_memory **ret)
{
	struct stat st;

	if (fstat(memfd, &st) < 0)
		return -errno;
	if (st.st_size == 0 && ftruncate(memfd, (off_t)memory_size()) < 0)
		return -errno;
	if (st.st_size && (size_t)st.st_size != memory_size())
		return -EPROTO;
	/* EPERM: it is sealed already, or was made without the wish for it (tests). */
	if (fcntl(memfd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0 &&
	    errno != EPERM && errno != EINVAL)
		return -errno;
	*ret = mmap(NULL, memory_size(), PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	return *ret == MAP_FAILED ? -errno : 0;
}

static int map_private(struct slate_memory **ret)
{
	*ret = mmap(NULL, memory_size(), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return *ret == MAP_FAILED ? -ENOMEM : 0;
}

static bool is_leftover(const struct slate_request *q)
{
	return slate_phase(q, NULL) != SLATE_NOTHING || slate_counted(q, NULL);
}

/* What the threads of a dead worker left: records to adopt, the rest is free. */
static void keep_records(struct slate *s)
{
	slate_settle_counts(s);
	slate_settle_nodes(s);
	for (unsigned i = 0; i < SLATE_REQUESTS; i++) {
		struct slate_request *q = slate_request_at(s, i);

		q->state = SLATE_IDLE;
		if (is_leftover(q))
			s->leftovers++;
		else
			slate_clear(q);
	}
}

int slate_new(int memfd, struct slate **ret, bool *ret_resumed)
{
	_cleanup_(freep) struct slate *s = calloc(1, sizeof *s);
	pthread_condattr_t monotonic;
	bool resumed;
	int r;

	if (!s)
		return -ENOMEM;
	r = memfd < 0 ? map_private(&s->memory) : map_file(memfd, &s->memory);
	if (r < 0)
		return r;
	resumed = !is_empty(s->memory);
	if (!resumed)
		make_header(s->memory);
	r = check_header(s->memory);
	if (r < 0) {
		munmap(s->memory, memory_size());
		return r;
	}
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->space, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (resumed)
		keep_records(s);
	if (ret_resumed)
		*ret_resumed = resumed;
	*ret = TAKE_PTR(s);
	return 0;
}

void slate_free(struct slate *s)
{
	if (!s)
		return;
	munmap(s->memory, memory_size());
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->space);
	free(s);
}

uint32_t slate_version(void)
{
	return SLATE_VERSION;
}

/* ---- request slots ----------------------------------------------------------------------- */

struct slate_request *slate_request_at(struct slate *s, unsigned index)
{
	return &s->memory->request[index];
}

/* Under the lock. */
static struct slate_request *find_free(struct slate *s)
{
	for (unsigned i = 0; i < SLATE_REQUESTS; i++) {
		struct slate_request *q = slate_request_at(s, i);

		if (!s->in_use[i] && !is_leftover(q)) {
			s->in_use[i] = true;
			return q;
		}
	}
	return NULL;
}

/* Under the lock.  Hundreds of records were left, each by a thread that was killed between its
 * reply and the end of it: the oldest has been answered long ago. */
static void drop_oldest(struct slate *s)
{
	struct slate_request *oldest = NULL;

	for (unsigned i = 0; i < SLATE_REQUESTS; i++) {
		struct slate_request *q = slate_request_at(s, i);

		if (!s->in_use[i] && (!oldest || q->since_ns < oldest->since_ns))
			oldest = q;
	}
	if (oldest) {
		slate_clear(oldest);
		s->leftovers--;
	}
}

struct slate_request *slate_request_take(struct slate *s)
{
	struct slate_request *q;

	LOCKED(&s->lock);
	q = find_free(s);
	if (!q) {
		drop_oldest(s);
		q = find_free(s);
	}
	return q;
}

void slate_request_put(struct slate *s, struct slate_request *q)
{
	if (!q)
		return;
	slate_clear(q);
	LOCKED(&s->lock);
	s->in_use[q - s->memory->request] = false;
}

struct slate_request *slate_adopt(struct slate *s, uint64_t unique)
{
	LOCKED(&s->lock);
	for (unsigned i = 0; s->leftovers && i < SLATE_REQUESTS; i++) {
		struct slate_request *q = slate_request_at(s, i);

		if (s->in_use[i] || q->unique != unique || !is_leftover(q))
			continue;
		s->in_use[i] = true;
		s->leftovers--;
		return q;
	}
	return NULL;
}

void slate_clear(struct slate_request *q)
{
	if (q->verdict)
		q->verdict = 0;
	if (q->count)
		q->count = 0;
	q->unique = 0;
}

/* ---- records ----------------------------------------------------------------------------- */

static void copy_name(char to[256], const char *name)
{
	size_t n = name ? strnlen(name, 255) : 0;

	if (n)
		memcpy(to, name, n);
	memset(to + n, 0, 8 - n % 8); /* what the sum reads of it */
}

void slate_names(struct slate_request *q, uint64_t dir, const char *name, uint64_t dir2,
		 const char *name2)
{
	struct slate_record *r = &q->record;

	r->node = dir;
	r->node2 = dir2;
	r->before = r->before2 = (struct handle){0};
	r->links = r->mode = r->flags = r->zero = 0;
	copy_name(r->name, name);
	copy_name(r->name2, name2);
}

/* Names count up to their ends only: most are short. */
static uint64_t record_sum(const struct slate_record *r)
{
	uint64_t sum = slate_sum(2, r, offsetof(struct slate_record, name));

	sum = slate_sum(sum, r->name, strnlen(r->name, 255));
	return slate_sum(sum, r->name2, strnlen(r->name2, 255));
}

static uint64_t verdict_of(enum slate_phase phase, int outcome)
{
	uint32_t check = (uint32_t)(((uint32_t)outcome ^ phase) * VERDICT_CHECK) & 0xffffff;

	return phase | (uint64_t)check << 8 | (uint64_t)(uint32_t)outcome << 32;
}

void slate_begin(struct slate_request *q)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	q->record.begun_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	q->record.sum = record_sum(&q->record);
	q->verdict = verdict_of(SLATE_BEGUN, 0);
}

void slate_outcome(struct slate_request *q, int r)
{
	q->verdict = verdict_of(SLATE_DONE, r);
}

enum slate_phase slate_phase(const struct slate_request *q, int *ret_outcome)
{
	uint64_t verdict = q->verdict;
	enum slate_phase phase = verdict & 0xff;
	int outcome = (int)(uint32_t)(verdict >> 32);

	if (verdict == 0 || phase > SLATE_DONE || verdict != verdict_of(phase, outcome) ||
	    q->record.sum != record_sum(&q->record))
		return SLATE_NOTHING;
	if (ret_outcome)
		*ret_outcome = outcome;
	return phase;
}

/* ---- epitaphs ---------------------------------------------------------------------------- */

static struct slate_epitaph *epitaph_slot(struct slate *s, uint64_t node)
{
	return &s->memory->epitaph[(node * 0x9e3779b97f4a7c15ull >> 32) % SLATE_EPITAPHS];
}

static uint64_t epitaph_sum(const struct slate_epitaph *e)
{
	return slate_sum(e->node, &e->st, sizeof e->st);
}

void slate_bury(struct slate *s, uint64_t node, const struct stat *st)
{
	struct slate_epitaph *e = epitaph_slot(s, node);

	LOCKED(&s->lock);
	e->sum = 0;
	e->node = node;
	e->st = *st;
	e->sum = epitaph_sum(e);
}

bool slate_epitaph(struct slate *s, uint64_t node, struct stat *ret)
{
	const struct slate_epitaph *e = epitaph_slot(s, node);

	LOCKED(&s->lock);
	if (e->node != node || e->sum != epitaph_sum(e))
		return false;
	*ret = e->st;
	return true;
}

struct slate_blame *slate_blame_at(struct slate *s, unsigned index)
{
	return &s->memory->blame[index];
}

/* ---- events ------------------------------------------------------------------------------ */

static uint64_t event_sum(const struct slate_event *e)
{
	return slate_sum(e->seq, e->text, strnlen(e->text, SLATE_EVENT_MAX));
}

void slate_event_put(struct slate *s, uint64_t seq, const char *text)
{
	struct slate_event *e = &s->memory->event[seq % SLATE_EVENTS];
	size_t n = strlen(text);

	e->sum = 0;
	if (n > SLATE_EVENT_MAX)
		return;
	memcpy(e->text, text, n + 1);
	e->seq = seq;
	e->sum = event_sum(e);
}

const char *slate_event(struct slate *s, uint64_t seq)
{
	const struct slate_event *e = &s->memory->event[seq % SLATE_EVENTS];

	return seq && e->seq == seq && e->sum == event_sum(e) ? e->text : NULL;
}

uint64_t slate_event_last(struct slate *s)
{
	uint64_t last = 0;

	for (unsigned i = 0; i < SLATE_EVENTS; i++)
		if (slate_event(s, s->memory->event[i].seq))
			last = MAX(last, s->memory->event[i].seq);
	return last;
}

/* ---- INIT -------------------------------------------------------------------------------- */

bool slate_init_get(struct slate *s, struct slate_init *ret)
{
	const struct slate_memory *m = s->memory;

	if (m->init_sum != slate_sum(3, &m->init, sizeof m->init) || m->init.in_size == 0 ||
	    m->init.in_size > SLATE_INIT_MAX || m->init.out_size > SLATE_INIT_MAX)
		return false;
	*ret = m->init;
	return true;
}

int slate_init_set(struct slate *s, const void *in, size_t in_size, const void *out,
		   size_t out_size)
{
	struct slate_memory *m = s->memory;

	if (in_size > SLATE_INIT_MAX || out_size > SLATE_INIT_MAX)
		return -EMSGSIZE;
	m->init_sum = 0;
	m->init = (struct slate_init){.in_size = (uint32_t)in_size, .out_size = (uint32_t)out_size};
	memcpy(m->init.in, in, in_size);
	memcpy(m->init.out, out, out_size);
	atomic_thread_fence(memory_order_release);
	m->init_sum = slate_sum(3, &m->init, sizeof m->init);
	return 0;
}
