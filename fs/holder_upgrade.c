/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/holder_upgrade.c - another program takes over, and the old one again when it does not.
 *
 *     NONE      -> PROBING   "upgrade" came; the new program is asked whether it takes the slate
 *     PROBING   -> DRAINING  it does; the old worker is told to go.  Otherwise -> NONE, a failure
 *     DRAINING  -> STARTING  the old worker is gone; the programs change places
 *     STARTING  -> TRIAL     READY.  Died or silent for READY_NS: change places again -> BACK
 *     TRIAL     -> NONE      it lived for TRIAL_NS; the old program is let go.  Crashed: -> BACK
 *     BACK      -> NONE      the old program is READY again: a failure
 *
 * Invariant  h->worker_program is the program of the worker that runs or starts next;
 *            upgrade.worker is the other one.  The old one's descriptor is closed only at the end
 *            of the trial: a package upgrade may have removed its name long before.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "fs/holder.h"

#define READY_NS  (5000 * MS_IN_NS)
#define ANSWER_NS (300 * MS_IN_NS)   /* after READY: what crashes at once is not called done */
#define TRIAL_NS  (10000 * MS_IN_NS) /* after READY */

static void finish(struct holder *h)
{
	program_done(&h->upgrade.worker);
	program_done(&h->upgrade.broker);
	h->upgrade.step = UPGRADE_NONE;
	h->upgrade.due = 0;
}

static void exchange(struct holder *h)
{
	struct program worker = h->worker_program, broker = h->broker_program;

	h->worker_program = h->upgrade.worker;
	h->broker_program = h->upgrade.broker;
	h->upgrade.worker = worker;
	h->upgrade.broker = broker;
}

/* ---- the new program is asked ------------------------------------------------------------- */

/* How the slate is written: behind its 8 bytes of magic. */
uint32_t slate_version(const struct holder *h)
{
	uint32_t version = 0;

	return pread(h->slate, &version, sizeof version, 8) == sizeof version ? version : 0;
}

static int probe(struct holder *h)
{
	char version[16];
	const char *argv[] = {"weir-worker", "--takes-slate", version, NULL};
	pid_t pid;

	snprintf(version, sizeof version, "%u", slate_version(h));
	pid = program_start(&h->upgrade.worker, argv, NULL, 0, false);
	if (pid < 0)
		return pid;
	h->upgrade.probe = pid;
	h->upgrade.step = UPGRADE_PROBING;
	h->upgrade.due = now_ns() + PROBE_NS;
	return 0;
}

void upgrade_begin(struct holder *h)
{
	int r;

	if (h->upgrade.step == UPGRADE_TRIAL)
		finish(h); /* whoever asks again is content with it */
	if (h->upgrade.step != UPGRADE_NONE || h->leaving) {
		command_answer(h, "failed another one is under way");
		return;
	}
	if (h->classic) {
		command_answer(h, "failed a worker of this mount cannot go on where another "
				  "stopped (resume is off, or the kernel is older than 6.9)");
		return;
	}
	h->upgrade.answered = false;
	r = program_open_both(&h->upgrade.worker, &h->upgrade.broker);
	if (r == 0)
		r = probe(h);
	if (r < 0) {
		command_answer(h, "failed the new programs cannot be run: %s", strerror(-r));
		finish(h);
	}
}

static void drain(struct holder *h)
{
	h->upgrade.step = UPGRADE_DRAINING;
	h->upgrade.due = 0;
	h->upgrade.begin = now_ns();
	if (h->state == WORKER_SERVING)
		worker_drain(h);
	else if (h->state == WORKER_NONE)
		upgrade_worker_died(h, 0); /* nobody is in the way */
	else
		worker_kill(h);
}

void upgrade_probed(struct holder *h, int status)
{
	h->upgrade.probe = 0;
	if (h->upgrade.step != UPGRADE_PROBING)
		return;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		log_notice("%s is handed over to %s", h->options.mountpoint,
			   h->upgrade.worker.path);
		drain(h);
		return;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == WIRE_EXIT_SLATE)
		command_answer(h, "failed the new program cannot go on from version %u of the "
				  "state: unmount, and mount again",
			       slate_version(h));
	else if (WIFEXITED(status))
		command_answer(h, "failed the new program ends with exit code %d when asked "
				  "whether it can take over",
			       WEXITSTATUS(status));
	else
		command_answer(h, "failed the new program %s when asked whether it can take over",
			       WTERMSIG(status) == SIGKILL ? "does not answer" : "crashes");
	finish(h);
}

/* ---- the exchange ------------------------------------------------------------------------- */

static void start_new(struct holder *h)
{
	exchange(h);
	h->upgrade.step = UPGRADE_STARTING;
	h->upgrade.due = now_ns() + READY_NS;
	worker_start(h);
}

/* Without a worker (it could not be started, and is tried again) the program has not failed. */
static void not_ready(struct holder *h)
{
	bool has_worker = h->state == WORKER_STARTING;

	h->upgrade.due = has_worker ? 0 : now_ns() + READY_NS;
	if (has_worker)
		worker_kill(h);
}

static void go_back(struct holder *h, int status)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && !h->ready &&
	    now_ns() - h->upgrade.begin >= READY_NS)
		snprintf(h->upgrade.why, sizeof h->upgrade.why, "was not ready within %d s",
			 (int)(READY_NS / 1000 / MS_IN_NS));
	else if (WIFSIGNALED(status))
		snprintf(h->upgrade.why, sizeof h->upgrade.why, "was killed by signal %d",
			 WTERMSIG(status));
	else
		snprintf(h->upgrade.why, sizeof h->upgrade.why, "ended with exit code %d",
			 WEXITSTATUS(status));
	log_error("the new worker of %s %s: the old program takes over again",
		  h->options.mountpoint, h->upgrade.why);
	exchange(h);
	h->upgrade.step = UPGRADE_BACK;
	h->upgrade.due = 0;
	h->failures = 0;
	worker_start(h);
}

bool upgrade_worker_died(struct holder *h, int status)
{
	bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;

	if (h->upgrade.step == UPGRADE_DRAINING) {
		start_new(h);
		return true;
	}
	if (h->upgrade.step == UPGRADE_STARTING) {
		go_back(h, status);
		return true;
	}
	if (h->upgrade.step != UPGRADE_TRIAL || killed) /* somebody's kill is not its fault */
		return false;
	h->upgrade.begin = now_ns();
	go_back(h, status);
	return true;
}

void upgrade_ready(struct holder *h)
{
	struct upgrade *u = &h->upgrade;

	if (u->step == UPGRADE_STARTING) {
		u->step = UPGRADE_TRIAL;
		u->pause_ns = h->ready - u->begin;
		u->due = h->ready + ANSWER_NS;
		h->ledger->upgrades++;
	} else if (u->step == UPGRADE_BACK) {
		if (!u->answered)
			command_answer(h, "failed the new worker %s; the old one serves again "
					  "after %.1f ms",
				       u->why, (double)(h->ready - u->begin) / MS_IN_NS);
		finish(h);
	}
}

void upgrade_due(struct holder *h)
{
	struct upgrade *u = &h->upgrade;

	if (u->step == UPGRADE_PROBING) {
		kill(u->probe, SIGKILL);
		u->due = 0;
	} else if (u->step == UPGRADE_STARTING) {
		not_ready(h);
	} else if (u->step == UPGRADE_TRIAL && !u->answered) {
		command_answer(h, "ok the new worker serves; clients waited %.1f ms",
			       (double)u->pause_ns / MS_IN_NS);
		u->answered = true;
		u->due = h->ready + TRIAL_NS;
	} else {
		finish(h);
	}
}
