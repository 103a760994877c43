/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/events.h - changes of state, for `weir events`: the last some hundred, in memory.
 *
 * An event has a sequence number that only grows; who follows asks for those behind the last one
 * it saw.  The number starts at 1 with every mount.
 *
 * Threads    any; one lock inside.
 */
#ifndef FS_EVENTS_H
#define FS_EVENTS_H

#include "fs/fs.h"

struct events;

/* @slate is borrowed; what workers before us wrote to it is there again. */
int events_new(struct slate *slate, struct events **ret);
void events_free(struct events *e);

/* @name is one of the words of docs/events; @node (what it is about) and @policy may be NULL.  The
 * sentence goes to the log as well. */
void event_emit(struct fs *fs, const char *name, struct node *node, const char *policy,
		const char *format, ...) __attribute__((format(printf, 5, 6)));

/* JSON array of the events behind @after, oldest first, at most 64 KiB.  malloc'ed. */
char *events_json(struct events *e, uint64_t after);

#endif
