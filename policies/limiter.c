/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policies/limiter.c - see policies/limiter.h. */
#include "policies/limiter.h"

/* Virtual time is real cost times this, divided by the shares: whole numbers stay fine enough. */
#define VIRTUAL_SCALE 1000u

/* Tags are moved back to zero long before they could wrap: one I/O adds less than 2^60. */
#define VIRTUAL_MAX (UINT64_C(1) << 62)

void limiter_init(struct limiter *l)
{
	*l = (struct limiter){0};
	list_init(&l->flows);
	list_init(&l->active);
}

void limiter_set(struct limiter *l, const struct meter_conf *conf, uint64_t now_ns)
{
	meter_set(&l->meter, conf, now_ns);
}

void limiter_add(struct limiter *l, struct limiter_flow *f, uint64_t shares)
{
	*f = (struct limiter_flow){.start_ns = l->virtual_ns, .shares = shares};
	list_init(&f->active);
	list_init(&f->line);
	list_append(&l->flows, &f->link);
}

void limiter_remove(struct limiter *l, struct limiter_flow *f)
{
	(void)l;
	list_remove(&f->link);
	list_remove(&f->active);
}

void limiter_set_shares(struct limiter_flow *f, uint64_t shares)
{
	f->shares = shares;
}

static void rebase(struct limiter *l)
{
	list_for_each (link, &l->flows) {
		struct limiter_flow *f = list_entry(link, struct limiter_flow, link);

		f->start_ns -= MIN(f->start_ns, l->virtual_ns);
	}
	l->virtual_ns = 0;
}

/* An I/O of @f starts. */
static void serve(struct limiter *l, struct limiter_flow *f, uint64_t bytes, uint64_t now_ns)
{
	uint64_t cost = meter_charge(&l->meter, bytes, now_ns);

	l->virtual_ns = MAX(l->virtual_ns, f->start_ns);
	f->start_ns = l->virtual_ns + MAX(cost * VIRTUAL_SCALE / f->shares, 1);
	if (l->virtual_ns > VIRTUAL_MAX)
		rebase(l);
}

static void leave_line(struct limiter *l, struct limiter_flow *f, struct limiter_wait *w)
{
	list_remove(&w->link);
	l->waiting--;
	if (list_empty(&f->line))
		list_remove(&f->active);
}

bool limiter_try(struct limiter *l, struct limiter_flow *f, uint64_t bytes, uint64_t now_ns)
{
	if (l->waiting > 0 || meter_when(&l->meter) > now_ns)
		return false;

	serve(l, f, bytes, now_ns);
	return true;
}

void limiter_wait(struct limiter *l, struct limiter_flow *f, struct limiter_wait *w)
{
	if (list_empty(&f->line)) {
		/* Idle time is not saved up: it starts level with the others, behind them. */
		f->start_ns = MAX(f->start_ns, l->virtual_ns);
		list_append(&l->active, &f->active);
	}
	list_append(&f->line, &w->link);
	l->waiting++;
}

/* Of equal tags the flow that began to wait first. */
static struct limiter_flow *head_flow(struct limiter *l)
{
	struct limiter_flow *head = NULL;

	list_for_each (link, &l->active) {
		struct limiter_flow *f = list_entry(link, struct limiter_flow, active);

		if (!head || f->start_ns < head->start_ns)
			head = f;
	}
	return head;
}

struct limiter_wait *limiter_head(struct limiter *l)
{
	struct limiter_flow *f = head_flow(l);

	return f ? list_entry(f->line.next, struct limiter_wait, link) : NULL;
}

struct limiter_wait *limiter_next(struct limiter *l, uint64_t now_ns, uint64_t *ret_when)
{
	struct limiter_flow *f = head_flow(l);
	struct limiter_wait *w;

	*ret_when = f ? meter_when(&l->meter) : UINT64_MAX;
	if (*ret_when > now_ns || !f)
		return NULL;

	w = list_entry(f->line.next, struct limiter_wait, link);
	leave_line(l, f, w);
	serve(l, f, w->bytes, now_ns);
	return w;
}

struct limiter_wait *limiter_release(struct limiter *l, struct limiter_flow *f, uint64_t now_ns)
{
	struct limiter_wait *w;

	if (list_empty(&f->line))
		return NULL;

	w = list_entry(f->line.next, struct limiter_wait, link);
	leave_line(l, f, w);
	serve(l, f, w->bytes, now_ns);
	return w;
}
