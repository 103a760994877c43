/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/list.h - a doubly linked list whose links live in its members.
 *
 * A head is a link that points at itself when the list is empty.  A link that is in no list
 * points at itself as well (list_init), so list_remove may be called twice.  No locks.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include "base/cleanup.h"

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_add_between(struct list *l, struct list *prev, struct list *next)
{
	l->prev = prev;
	l->next = next;
	prev->next = l;
	next->prev = l;
}

static inline void list_push(struct list *head, struct list *l) /* at the front */
{
	list_add_between(l, head, head->next);
}

static inline void list_append(struct list *head, struct list *l) /* at the end */
{
	list_add_between(l, head->prev, head);
}

static inline void list_remove(struct list *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	list_init(l);
}

#define list_entry(l, type, member) container_of(l, type, member)

#define list_for_each(l, head) for (struct list *l = (head)->next; l != (head); l = l->next)

/* The current link may be removed in the body. */
#define list_for_each_safe(l, head)                                                                \
	for (struct list *l = (head)->next, *next_##l = l->next; l != (head);                      \
	     l = next_##l, next_##l = l->next)

#endif
