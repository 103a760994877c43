/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/holder_children.c - programs, their start, their deaths, and the wait between.
 *
 * Each worker gets a broker of its own.  A worker whose broker died is killed: without it trusted
 * xattrs and programs would fail, which clients would see.
 *
 * Back-off   a worker that served for SERVED_NS was all right; the first RESTARTS_AT_ONCE starts
 *            after such a one wait for nothing, the next ones for 10, 20, 40 ... 2000 ms.  Who was
 *            killed by SIGKILL did nothing wrong, unless it was for memory: no more than 80 ms.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/paths.h"
#include "fs/holder.h"
#include "fs/holder_mount.h"
#include "fs/notify.h"

#define SERVED_NS	 (100 * MS_IN_NS)
#define RESTARTS_AT_ONCE 3
#define BACK_OFF_MS	 10u
#define BROKER_NS	 (200 * MS_IN_NS)
#define BROKER_END_MS	 500
#define QUIET_FROM	 12 /* failures in a row */
#define QUIET_EVERY	 30
#define BACK_OFF_MAX_MS	 2000u
#define KILLED_MAX_MS	 80u
#define WORKER_OOM_SCORE (-900)

/* ---- programs ---------------------------------------------------------------------------- */

static int program_open(const char *name, struct program *ret)
{
	int r = paths_find_program(name, &ret->path);

	ret->fd = -1;
	if (r < 0)
		return r;
	ret->fd = open(ret->path, O_PATH | O_CLOEXEC);
	return ret->fd < 0 ? -errno : 0;
}

int program_open_both(struct program *ret_worker, struct program *ret_broker)
{
	int r = program_open("weir-worker", ret_worker);

	return r < 0 ? r : program_open("weir-broker", ret_broker);
}

void program_done(struct program *p)
{
	closep(&p->fd);
	free(p->path);
	*p = (struct program){.fd = -1};
}

/* In the child: put @fds at 3, 4, ... whatever lies there now. */
static void arrange(const int *fds, size_t n)
{
	int aside[8];

	for (size_t i = 0; i < n; i++)
		aside[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 16);
	for (size_t i = 0; i < n; i++)
		if (dup2(aside[i], WIRE_CONTROL + (int)i) < 0)
			_exit(127);
}

static void become(const struct program *p, const char *const argv[], const int *fds, size_t n,
		   bool quiet)
{
	int program = fcntl(p->fd, F_DUPFD_CLOEXEC, 16);
	sigset_t none;

	arrange(fds, n);
	if (quiet)
		setup_no_terminal();
	setup_oom_score(WORKER_OOM_SCORE);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execveat(program, "", (char *const *)argv, environ, AT_EMPTY_PATH);
	log_error("cannot run %s: %s", p->path, strerror(errno));
	_exit(127);
}

pid_t program_start(const struct program *p, const char *const argv[], const int *fds, size_t n,
		    bool quiet)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		become(p, argv, fds, n, quiet);
	return pid;
}

/* ---- start ------------------------------------------------------------------------------- */

static int broker_start(struct holder *h, int socket)
{
	const char *argv[] = {"weir-broker", h->options.foreground ? "-f" : NULL, NULL};
	pid_t pid;

	pid = program_start(&h->broker_program, argv, &socket, 1, !h->options.foreground);
	if (pid < 0)
		return pid;
	h->ledger->broker = h->broker = pid;
	return 0;
}

/* What the worker's options parser gets: the holder's words, paths made absolute. */
static pid_t worker_run(struct holder *h, const int fds[], size_t n)
{
	struct options *o = &h->options;
	const char *argv[10] = {"weir-worker", "-r"};
	size_t i = 2;

	if (o->foreground)
		argv[i++] = "-f";
	if (o->debug)
		argv[i++] = "-d";
	if (o->list) {
		argv[i++] = "-o";
		argv[i++] = o->list;
	}
	argv[i++] = o->datastore;
	argv[i] = o->mountpoint;
	return program_start(&h->worker_program, argv, fds, n, false);
}

static int start(struct holder *h)
{
	_cleanup_(closep) int control = -1, worker_end = -1, brokers_end = -1, worker_broker = -1;
	int ends[2], r;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	control = ends[0];
	worker_end = ends[1];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	worker_broker = ends[0];
	brokers_end = ends[1];
	if (fcntl(control, F_SETFL, O_NONBLOCK) < 0) /* our end only: we never wait for it */
		return -errno;

	r = broker_start(h, brokers_end);
	if (r < 0)
		return r;
	pid = worker_run(h, (int[]){worker_end, h->device, h->slate, h->ledger_reader,
				    worker_broker}, 5);
	if (pid < 0)
		return pid;
	h->worker = pid;
	h->control = TAKE_FD(control);
	return 0;
}

static uint32_t back_off_ms(unsigned failures, uint32_t max)
{
	if (failures <= RESTARTS_AT_ONCE)
		return 0;
	failures -= RESTARTS_AT_ONCE + 1;
	return failures > 8 ? max : MIN(BACK_OFF_MS << failures, max);
}

static bool was_killed(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

/* The next start, after @failures in a row. */
static void wait_for_start(struct holder *h)
{
	h->state = WORKER_NONE;
	h->ledger->back_off_ms = back_off_ms(
		h->failures, was_killed(h->ledger->last_status) ? KILLED_MAX_MS : BACK_OFF_MAX_MS);
	h->due = now_ns() + h->ledger->back_off_ms * MS_IN_NS;
}

void worker_start(struct holder *h)
{
	int r;

	h->ledger->starts++;
	h->ledger->ready = 0;
	r = start(h);
	if (r < 0) {
		log_error("cannot start a worker: %s", strerror(-r));
		h->failures++;
		if (!h->served)
			holder_end(h, 1);
		wait_for_start(h);
		return;
	}
	h->ledger->worker = h->worker;
	h->state = WORKER_STARTING;
	h->due = h->broker_due = 0;
	h->ready = 0;
}

/* ---- end --------------------------------------------------------------------------------- */

void worker_kill(struct holder *h)
{
	if (h->worker > 0)
		kill(h->worker, SIGKILL);
}

void worker_drain(struct holder *h)
{
	if (h->worker <= 0)
		return;
	kill(h->worker, SIGUSR1);
	h->state = WORKER_DRAINING;
	h->due = now_ns() + DRAIN_NS;
}

static uint64_t realtime_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool broker_is_gone(struct holder *h)
{
	for (int turn = 0; h->broker && turn < 5 * BROKER_END_MS; turn++) {
		if (waitpid(h->broker, NULL, WNOHANG) != 0)
			h->broker = h->ledger->broker = 0;
		else
			nanosleep(&(struct timespec){.tv_nsec = MS_IN_NS / 5}, NULL);
	}
	return !h->broker;
}

/* What a broker does for a dead worker must not come after what the next one does: it is gone
 * before that one starts.  Only a call that hangs in the backing store lets it live on. */
void broker_end(struct holder *h)
{
	if (!h->broker)
		return;
	kill(h->broker, SIGKILL);
	if (!broker_is_gone(h))
		log_warning("the broker of %s does not end, ignoring", h->options.mountpoint);
}

static void note_death(struct holder *h, int status)
{
	bool was_well = h->ready && now_ns() - h->ready >= SERVED_NS;

	h->ended = now_ns();
	h->ledger->last_status = status;
	h->ledger->last_end = realtime_ns();
	h->ledger->worker = 0;
	h->worker = 0;
	h->state = WORKER_NONE;
	h->due = h->broker_due = 0;
	closep(&h->control);
	h->control = -1;
	h->failures = was_well ? 1 : h->failures + 1;
	broker_end(h);
}

static const char *how(int status, char *text, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(text, size, "was killed by signal %d (%s)%s", WTERMSIG(status),
			 strsignal(WTERMSIG(status)), WCOREDUMP(status) ? ", core dumped" : "");
	else if (WEXITSTATUS(status) == WIRE_EXIT_SLATE)
		snprintf(text, size, "cannot go on from the state it was left");
	else
		snprintf(text, size, "ended with exit code %d", WEXITSTATUS(status));
	return text;
}

/* The mount is no use without its worker: take it away, out of everybody's sight. */
static void give_up(struct holder *h)
{
	int r = h->ledger->device
			? unmount_datastore(h->options.mountpoint, h->ledger->device, true)
			: 0;

	if (r < 0)
		log_warning("cannot unmount %s: %s", h->options.mountpoint, strerror(-r));
	holder_end(h, 1);
}

/* Clients wait: what need not wait is not left to the loop. */
static void start_again(struct holder *h)
{
	wait_for_start(h);
	if (!h->ledger->back_off_ms)
		worker_start(h);
}

/* A worker that cannot start at all does so every two seconds: not each time is news. */
static void say_restart(struct holder *h, const char *why)
{
	if (h->failures >= QUIET_FROM && h->failures % QUIET_EVERY)
		return;
	log_warning("the worker of %s %s; a new one starts after %u ms%s", h->options.mountpoint,
		    why, h->ledger->back_off_ms,
		    h->failures >= QUIET_FROM ? ", as the last ones did" : "");
	if (h->ledger->back_off_ms)
		notify_state("STATUS=the worker cannot start; it is tried again and again");
}

static bool exited_with(int status, int code)
{
	return WIFEXITED(status) && WEXITSTATUS(status) == code;
}

static void worker_died(struct holder *h, int status)
{
	char text[200];

	note_death(h, status);
	if (exited_with(status, WIRE_EXIT_UNMOUNTED)) {
		holder_end(h, 0);
	} else if (!h->served) {
		if (!exited_with(status, WIRE_EXIT_FAILED)) /* it had no time to say why */
			log_error("the worker %s", how(status, text, sizeof text));
		give_up(h);
	} else if (h->leaving) {
		holder_end(h, WIRE_EXIT_HANDED_OVER);
	} else if (upgrade_worker_died(h, status)) {
		return;
	} else if (h->classic) {
		log_error("the worker %s: %s is unmounted (resume is off)",
			  how(status, text, sizeof text), h->options.mountpoint);
		give_up(h);
	} else {
		start_again(h);
		say_restart(h, how(status, text, sizeof text));
	}
}

/* It ends with its worker, often a moment earlier than that can be reaped. */
static void broker_died(struct holder *h)
{
	h->ledger->broker = h->broker = 0;
	if (h->worker)
		h->broker_due = now_ns() + BROKER_NS;
}

void broker_due(struct holder *h)
{
	h->broker_due = 0;
	log_warning("the broker of %s died: its worker is started anew", h->options.mountpoint);
	worker_kill(h);
}

/* All that ended: one SIGCHLD may stand for many. */
void children_reap(struct holder *h)
{
	int status, worker_status = 0;
	bool worker = false;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == h->worker) {
			worker = true;
			worker_status = status;
		} else if (pid == h->broker) {
			broker_died(h);
		} else if (pid == h->upgrade.probe) {
			upgrade_probed(h, status);
		}
	}
	if (worker)
		worker_died(h, worker_status);
}
