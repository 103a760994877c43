/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/wire.h - what the holder and the worker of one mount say to each other.
 *
 * One message a packet, of fixed size, on a SEQPACKET socket pair; at most one descriptor beside
 * it.  The worker asks, the holder answers each question once and in order.  What must outlive
 * either of them is not said here but lies in the slate (fs/slate.h) and the ledger (fs/ledger.h).
 *
 * Both sides are started from the same package but may be of two versions for as long as an
 * upgrade takes: a message of another version is answered with -EPROTO.
 */
#ifndef FS_WIRE_H
#define FS_WIRE_H

#include <stdint.h>

#define WIRE_VERSION 1u

/* Descriptors of the worker at its start, above the three that every program has. */
enum wire_descriptor {
	WIRE_CONTROL = 3, /* these messages */
	WIRE_DEVICE,	  /* /dev/fuse */
	WIRE_SLATE,	  /* memfd, empty at the very first start */
	WIRE_LEDGER,	  /* memfd, read-only */
	WIRE_BROKER,	  /* to the broker (fs/broker.h) */
};

enum wire_exit { /* of the worker */
	WIRE_EXIT_UNMOUNTED = 0,
	WIRE_EXIT_FAILED = 1,	    /* said on stderr, when it was before READY */
	WIRE_EXIT_HANDED_OVER = 75, /* drained after SIGUSR1 */
	WIRE_EXIT_SLATE = 76,	    /* cannot go on from this slate: another version, or damaged */
};

enum wire_kind {
	WIRE_MOUNT = 1,	    /* device: the number wished for, or 0.  Answer: the number it has */
	WIRE_READY,	    /* requests are served.  No answer */
	WIRE_BACKING_OPEN,  /* slot, and the file's descriptor.  Answer: the backing id in result */
	WIRE_BACKING_CLOSE, /* slot.  Answer: 0 also when it had no id */
};

struct wire_message {
	uint32_t version; /* WIRE_VERSION */
	uint32_t kind;	  /* enum wire_kind; the answer repeats it */
	int32_t result;	  /* of an answer: negative errno, or what the kind says */
	uint32_t slot;
	uint64_t device; /* dev_t as the kernel gives it */
};

/* Send @m, with descriptor @fd beside it unless it is negative.  0 or a negative errno (-EPIPE: the
 * other side is gone).  Never a signal. */
int wire_send(int socket, const struct wire_message *m, int fd);

/* Wait for one.  *ret_fd is the descriptor beside it, or -1; the caller's.  -EPIPE: the other side
 * is gone; -EPROTO: not a message of this version. */
int wire_receive(int socket, struct wire_message *ret, int *ret_fd);

#endif
