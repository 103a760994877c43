/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/holder.h - what the files of weir-holder share: one mount, its worker, and what goes on.
 *
 *     holder.c           the loop, signals, the end
 *     holder_setup.c     limits and capabilities, the background, the ledger
 *     holder_mount.c     mount(2), and the device number
 *     holder_children.c  programs, their start, their deaths, back-off
 *     holder_wire.c      what the worker asks for (fs/wire.h)
 *     holder_command.c   what the administrator asks for: a socket in /run/weir
 *     holder_upgrade.c   another program takes over
 *     holder_adopt.c     a mount that is there already: systemd's store, or a worker without holder
 *
 * One thread, one poll loop, libc only.  Nothing here reads a file of the datastore or a byte of
 * a request, so nothing that a guest or an image holds can make it fail; it is what stands
 * between a worker's death and ENOTCONN.
 *
 * Waits      for mount(2), umount(2) and ioctls of /dev/fuse, and for nothing else.  It never
 * touches
 *            the mount: nobody answers there while the worker is dead.
 * Times      are CLOCK_MONOTONIC in ns; 0: never.
 *
 * The worker's states, and what ends them:
 *
 *     NONE       -> STARTING when h->due comes
 *     STARTING   -> SERVING at READY; -> NONE at its death (an upgrade has its own time for it)
 *     SERVING    -> DRAINING when another is to take over; -> NONE at its death
 *     DRAINING   -> NONE at its death; SIGKILL at h->due
 */
#ifndef FS_HOLDER_H
#define FS_HOLDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/ledger.h"
#include "fs/options.h"
#include "fs/wire.h"

#define MS_IN_NS    1000000ull
#define PROBE_NS (2000 * MS_IN_NS) /* for a program to say whether it takes a slate */
#define DRAIN_NS    (1000 * MS_IN_NS)
#define RUN_DIRECTORY "/run/weir"

/* A program we start: the descriptor is what runs, whatever lies at the path by then. */
struct program {
	int fd; /* -1: there is none */
	char *path;
};

enum worker_state { WORKER_NONE, WORKER_STARTING, WORKER_SERVING, WORKER_DRAINING };

enum upgrade_step {
	UPGRADE_NONE,
	UPGRADE_PROBING,  /* the new program is asked whether it can take the slate */
	UPGRADE_DRAINING, /* the old worker finishes what it works on */
	UPGRADE_STARTING, /* the new one starts */
	UPGRADE_TRIAL,	  /* it serves; its death now takes the old program back */
	UPGRADE_BACK,	  /* the old program starts again */
};

struct upgrade {
	enum upgrade_step step;
	bool answered; /* who asked for it was told */
	struct program worker, broker; /* the other ones: the new until they start, then the old */
	pid_t probe;
	uint64_t due;	/* of the step */
	uint64_t begin; /* when the old worker was told to go */
	uint64_t pause_ns;
	char why[200]; /* of a failure */
};

struct holder {
	struct options options;
	int device, slate;
	int ledger_fd;	   /* ours, and locked by us: it never leaves this process */
	int ledger_reader; /* the same memory, read-only */
	struct ledger *ledger;
	int signals;
	int parent; /* who waits for the first READY; -1: nobody */

	struct program worker_program, broker_program;
	enum worker_state state;
	pid_t worker, broker; /* 0: none */
	int control;   /* to the worker; -1: none */
	uint64_t due;  /* see the states above */
	uint64_t broker_due; /* its broker is gone: the worker is killed then */
	uint64_t ready, ended; /* of the last worker */
	unsigned failures; /* starts in a row that did not serve for long */

	bool served;	/* a worker was READY: from now on the mount is kept */
	bool announced; /* ... and whoever waits for it was told */
	bool classic; /* resume=off, or the kernel cannot: the first death ends it */
	bool leaving; /* the mount stays, we go */
	bool has_store; /* systemd keeps our descriptors while we are not there */

	int listening, client; /* the command socket; -1: none */
	uint64_t client_due; /* it is hung up; without one: the next one is taken */
	char socket_path[64];
	ino_t socket_inode;
	struct upgrade upgrade;

	bool over;
	int code; /* of exit, once it is over */
};

uint64_t now_ns(void);

/* End the loop with exit code @code. */
void holder_end(struct holder *h, int code);

/* ---- holder_setup.c ---- */
void setup_limits(void);       /* before setup_capabilities: raising needs what that drops */
void setup_capabilities(void);
void setup_oom_score(int score);
/* Go to the background.  *ret_parent takes a byte once all is well. */
int setup_background(int *ret_parent);
void setup_no_terminal(void);
void setup_parent_goes(struct holder *h);
int setup_memory(struct holder *h);			    /* a new slate and ledger */
int setup_ledger(struct holder *h, int fd);		    /* one that is there: fd is taken */
bool setup_ledger_is_ours(const struct holder *h, dev_t device);

/* ---- holder_children.c ---- */
/* weir-worker and weir-broker, as they are installed now. */
int program_open_both(struct program *ret_worker, struct program *ret_broker);
void program_done(struct program *p);
/* Run @p with @argv; @fds are its descriptors from 3 on.  @quiet: /dev/null is its terminal, so
 * whoever waits for the end of our stderr does not wait for it.  Returns the pid. */
pid_t program_start(const struct program *p, const char *const argv[], const int *fds, size_t n,
		    bool quiet);
uint32_t slate_version(const struct holder *h); /* how the slate is written */
void worker_start(struct holder *h);
void worker_drain(struct holder *h);
void worker_kill(struct holder *h);
void broker_due(struct holder *h);
void broker_end(struct holder *h); /* and wait until it is gone */
void children_reap(struct holder *h);

/* ---- holder_wire.c ---- */
void wire_serve(struct holder *h);

/* ---- holder_command.c ---- */
void command_listen(struct holder *h);
void command_close(struct holder *h);
void command_accept(struct holder *h);
void command_read(struct holder *h);
void command_hang_up(struct holder *h);
/* One line to who asked, if anybody did. */
void command_answer(struct holder *h, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* ---- holder_upgrade.c ---- */
void upgrade_begin(struct holder *h);
void upgrade_probed(struct holder *h, int status);
void upgrade_ready(struct holder *h); /* the worker is READY */
/* The worker died.  True: the upgrade has decided what starts next. */
bool upgrade_worker_died(struct holder *h, int status);
void upgrade_due(struct holder *h);

/* ---- holder_adopt.c ---- */
/* Take the mount over from worker @pid, whose holder died; it is ended. */
int adopt_worker(struct holder *h, pid_t pid);
/* Take it from systemd's store.  0: nothing there for us; 1: done. */
int adopt_store(struct holder *h);
void store_fill(struct holder *h);
void store_empty(struct holder *h);

#endif
