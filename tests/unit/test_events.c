/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ring of events: numbers only grow, who follows misses nothing that is kept, and whatever a
 * name holds, the answer is JSON of at most 64 KiB. */
#include <jansson.h>
#include <pthread.h>

#include "base/cleanup.h"
#include "fs/events.h"
#include "tests/unit/nodes_rig.h"

#define KEPT 512

static json_t *after(struct fs *fs, uint64_t seq)
{
	char *text = events_json(fs->events, seq);
	json_t *list;

	check(text && strlen(text) < 65536);
	list = json_loads(text, 0, NULL);
	check(json_is_array(list));
	free(text);
	return list;
}

static json_int_t seq_at(const json_t *list, size_t i)
{
	return json_integer_value(json_object_get(json_array_get(list, i), "seq"));
}

static const char *text_at(const json_t *list, size_t i, const char *key)
{
	return json_string_value(json_object_get(json_array_get(list, i), key));
}

static void few(struct fs *fs)
{
	json_t *list = after(fs, 0);

	check(json_array_size(list) == 0);
	json_decref(list);
	event_emit(fs, "mounted", NULL, NULL, "the datastore is %s", "mounted");
	event_emit(fs, "policy-applied", NULL, "gold", "two");
	list = after(fs, 0);
	check(json_array_size(list) == 2 && seq_at(list, 0) == 1 && seq_at(list, 1) == 2);
	check(!strcmp(text_at(list, 0, "event"), "mounted"));
	check(!strcmp(text_at(list, 0, "text"), "the datastore is mounted"));
	check(!text_at(list, 0, "path") && !text_at(list, 0, "policy"));
	check(!strcmp(text_at(list, 1, "policy"), "gold"));
	check(strlen(text_at(list, 0, "time")) == strlen("2026-11-22T05:28:27.123Z"));
	json_decref(list);
	list = after(fs, 1);
	check(json_array_size(list) == 1 && seq_at(list, 0) == 2);
	json_decref(list);
	list = after(fs, 2);
	check(json_array_size(list) == 0);
	json_decref(list);
	list = after(fs, 1000);
	check(json_array_size(list) == 0);
	json_decref(list);
}

static void names(struct fs *fs, struct nodes_rig *rig)
{
	struct node *node = nodes_rig_find(rig, 10);
	json_t *list;

	node_moved(rig->nodes, node, NODE_ROOT, "a\n\"\\\xff.vmdk");
	event_emit(fs, "disk-problem", node, NULL, "%s", "not \xff text");
	list = after(fs, 2);
	check(json_array_size(list) == 1);
	check(!strcmp(text_at(list, 0, "path"), "a\n\"\\?.vmdk"));
	check(!strcmp(text_at(list, 0, "text"), "not ? text"));
	json_decref(list);
	node_unref(rig->nodes, node);
}

/* Follow as `weir events --follow` does, from before the oldest that is kept. */
static void around(struct fs *fs)
{
	json_int_t next;
	json_t *list;

	for (int i = 0; i < 3 * KEPT; i++)
		event_emit(fs, "mounted", NULL, NULL, "%d", i);
	list = after(fs, 0);
	next = seq_at(list, 0);
	json_decref(list);
	check(next == 3 + 3 * KEPT - KEPT + 1);
	for (int seen = 0; seen < KEPT;) {
		list = after(fs, (uint64_t)next - 1);
		check(json_array_size(list) > 0);
		for (size_t i = 0; i < json_array_size(list); i++, seen++)
			check(seq_at(list, i) == next++);
		json_decref(list);
	}
	list = after(fs, (uint64_t)next - 1);
	check(json_array_size(list) == 0);
	json_decref(list);
}

/* Sentences so long that all of them do not fit into one answer. */
static void too_much_for_one_answer(struct fs *fs)
{
	char sentence[500];
	json_t *list;
	json_int_t first;

	memset(sentence, 1, sizeof sentence); /* each becomes \u0001 */
	sentence[499] = 0;
	for (int i = 0; i < KEPT; i++)
		event_emit(fs, "mounted", NULL, NULL, "%s", sentence);
	list = after(fs, 0);
	check(json_array_size(list) > 0 && json_array_size(list) < KEPT);
	first = seq_at(list, json_array_size(list) - 1);
	json_decref(list);
	list = after(fs, (uint64_t)first);
	check(seq_at(list, 0) == first + 1);
	json_decref(list);
}

static void *emit(void *data)
{
	for (int i = 0; i < 1000; i++)
		event_emit(data, "mounted", NULL, "p", "%d", i);
	return NULL;
}

static void threads(struct fs *fs)
{
	pthread_t thread[4];
	json_t *list;

	for (size_t i = 0; i < ARRAY_SIZE(thread); i++)
		check(!pthread_create(&thread[i], NULL, emit, fs));
	for (int i = 0; i < 100; i++) {
		list = after(fs, 0);
		for (size_t k = 1; k < json_array_size(list); k++)
			check(seq_at(list, k) == seq_at(list, k - 1) + 1);
		json_decref(list);
	}
	for (size_t i = 0; i < ARRAY_SIZE(thread); i++)
		check(!pthread_join(thread[i], NULL));
}

/* A worker that goes on has the newest of what the one before had to tell, and goes on counting. */
static void next_worker(struct fs *fs)
{
	struct events *old = fs->events;
	json_t *before = after(fs, 0), *now;
	json_int_t last = seq_at(before, json_array_size(before) - 1);

	check(events_new(fs->slate, &fs->events) == 0);
	now = after(fs, 0);
	check(seq_at(now, json_array_size(now) - 1) == last && json_array_size(now) > 100);
	event_emit(fs, "mounted", NULL, NULL, "again");
	json_decref(now);
	now = after(fs, (uint64_t)last);
	check(json_array_size(now) == 1 && seq_at(now, 0) == last + 1);
	json_decref(now);
	json_decref(before);
	events_free(old);
}

static void test(const char *dir)
{
	struct fs fs = {0};
	struct nodes_rig rig;

	nodes_rig_begin(&rig, rig_create(dir));
	fs.nodes = rig.nodes;
	fs.slate = rig.slate;
	check(events_new(fs.slate, &fs.events) == 0);
	few(&fs);
	names(&fs, &rig);
	around(&fs);
	too_much_for_one_answer(&fs);
	threads(&fs);
	next_worker(&fs);
	events_free(fs.events);
	events_free(NULL);
	nodes_rig_end(&rig);
}

int main(void)
{
	return scratch_run_in_memory(test);
}
