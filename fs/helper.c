/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/helper.c - see fs/helper.h. */
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "base/cleanup.h"
#include "fs/broker.h"
#include "fs/helper.h"

#define FIRST_ROOM 4096u
#define GRACE_MS   1000 /* for the broker, which kills the helper at its limit and says so */

struct helper {
	int output; /* our end of the pipe */
	int status; /* a struct broker_exit comes out when it has ended */
	int64_t until_ms;
};

static void helper_done(struct helper *h)
{
	closep(&h->output);
	closep(&h->status);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int explain(int r, char **ret_why, const char *why)
{
	*ret_why = strdup(why);
	return r;
}

static int start(struct broker_client *broker, int fd, struct helper *ret)
{
	_cleanup_(closep) int theirs = -1;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	ret->output = ends[0];
	theirs = ends[1];
	ret->until_ms = now_ms() + HELPER_SECONDS * 1000 + GRACE_MS;
	return broker_run(broker, BROKER_RECOGNISE, fd, theirs, HELPER_SECONDS * 1000,
			  &ret->status);
}

/* ---- its answer -------------------------------------------------------------------------- */

/* True: @fd is readable (or at its end) in time. */
static bool wait_for(struct helper *h, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int64_t left;
	int r;

	do {
		left = h->until_ms - now_ms();
		r = left > 0 ? poll(&p, 1, (int)left) : 0;
	} while (r < 0 && errno == EINTR);
	return r > 0;
}

struct text {
	char *at;
	size_t len, room;
};

static int make_room(struct text *t)
{
	size_t room = t->room ? 2 * t->room : FIRST_ROOM;
	char *at;

	if (t->len + 1 < t->room)
		return 0;
	at = realloc(t->at, room);
	if (!at)
		return -ENOMEM;
	t->at = at;
	t->room = room;
	return 0;
}

static int read_all(struct helper *h, struct text *t)
{
	ssize_t n;
	int r;

	for (;;) {
		r = make_room(t);
		if (r < 0)
			return r;
		if (t->len > HELPER_OUTPUT_MAX)
			return -E2BIG;
		if (!wait_for(h, h->output))
			return -ETIMEDOUT;
		n = read(h->output, t->at + t->len, t->room - t->len - 1);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			break;
		t->len += n > 0 ? (size_t)n : 0;
	}
	t->at[t->len] = 0;
	return 0;
}

/* ---- its end ----------------------------------------------------------------------------- */

/* One that says too much dies of SIGPIPE when we close its pipe, or at its limit. */
static int ending(struct helper *h, struct broker_exit *ret)
{
	ssize_t n;

	if (!wait_for(h, h->status))
		return -ETIMEDOUT;
	n = read(h->status, ret, sizeof *ret);
	if (n < 0)
		return -errno;
	if (n != sizeof *ret)
		return -EPIPE; /* the broker died, and the helper with it */
	return ret->timed_out ? -ETIMEDOUT : 0;
}

static int judge(int r, const struct broker_exit *end, char **ret_why)
{
	char why[128];

	if (r == -ETIMEDOUT)
		snprintf(why, sizeof why, "it took longer than %d seconds", HELPER_SECONDS);
	else if (r == -E2BIG)
		snprintf(why, sizeof why, "the helper said too much");
	else if (r < 0)
		snprintf(why, sizeof why, "%s", strerror(-r));
	else if (WIFSIGNALED(end->status))
		snprintf(why, sizeof why, "the helper was killed by signal %d",
			 WTERMSIG(end->status));
	else if (WEXITSTATUS(end->status))
		snprintf(why, sizeof why, "the helper failed with %d", WEXITSTATUS(end->status));
	else
		return 0;
	return explain(r == -ETIMEDOUT ? r : -EIO, ret_why, why);
}

int helper_run(struct broker_client *broker, int fd, char **ret, char **ret_why)
{
	_cleanup_(helper_done) struct helper h = {.output = -1, .status = -1};
	_cleanup_(freep) char *answer = NULL;
	struct broker_exit end = {0};
	struct text t = {0};
	int r;

	*ret_why = NULL;
	r = start(broker, fd, &h);
	if (r < 0)
		return explain(r, ret_why, strerror(-r));
	r = read_all(&h, &t);
	answer = t.at;
	if (r == 0)
		r = ending(&h, &end);
	r = judge(r, &end, ret_why);
	if (r == 0)
		*ret = TAKE_PTR(answer);
	return r;
}
