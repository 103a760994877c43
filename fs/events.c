/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/events.c - see fs/events.h. */
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "fs/events.h"

#define KEPT       512
#define JSON_LIMIT 60000 /* a value of an xattr is at most 64 KiB */

struct events {
	struct slate *slate;
	pthread_mutex_t lock; /* protects all below */
	uint64_t next;
	json_t *kept[KEPT]; /* event n lies at n % KEPT; NULL: it was not kept over a restart */
};

/* What the workers before us had to tell. */
static void restore(struct events *e)
{
	e->next = slate_event_last(e->slate) + 1;
	for (uint64_t seq = e->next > KEPT ? e->next - KEPT : 1; seq < e->next; seq++) {
		const char *text = slate_event(e->slate, seq);

		if (text)
			e->kept[seq % KEPT] = json_loads(text, 0, NULL);
	}
}

int events_new(struct slate *slate, struct events **ret)
{
	struct events *e = calloc(1, sizeof *e);

	if (!e)
		return -ENOMEM;
	pthread_mutex_init(&e->lock, NULL);
	e->slate = slate;
	restore(e);
	*ret = e;
	return 0;
}

void events_free(struct events *e)
{
	if (!e)
		return;
	for (size_t i = 0; i < KEPT; i++)
		json_decref(e->kept[i]);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

static void time_text(char ret[40])
{
	struct timespec now;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(ret, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret + n, 40 - n, ".%03ldZ", now.tv_nsec / 1000000);
}

/* Names may be no UTF-8; JSON must be. */
static json_t *text(const char *s)
{
	json_t *j = json_string(s);
	char clean[4096];
	size_t n = 0;

	if (j)
		return j;
	for (; *s && n < sizeof clean - 1; s++)
		clean[n++] = (unsigned char)*s < 0x80 ? *s : '?';
	clean[n] = 0;
	return json_string(clean);
}

static void keep(struct events *e, json_t *event)
{
	_cleanup_(freep) char *line = NULL;

	LOCKED(&e->lock);
	json_object_set_new(event, "seq", json_integer((json_int_t)e->next));
	line = json_dumps(event, JSON_COMPACT);
	if (line)
		slate_event_put(e->slate, e->next, line);
	json_decref(e->kept[e->next % KEPT]);
	e->kept[e->next % KEPT] = event;
	e->next++;
}

void event_emit(struct fs *fs, const char *name, struct node *node, const char *policy,
		const char *format, ...)
{
	char sentence[512], path[4096] = "", when[40];
	json_t *event = json_object();
	va_list ap;

	va_start(ap, format);
	vsnprintf(sentence, sizeof sentence, format, ap);
	va_end(ap);
	if (node)
		node_path(fs->nodes, node, path, sizeof path);
	log_debug("%s: %s%s%s", name, path, *path ? ": " : "", sentence);
	if (!event)
		return;
	time_text(when);
	json_object_set_new(event, "time", json_string(when));
	json_object_set_new(event, "event", json_string(name));
	if (*path)
		json_object_set_new(event, "path", text(path));
	if (policy)
		json_object_set_new(event, "policy", text(policy));
	json_object_set_new(event, "text", text(sentence));
	keep(fs->events, event);
}

char *events_json(struct events *e, uint64_t after)
{
	json_t *list = json_array();
	char *out;
	size_t size = 0;

	pthread_mutex_lock(&e->lock);
	for (uint64_t seq = MAX(after + 1, e->next > KEPT ? e->next - KEPT : 1); seq < e->next;
	     seq++) {
		char *one;

		if (!e->kept[seq % KEPT])
			continue;
		one = json_dumps(e->kept[seq % KEPT], JSON_COMPACT);
		size += one ? strlen(one) + 1 : 0;
		free(one);
		if (size > JSON_LIMIT)
			break;
		json_array_append_new(list, json_deep_copy(e->kept[seq % KEPT]));
	}
	pthread_mutex_unlock(&e->lock);
	out = json_dumps(list, JSON_COMPACT);
	json_decref(list);
	return out;
}
