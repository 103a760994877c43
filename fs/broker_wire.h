/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/broker_wire.h - what the worker asks the broker, and what that answers.
 *
 * One message a packet on a SEQPACKET socket pair: a fixed head, then at most 64 KiB of value.
 * Descriptors come beside questions; answers have none.  The worker numbers its questions; an
 * answer repeats the number, so one that comes after its asker gave up is known as such.
 *
 * The broker trusts nothing in a question: the worker may have been taken over by what it served.
 * What a question may ask for is written at each kind.
 */
#ifndef FS_BROKER_WIRE_H
#define FS_BROKER_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define BROKER_VERSION	 1u
#define BROKER_VALUE_MAX 65536u
#define BROKER_FILES_MAX 4u
#define BROKER_SOCKET	 3 /* the broker's end, at its start */

enum broker_kind {
	/* [directory] worker.  The datastore; only the first question may be this one, and a worker
	 * asks it before it has looked at anything. */
	BROKER_HELLO = 1,
	/* [file] name.  Files beneath the datastore and names in trusted.* and security.* only; a
	 * file whose place the kernel does not remember is -EACCES. */
	BROKER_XATTR_GET, /* answer: the value */
	BROKER_XATTR_SET, /* value, flags as setxattr */
	BROKER_XATTR_REMOVE,
	BROKER_XATTR_LIST, /* no name.  Answer: all names of the file */
	/* The value is a struct handle.  Opened with O_PATH on the datastore's filesystem and
	 * closed again, so that the kernel remembers where the directory of that handle lies.
	 * Answer: 0, or -ESTALE */
	BROKER_CONNECT,
	/* device, backing, ino.  Answer: a line "PID COMMAND" for each process that has the file
	 * open or mapped, at most 16 */
	BROKER_FILE_USERS,
	/* [stdin, stdout, status] program, limit_ms.  Answer at once: it is started.  When it has
	 * ended a struct broker_exit is written to status, which is a pipe. */
	BROKER_RUN,
};

/* Programs that may be run; the broker knows where they are. */
enum broker_program { BROKER_RECOGNISE = 1 };

struct broker_question {
	uint32_t version; /* BROKER_VERSION */
	uint32_t kind;	  /* enum broker_kind */
	uint64_t serial;
	uint32_t program;  /* enum broker_program */
	uint32_t limit_ms; /* at most BROKER_RUN_MAX_MS */
	int32_t flags;
	uint32_t value_len;
	int32_t worker; /* its pid: it is no holder of what it serves */
	uint32_t zero;
	uint64_t device, backing, ino;
	char name[256]; /* ends with a zero */
};

struct broker_answer {
	uint32_t version;
	int32_t result; /* 0 or a negative errno */
	uint64_t serial;
	uint32_t value_len;
	uint32_t zero;
};

#define BROKER_RUN_MAX_MS 600000u

struct broker_exit {
	int32_t status;	    /* as waitpid gives it */
	uint32_t timed_out; /* 1: it was killed at its limit */
};

/* Send @head and @value as one packet, with descriptors.  Never a signal. -EPIPE, -EIO.. */
int broker_send(int socket, const void *head, size_t head_len, const void *value, size_t value_len,
		const int *fds, size_t n);

/* Receive one packet.  *ret_fds are the caller's to close, also after an error; *ret_n of them.
 * Returns the bytes of value that followed a whole head; -EPIPE: the other side is gone; -EPROTO:
 * shorter than a head, or longer than there is room. */
long broker_receive(int socket, void *head, size_t head_len, void *value, size_t room,
		    int ret_fds[BROKER_FILES_MAX], size_t *ret_n);

#endif
