/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/session.h - requests from /dev/fuse to threads; the one file that knows the transport.
 *
 * Each thread reads a request into its own buffer, which is populated and locked before first
 * use (a SIGKILL inside a page fault of that read would end the request with EIO: FINDINGS), and
 * runs it to its end, unless the disk's queue (base/queue.h) tells it to wait: then the thread
 * goes on and whoever finishes the request in the way takes it.
 *
 * Few threads wait in read(2) at a time; the others are parked here, and are woken when no
 * reader is left or when requests become ready that nobody runs.
 *
 * A worker that takes over from one that died is fed the recorded INIT, with exactly the flags that
 * were agreed, and asks the kernel to send again what was not answered (FUSE_NOTIFY_RESEND): those
 * requests come first, with bit 63 of `unique` set.
 *
 * Of a file in quarantine nothing is processed that touches its bytes (fs/quarantine.h); when few
 * threads are idle, one file gets only its share of them (fs/share.h).
 *
 * libfuse parses and composes messages; where its 3.14 lacks a field (INIT flags above bit 31,
 * backing ids, write flags) the raw message is at hand: session_request().
 */
#ifndef FS_SESSION_H
#define FS_SESSION_H

#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 14)
#include <fuse_lowlevel.h>

#include "fs/abi.h"
#include "fs/slate.h"

struct fs;
struct session;

/* What the kernel agreed to in INIT. */
struct session_abilities {
	bool passthrough;
	bool direct_io_mmap;
	bool killpriv_v2;
	bool setxattr_ext;
	bool resend; /* unanswered requests can be had again: somebody can go on after us */
	uint32_t minor;
};

/* @device is /dev/fuse after the mount.  @threads: at most so many request threads.
 * Answers INIT before it returns, or repeats what was agreed.  -ENODEV: unmounted meanwhile;
 * -EPROTO: the kernel's side was agreed with a worker whose flags this one does not have. */
int session_new(struct fs *fs, int device, unsigned threads, struct session **ret);

/* Serve until the filesystem is unmounted, or session_hand_over.  Returns 0 after an unmount,
 * SESSION_HANDED_OVER when the requests that are left are the next worker's. */
#define SESSION_HANDED_OVER 1
int session_run(struct session *s);

/* Take no more requests, end those in service if they end soon, return from session_run.  From
 * another thread. */
void session_hand_over(struct session *s);
void session_free(struct session *s);

const struct session_abilities *session_abilities(const struct session *s);
int session_device(const struct session *s);
struct fuse_session *session_fuse(const struct session *s);

/* Hand runnable requests (linked by io->next) to threads that have nothing to do. */
struct io;
void session_ready(struct session *s, struct io *list);

/* What thread @index does, for whoever watches it.  False: there is no such thread (now). */
struct session_view {
	uint64_t since_ns; /* CLOCK_MONOTONIC of the request in service; 0: it has none */
	uint64_t node;
	uint32_t opcode;
	int32_t thread;	   /* its tid */
	const char *stage; /* the disk's stage it is in, static text, or NULL */
};
bool session_look(struct session *s, unsigned index, struct session_view *ret);

/* In a request thread: the message in service, its thread's slot in the slate (elsewhere both are
 * NULL), and scratch memory of SESSION_BUFFER bytes that is populated, for replies. */
#define SESSION_BUFFER (1u << 20)
const struct fuse_in_header *session_request(void);
struct slate_request *session_slot(void);
void *session_scratch(void);
/* A place for one malloc'ed piece of memory that the thread wants to use again; freed with it. */
void **session_spare(void);

#endif
