/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/watchdog.c - see fs/watchdog.h. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "fs/disk.h"
#include "fs/events.h"
#include "fs/opcode.h"
#include "fs/status.h"
#include "fs/watchdog.h"

#define SECOND 1000000000ull
#define DISKS  64 /* whose queues are told at once */

/* What is watched: a thread's request, or (thread 0) the queue of a disk. */
struct watched {
	uint64_t node;
	uint64_t since_ns; /* 0: nothing */
	uint64_t next;	   /* the age at which it is told again; 0: it was not told */
	uint64_t age;
	uint32_t opcode;
	int32_t thread;
	const char *stage;
};

struct watchdog {
	struct fs *fs;
	uint64_t limit_ns;
	pthread_t thread;
	pthread_mutex_t lock; /* protects all below, but only the watching thread writes it */
	pthread_cond_t ending;
	bool stop;
	unsigned busy;
	struct watched threads[SLATE_THREADS];
	struct watched disks[DISKS];
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

bool watchdog_due(uint64_t age, uint64_t limit, uint64_t *next)
{
	if (age < limit || (*next && age < *next))
		return false;
	*next = 2 * MAX(age, limit);
	return true;
}

/* ---- telling ----------------------------------------------------------------------------- */

/* One of the kernel's files about a thread of ours, on one line; "?" when it may not be read. */
static void about_thread(int32_t thread, const char *file, char *ret, size_t size)
{
	char path[64];
	_cleanup_(closep) int fd = -1;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/self/task/%d/%s", (int)thread, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, ret, size - 1);
	if (n <= 0) {
		snprintf(ret, size, "?");
		return;
	}
	ret[n] = 0;
	for (char *p = ret; *p; p++)
		if (*p == '\n')
			*p = p[1] ? ';' : 0;
}

static void path_of(struct fs *fs, uint64_t id, struct node_scope *at, char *ret, size_t size)
{
	snprintf(ret, size, "?");
	if (nodes_get(fs->nodes, id, &at->node) == 0)
		node_path(fs->nodes, at->node, ret, size);
	else
		at->node = NULL;
}

static unsigned threads_on(const struct watchdog *w, uint64_t node)
{
	unsigned n = 0;

	for (size_t i = 0; i < SLATE_THREADS; i++)
		n += w->threads[i].since_ns && w->threads[i].node == node;
	return n;
}

static void tell_thread(struct watchdog *w, const struct watched *it)
{
	char path[4096], wait[64], call[160], stack[512];
	const char *stage = it->stage ? it->stage : "none";
	_node_ at = {.fs = w->fs};

	path_of(w->fs, it->node, &at, path, sizeof path);
	about_thread(it->thread, "wchan", wait, sizeof wait);
	about_thread(it->thread, "syscall", call, sizeof call);
	about_thread(it->thread, "stack", stack, sizeof stack);
	log_warning("slow: %s of %s is under way for %llu s (stage %s, thread %d, kernel function "
		    "%s, system call %s, stack %s); %u of %u busy threads work on this file",
		    opcode_name(it->opcode), path, (unsigned long long)(it->age / SECOND), stage,
		    (int)it->thread, wait, call, stack, threads_on(w, it->node), w->busy);
	event_emit(w->fs, "request-slow", at.node, NULL,
		   "%s is under way for %llu s (stage %s, waits in %s)", opcode_name(it->opcode),
		   (unsigned long long)(it->age / SECOND), stage, wait);
}

static void tell_queue(struct watchdog *w, const struct watched *it)
{
	_node_ at = {.fs = w->fs};
	char path[4096];

	path_of(w->fs, it->node, &at, path, sizeof path);
	log_warning("slow: a request of %s waits for %llu s for a thread or for those before it",
		    path, (unsigned long long)(it->age / SECOND));
	event_emit(w->fs, "request-slow", at.node, NULL, "a request waits in the queue for %llu s",
		   (unsigned long long)(it->age / SECOND));
}

static void tell(struct watchdog *w, const struct watched *it)
{
	if (it->thread)
		tell_thread(w, it);
	else
		tell_queue(w, it);
}

static void tell_end(struct watchdog *w, const struct watched *it)
{
	const char *what = it->thread ? opcode_name(it->opcode) : "a request in the queue";
	_node_ at = {.fs = w->fs};
	char path[4096];

	path_of(w->fs, it->node, &at, path, sizeof path);
	log_notice("slow: %s of %s has ended, after about %llu s", what, path,
		   (unsigned long long)(it->age / SECOND));
	event_emit(w->fs, "request-slow", at.node, NULL, "%s has ended after about %llu s", what,
		   (unsigned long long)(it->age / SECOND));
}

/* ---- watching ---------------------------------------------------------------------------- */

/* A request is told apart by when it began: the node of a status changes with what it looks at. */
static bool is_same(const struct watched *it, const struct session_view *v)
{
	return v->since_ns && it->since_ns == v->since_ns && it->opcode == v->opcode;
}

static void set(struct watchdog *w, struct watched *it, struct watched to)
{
	LOCKED(&w->lock);
	*it = to;
}

static void watch_thread(struct watchdog *w, unsigned i, uint64_t now)
{
	struct watched old = w->threads[i], new = {0};
	struct session_view v = {0};

	session_look(w->fs->session, i, &v);
	if (v.since_ns)
		new = (struct watched){.node = v.node, .since_ns = v.since_ns,
				       .next = is_same(&old, &v) ? old.next : 0,
				       .age = now > v.since_ns ? now - v.since_ns : 0,
				       .opcode = v.opcode, .thread = v.thread, .stage = v.stage};
	set(w, &w->threads[i], new);
	if (old.next && !is_same(&old, &v))
		tell_end(w, &old);
}

static void tell_threads(struct watchdog *w)
{
	for (unsigned i = 0; i < SLATE_THREADS; i++) {
		struct watched it = w->threads[i];

		if (!it.since_ns || !watchdog_due(it.age, w->limit_ns, &it.next))
			continue;
		tell(w, &it);
		set(w, &w->threads[i], it);
	}
}

static struct watched *disk_place(struct watchdog *w, uint64_t node)
{
	struct watched *free_one = NULL;

	for (size_t i = 0; i < DISKS; i++) {
		if (w->disks[i].since_ns && w->disks[i].node == node)
			return &w->disks[i];
		if (!w->disks[i].since_ns)
			free_one = &w->disks[i];
	}
	return free_one;
}

/* A queue is slow because of what holds a thread, nearly always: that was told. */
static bool is_told(const struct watchdog *w, uint64_t node)
{
	for (size_t i = 0; i < SLATE_THREADS; i++)
		if (w->threads[i].node == node && w->threads[i].next)
			return true;
	return false;
}

static void watch_disk(struct watchdog *w, const struct disk_view *v, uint64_t now)
{
	struct watched *place = is_told(w, v->node) ? NULL : disk_place(w, v->node), it;

	if (!place)
		return;
	it = *place;
	it.node = v->node;
	it.since_ns = now;
	it.age = v->oldest_ns;
	if (watchdog_due(it.age, w->limit_ns, &it.next))
		tell(w, &it);
	set(w, place, it);
}

static void watch_disks(struct watchdog *w, uint64_t now)
{
	struct disk_view old[DISKS];
	size_t n = disk_list_old(w->fs->disks, w->limit_ns, old, DISKS);

	for (size_t i = 0; i < n; i++)
		watch_disk(w, &old[i], now);
	for (size_t i = 0; i < DISKS; i++) {
		struct watched it = w->disks[i];

		if (!it.since_ns || it.since_ns == now)
			continue;
		set(w, &w->disks[i], (struct watched){0});
		tell_end(w, &it);
	}
}

static void look(struct watchdog *w)
{
	uint64_t now = now_ns();
	unsigned busy = 0;

	for (unsigned i = 0; i < SLATE_THREADS; i++) {
		watch_thread(w, i, now);
		busy += w->threads[i].since_ns != 0;
	}
	pthread_mutex_lock(&w->lock);
	w->busy = busy;
	pthread_mutex_unlock(&w->lock);
	tell_threads(w);
	watch_disks(w, now);
}

static bool wait_a_second(struct watchdog *w)
{
	struct timespec until;

	LOCKED(&w->lock);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec++;
	while (!w->stop)
		if (pthread_cond_timedwait(&w->ending, &w->lock, &until) == ETIMEDOUT)
			return true;
	return false;
}

static void *watch(void *data)
{
	struct watchdog *w = data;

	pthread_setname_np(pthread_self(), "weir-watchdog");
	while (wait_a_second(w))
		look(w);
	return NULL;
}

/* ---- life -------------------------------------------------------------------------------- */

int watchdog_new(struct fs *fs, struct watchdog **ret)
{
	pthread_condattr_t attributes;
	struct watchdog *w;
	int r;

	*ret = NULL;
	if (!fs->options.watchdog)
		return 0;
	w = calloc(1, sizeof *w);
	if (!w)
		return -ENOMEM;
	w->fs = fs;
	w->limit_ns = fs->options.watchdog * SECOND;
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&w->ending, &attributes);
	pthread_condattr_destroy(&attributes);
	r = pthread_create(&w->thread, NULL, watch, w);
	if (r) {
		free(w);
		return -r;
	}
	*ret = w;
	return 0;
}

void watchdog_free(struct watchdog *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->ending);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->ending);
	free(w);
}

/* ---- status ------------------------------------------------------------------------------ */

static size_t copy_slow(struct watchdog *w, uint64_t node, struct watched *ret)
{
	size_t n = 0;

	LOCKED(&w->lock);
	for (size_t i = 0; i < SLATE_THREADS + DISKS; i++) {
		const struct watched *it =
			i < SLATE_THREADS ? &w->threads[i] : &w->disks[i - SLATE_THREADS];

		if (it->next && (!node || it->node == node))
			ret[n++] = *it;
	}
	return n;
}

static json_t *slow_json(struct watchdog *w, const struct watched *it)
{
	_node_ at = {.fs = w->fs};
	json_t *j = json_object();
	char path[4096];

	path_of(w->fs, it->node, &at, path, sizeof path);
	json_object_set_new(j, "path", status_text(path));
	json_object_set_new(j, "operation",
			    json_string(it->thread ? opcode_name(it->opcode) : "queued"));
	json_object_set_new(j, "seconds", json_integer((json_int_t)(it->age / SECOND)));
	if (it->stage)
		json_object_set_new(j, "stage", json_string(it->stage));
	if (it->thread)
		json_object_set_new(j, "thread", json_integer(it->thread));
	return j;
}

json_t *watchdog_slow(struct watchdog *w, uint64_t node)
{
	struct watched slow[SLATE_THREADS + DISKS];
	size_t n = w ? copy_slow(w, node, slow) : 0;
	json_t *list = n ? json_array() : NULL;

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, slow_json(w, &slow[i]));
	return list;
}

unsigned watchdog_busy(struct watchdog *w)
{
	if (!w)
		return 0;
	LOCKED(&w->lock);
	return w->busy;
}
