/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/helper.c - see fs/helper.h. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "base/cleanup.h"
#include "fs/helper.h"

#define FIRST_ROOM 4096u

struct helper {
	pid_t pid;
	int pidfd;
	int output; /* our end of the pipe */
	int64_t until_ms;
};

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

/* ---- start ------------------------------------------------------------------------------- */

/* Signals as a program expects them, whatever the calling thread blocks or ignores. */
static int fill_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	r = posix_spawnattr_setsigmask(attributes, &none);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(attributes, &all);
	if (r == 0)
		r = posix_spawnattr_setflags(attributes,
					     POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	return -r;
}

/* Descriptors 0 and 1 are ours, 2 is nowhere: what the helper says there is for people who run it
 * by hand.  @file and @output may be 0, 1 or 2 themselves, when the daemon was started without:
 * dup2 onto itself would leave close-on-exec set, so they are lifted first. */
static int fill_actions(posix_spawn_file_actions_t *actions, int file, int output)
{
	int r = posix_spawn_file_actions_adddup2(actions, file, STDIN_FILENO);

	if (r == 0)
		r = posix_spawn_file_actions_adddup2(actions, output, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_addopen(actions, STDERR_FILENO, "/dev/null", O_WRONLY,
						     0);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(actions, 3);
	return -r;
}

static int spawn(const char *program, int file, int output, pid_t *ret)
{
	char *argv[] = {(char *)(uintptr_t)program, NULL}, *environment[] = {NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int r;

	r = -posix_spawn_file_actions_init(&actions);
	if (r < 0)
		return r;
	r = -posix_spawnattr_init(&attributes);
	if (r == 0) {
		r = fill_attributes(&attributes);
		if (r == 0)
			r = fill_actions(&actions, file, output);
		if (r == 0)
			r = -posix_spawn(ret, program, &actions, &attributes, argv, environment);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
	return r;
}

static int start(const char *program, int fd, struct helper *ret)
{
	_cleanup_(closep) int file = -1, output = -1;
	int ends[2], r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	ret->output = ends[0];
	output = fcntl(ends[1], F_DUPFD_CLOEXEC, 3);
	file = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	r = output < 0 || file < 0 ? -errno : 0;
	close(ends[1]);
	if (r == 0)
		r = spawn(program, file, output, &ret->pid);
	if (r < 0) {
		close(ret->output);
		return r;
	}
	ret->pidfd = (int)syscall(SYS_pidfd_open, ret->pid, 0);
	ret->until_ms = now_ms() + HELPER_SECONDS * 1000;
	return 0;
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

/* Its pid is its own until it is reaped, so the kill hits nobody else. */
static int reap(struct helper *h, bool now)
{
	int status;
	pid_t pid;

	if (now || (h->pidfd >= 0 && !wait_for(h, h->pidfd)))
		kill(h->pid, SIGKILL);
	do {
		pid = waitpid(h->pid, &status, 0);
	} while (pid < 0 && errno == EINTR);
	close(h->output);
	if (h->pidfd >= 0)
		close(h->pidfd);
	return pid < 0 ? -errno : status;
}

static int judge(int r, int status, char **ret_why)
{
	char why[128];

	if (r == -ETIMEDOUT)
		snprintf(why, sizeof why, "it took longer than %d seconds", HELPER_SECONDS);
	else if (r == -E2BIG)
		snprintf(why, sizeof why, "the helper said too much");
	else if (r < 0)
		snprintf(why, sizeof why, "%s", strerror(-r));
	else if (status < 0)
		snprintf(why, sizeof why, "%s", strerror(-status));
	else if (WIFSIGNALED(status))
		snprintf(why, sizeof why, "the helper was killed by signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status))
		snprintf(why, sizeof why, "the helper failed with %d", WEXITSTATUS(status));
	else
		return 0;
	return explain(r == -ETIMEDOUT ? r : -EIO, ret_why, why);
}

int helper_run(const char *program, int fd, char **ret, char **ret_why)
{
	_cleanup_(freep) char *answer = NULL;
	struct helper h = {0};
	struct text t = {0};
	int r, status;

	*ret_why = NULL;
	r = start(program, fd, &h);
	if (r < 0)
		return explain(r, ret_why, strerror(-r));
	r = read_all(&h, &t);
	answer = t.at;
	status = reap(&h, r < 0);
	r = judge(r, status, ret_why);
	if (r == 0)
		*ret = TAKE_PTR(answer);
	return r;
}
