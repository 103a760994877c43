/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/holder_adopt.c - a mount that is there already, whose holder is not.
 *
 * Its three descriptors (/dev/fuse, slate, ledger) come from systemd's descriptor store, or from
 * the worker, which goes on without a holder.  They are taken only when the ledger says that it
 * belongs to the mount that lies on our mount point, and nobody else holds it (setup_ledger).
 * Two workers never serve one mount: the old one is ended, and gone, before a new one starts.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "fs/holder.h"
#include "fs/holder_mount.h"
#include "fs/notify.h"

#define GONE_MS 30000 /* after SIGKILL: a call into the datastore may have to end first */

static const char *const store_names[] = {"weir-fuse", "weir-slate", "weir-ledger"};

static bool is_gone(int pidfd, int timeout_ms)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	return poll(&p, 1, timeout_ms) > 0;
}

/* Ours may be another version than the one that serves: then that one had better go on. */
static int ask_program(struct holder *h)
{
	char version[16];
	const char *argv[] = {"weir-worker", "--takes-slate", version, NULL};
	int status = 0;
	pid_t pid;

	snprintf(version, sizeof version, "%u", slate_version(h));
	pid = program_start(&h->worker_program, argv, NULL, 0, false);
	if (pid < 0)
		return pid;
	for (uint64_t until = now_ns() + PROBE_NS; waitpid(pid, &status, WNOHANG) == 0;) {
		if (now_ns() > until)
			kill(pid, SIGKILL);
		nanosleep(&(struct timespec){.tv_nsec = MS_IN_NS}, NULL);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	log_error("the installed weir-worker cannot go on from state of version %u: the worker that "
		  "serves %s is left alone; unmount and mount to change",
		  slate_version(h), h->options.mountpoint);
	return -EPROTO;
}

/* Let it finish what it works on; if it does not, end it.  -ETIMEDOUT: it was killed, but is in a
 * call that does not end. */
static int end_worker(struct holder *h, int pidfd)
{
	int r = ask_program(h);

	if (r < 0)
		return r;
	syscall(SYS_pidfd_send_signal, pidfd, SIGUSR1, NULL, 0);
	/* Not our child: what it died of is known only by what we did. */
	h->ledger->last_status = W_EXITCODE(WIRE_EXIT_HANDED_OVER, 0);
	if (is_gone(pidfd, DRAIN_NS / MS_IN_NS))
		return 0;
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		return -errno;
	h->ledger->last_status = SIGKILL;
	return is_gone(pidfd, GONE_MS) ? 0 : -ETIMEDOUT;
}

/* Nobody else has its /dev/fuse once it is gone: if we went, the mount would end with it. */
static int end_worker_for_certain(struct holder *h, int pidfd)
{
	int r = end_worker(h, pidfd);

	while (r == -ETIMEDOUT) {
		log_warning("the worker of %s was killed and does not end, because the datastore "
			    "does not answer; waiting for it", h->options.mountpoint);
		r = is_gone(pidfd, GONE_MS) ? 0 : -ETIMEDOUT;
	}
	return r;
}

/* The mount is ours now: its worker was READY once, and its files are open. */
static void taken_over(struct holder *h)
{
	h->ledger->worker = h->ledger->broker = 0;
	h->ended = now_ns();
	h->served = true;
	h->classic = h->options.no_resume;
	h->ledger->store = h->ledger->store && h->has_store;
	command_listen(h);
}

static void forget(struct holder *h)
{
	if (h->ledger)
		munmap(h->ledger, sizeof *h->ledger);
	closep(&h->device);
	closep(&h->slate);
	closep(&h->ledger_fd);
	closep(&h->ledger_reader);
	h->ledger = NULL;
	h->device = h->slate = h->ledger_fd = h->ledger_reader = -1;
}

int adopt_worker(struct holder *h, pid_t pid)
{
	_cleanup_(closep) int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int ledger, r;

	if (pidfd < 0)
		return -errno;
	h->device = (int)syscall(SYS_pidfd_getfd, pidfd, WIRE_DEVICE, 0);
	h->slate = (int)syscall(SYS_pidfd_getfd, pidfd, WIRE_SLATE, 0);
	ledger = (int)syscall(SYS_pidfd_getfd, pidfd, WIRE_LEDGER, 0);
	if (h->device < 0 || h->slate < 0 || ledger < 0)
		return -errno;
	r = setup_ledger(h, ledger);
	if (r < 0)
		return r;
	if (!setup_ledger_is_ours(h, mount_device(h->options.mountpoint)))
		return -EPROTO;
	r = end_worker_for_certain(h, pidfd);
	if (r < 0)
		return r;
	log_notice("%s has a holder again", h->options.mountpoint);
	taken_over(h);
	h->ledger->store = 0; /* what systemd has is for its service, which we are not */
	return 0;
}

/* A worker that outlived our predecessor: the process with that number that has our ledger. */
static int end_left_worker(struct holder *h)
{
	_cleanup_(closep) int pidfd = -1;
	struct stat theirs, ours;
	char path[64];

	if (h->ledger->worker <= 0)
		return 0; /* our predecessor saw its end, and noted it */
	h->ledger->last_status = 0; /* unless it is there to be ended, nobody knows */
	pidfd = (int)syscall(SYS_pidfd_open, h->ledger->worker, 0);
	if (pidfd < 0)
		return 0;
	snprintf(path, sizeof path, "/proc/%d/fd/%d", h->ledger->worker, WIRE_LEDGER);
	if (stat(path, &theirs) < 0 || fstat(h->ledger_fd, &ours) < 0 ||
	    theirs.st_dev != ours.st_dev || theirs.st_ino != ours.st_ino)
		return 0;
	return end_worker(h, pidfd);
}

static int take_store(struct holder *h, const int fds[3])
{
	int r;

	h->device = fds[0];
	h->slate = fds[1];
	r = setup_ledger(h, fds[2]);
	if (r < 0)
		return r;
	if (!setup_ledger_is_ours(h, mount_device(h->options.mountpoint)))
		return -ESTALE;
	return end_left_worker(h);
}

/* Of a mount that is not there any more, or never was ours.  What fails for another reason may
 * work at the next start, and until then systemd's copies are all that the mount has. */
static bool is_useless(int error)
{
	return error == -ESTALE || error == -ENODATA;
}

int adopt_store(struct holder *h)
{
	int fds[ARRAY_SIZE(store_names)], r;
	size_t n = notify_take(store_names, ARRAY_SIZE(store_names), fds);

	if (n == 0)
		return 0;
	r = n == ARRAY_SIZE(fds) ? take_store(h, fds) : -ENODATA;
	if (r == 0) {
		log_notice("%s goes on from systemd's descriptor store", h->options.mountpoint);
		taken_over(h);
		return 1;
	}
	if (!is_useless(r)) {
		h->leaving = true; /* the store is kept */
		return r;
	}
	log_warning("what systemd kept is not for a mount on %s: %s, ignoring",
		    h->options.mountpoint, strerror(-r));
	for (size_t i = 0; n < ARRAY_SIZE(fds) && i < ARRAY_SIZE(fds); i++)
		closep(&fds[i]);
	forget(h);
	store_empty(h);
	return 0;
}

/* Only a service in the foreground is started again with what was stored.  Unless all of it is,
 * we must not leave the mount to the next start. */
void store_fill(struct holder *h)
{
	const int fds[] = {h->device, h->slate, h->ledger_reader};
	bool stored = true;

	if (!h->has_store || h->ledger->store) /* it keeps them over our restarts */
		return;
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		stored = notify_store(store_names[i], fds[i]) == 0 && stored;
	h->ledger->store = stored;
	if (!stored)
		log_warning("systemd does not keep what %s needs: the end of this service "
			    "unmounts it", h->options.mountpoint);
}

void store_empty(struct holder *h)
{
	for (size_t i = 0; h->has_store && i < ARRAY_SIZE(store_names); i++)
		notify_store_remove(store_names[i]);
}
