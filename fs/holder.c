/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/holder.c - weir-holder: the process that keeps one mount, whatever becomes of its worker.
 *
 *     weir-holder [--adopt=PID] [-f] [-d] [-o OPTIONS] DATASTORE MOUNTPOINT
 *
 * Started by `weir mount`.  Without -f it goes to the background once the mount is usable, and
 * exits 0 then; what goes wrong before is said on stderr, and is exit code 1.  In the foreground
 * it ends with the mount: 0 unmounted, 1 given up, 75 left to the next start (systemd).  --adopt
 * takes over from a holder that died: PID is the worker it left (`weir upgrade`).
 *
 * SIGTERM, SIGINT   unmount, lazily: open files are served to their last close.  With systemd's
 *                   descriptor store: let the worker finish what it works on, and leave; the
 *                   mount stays, and the next start goes on with it.
 * SIGHUP            is the worker's: apply changed policy files.
 *
 * See fs/holder.h for what lies where.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "fs/holder.h"
#include "fs/holder_mount.h"
#include "fs/notify.h"

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void holder_end(struct holder *h, int code)
{
	h->over = true;
	h->code = code;
}

/* ---- signals ------------------------------------------------------------------------------ */

static int take_signals(struct holder *h)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGPIPE);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	sigdelset(&set, SIGPIPE); /* blocked for good: stderr may be a pipe that nobody reads */
	h->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return h->signals < 0 ? -errno : 0;
}

/* The worker sees the end of the mount, and ends; without one the poll of the device does. */
static void unmount(struct holder *h)
{
	int r = unmount_datastore(h->options.mountpoint, h->ledger->device, true);

	if (r < 0)
		log_warning("cannot unmount %s: %s", h->options.mountpoint, strerror(-r));
}

static void told_to_end(struct holder *h)
{
	notify_state("STOPPING=1");
	if (!h->ledger->device) { /* nothing is mounted yet */
		worker_kill(h);
		holder_end(h, 1);
	} else if (h->ledger->store) {
		h->leaving = true;
		if (h->state == WORKER_NONE)
			holder_end(h, WIRE_EXIT_HANDED_OVER);
		else
			worker_drain(h);
	} else {
		unmount(h);
	}
}

/* systemd's Type=notify-reload wants to hear of both ends.  A worker that starts reads the policy
 * files anyway. */
static void reload(struct holder *h)
{
	char text[80];

	snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%llu",
		 (unsigned long long)now_ns() / 1000);
	notify_state(text);
	if (h->state == WORKER_SERVING)
		kill(h->worker, SIGHUP);
	notify_state("READY=1");
}

static void handle_signals(struct holder *h)
{
	struct signalfd_siginfo info;

	while (read(h->signals, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			told_to_end(h);
		else if (info.ssi_signo == SIGHUP)
			reload(h);
	}
	children_reap(h);
}

/* ---- the loop ----------------------------------------------------------------------------- */

enum { AT_SIGNALS, AT_CONTROL, AT_LISTENING, AT_CLIENT, AT_DEVICE, AT_COUNT };

static void worker_due(struct holder *h)
{
	if (h->state == WORKER_NONE) {
		worker_start(h);
		return;
	}
	h->due = 0;
	worker_kill(h);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return !a || (b && b < a) ? b : a;
}

static int wait_ms(const struct holder *h)
{
	uint64_t due = sooner(sooner(h->due, h->upgrade.due),
			      sooner(h->client_due, h->broker_due));
	uint64_t now = now_ns();

	if (!due)
		return -1;
	return due <= now ? 0 : (int)((due - now) / MS_IN_NS) + 1;
}

static void handle_due(struct holder *h)
{
	uint64_t now = now_ns();

	if (h->due && h->due <= now)
		worker_due(h);
	if (h->broker_due && h->broker_due <= now)
		broker_due(h);
	if (h->upgrade.due && h->upgrade.due <= now)
		upgrade_due(h);
	if (h->client_due && h->client_due <= now)
		command_hang_up(h);
}

/* While no worker reads it, it is us who see that the mount is gone. */
static bool idle(const struct holder *h)
{
	return h->state == WORKER_NONE && h->ledger->device;
}

static void turn(struct holder *h)
{
	struct pollfd p[AT_COUNT] = {
		[AT_SIGNALS] = {h->signals, POLLIN},
		[AT_CONTROL] = {h->control, POLLIN},
		[AT_LISTENING] = {h->client < 0 && !h->client_due ? h->listening : -1, POLLIN},
		[AT_CLIENT] = {h->client, POLLIN},
		[AT_DEVICE] = {idle(h) ? h->device : -1, 0},
	};

	if (poll(p, AT_COUNT, wait_ms(h)) < 0)
		return;
	if (p[AT_CONTROL].revents) /* before its death, which may be waiting, too */
		wire_serve(h);
	if (p[AT_SIGNALS].revents)
		handle_signals(h);
	if (p[AT_LISTENING].revents)
		command_accept(h);
	else if (p[AT_CLIENT].revents)
		command_read(h);
	if (p[AT_DEVICE].revents & POLLERR && idle(h)) {
		log_notice("%s is unmounted", h->options.datastore);
		holder_end(h, 0);
	}
	if (!h->over)
		handle_due(h);
}

/* ---- start and end ------------------------------------------------------------------------ */

static int say(const char *what, int r)
{
	fprintf(stderr, "weir: %s: %s\n", what, strerror(-r));
	return r;
}

static int make_mount(struct holder *h)
{
	int r;

	h->device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (h->device < 0)
		return say("/dev/fuse", -errno);
	r = setup_memory(h);
	return r < 0 ? say("memory", r) : 0;
}

/* A mount: one that is there, or what a new one needs. */
static int get_mount(struct holder *h, pid_t adopted)
{
	int r;

	if (adopted) {
		r = adopt_worker(h, adopted);
		return r < 0 ? say("cannot take over from the worker", r) : 0;
	}
	r = h->options.foreground ? adopt_store(h) : 0;
	if (r < 0)
		return say("cannot take over the mount", r);
	return r > 0 ? 0 : make_mount(h);
}

static int start(struct holder *h, pid_t adopted)
{
	int r;

	h->has_store = notify_start() && h->options.foreground;
	r = program_open_both(&h->worker_program, &h->broker_program);
	if (r < 0)
		return say("the programs beside this one", r);
	if (!h->options.foreground) {
		r = setup_background(&h->parent);
		if (r < 0)
			return say("cannot go to the background", r);
	}
	setup_limits();
	setup_capabilities();
	r = take_signals(h);
	if (r < 0)
		return say("signals", r);
	if (chdir("/") < 0)
		return say("/", -errno);
	r = get_mount(h, adopted);
	if (r < 0)
		return r;
	h->ledger->holder = getpid();
	worker_start(h);
	return 0;
}

/* The worker has gone before, or the mount was never made. */
static void end(struct holder *h)
{
	command_answer(h, "failed the mount ends");
	command_close(h);
	broker_end(h);
	if (h->ledger && !h->leaving)
		store_empty(h);
	if (h->ledger)
		h->ledger->holder = 0;
	program_done(&h->worker_program);
	program_done(&h->broker_program);
	program_done(&h->upgrade.worker);
	program_done(&h->upgrade.broker);
	options_done(&h->options);
}

int main(int argc, char **argv)
{
	struct holder h = {.device = -1, .slate = -1, .ledger_fd = -1, .ledger_reader = -1,
			   .signals = -1, .parent = -1, .control = -1, .listening = -1,
			   .client = -1, .worker_program.fd = -1, .broker_program.fd = -1,
			   .upgrade = {.worker.fd = -1, .broker.fd = -1}};
	pid_t adopted = 0;

	if (argc > 1 && !strncmp(argv[1], "--adopt=", 8)) {
		adopted = atoi(argv[1] + 8);
		argv[1] = argv[0];
		argv++;
		argc--;
	}
	if (options_parse(argc, argv, &h.options) < 0) {
		options_done(&h.options);
		return 2;
	}
	if (h.options.debug)
		log_set_level(LOG_LEVEL_DEBUG);
	if (start(&h, adopted) < 0)
		holder_end(&h, 1);
	while (!h.over)
		turn(&h);
	end(&h);
	return h.code;
}
