/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/broker_client.c - see fs/broker.h. */
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/handle.h"
#include "base/log.h"
#include "fs/broker.h"

#define ANSWER_MS 5000

struct broker_client {
	pthread_mutex_t lock; /* one round trip; protects all below.  Nothing is taken under it */
	int socket;
	uint64_t serial;
	bool told; /* that the broker is gone was logged */
	void (*lost)(void *data);
	void *lost_data;
	char value[BROKER_VALUE_MAX];
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int lost(struct broker_client *b, int r)
{
	if (b->lost)
		b->lost(b->lost_data);
	if (!b->told)
		log_error("the broker is gone (%s): trusted xattrs, recognition of disks and the "
			  "search for who holds a file fail with EIO",
			  strerror(-r));
	b->told = true;
	return -EIO;
}

/* ---- a round trip ------------------------------------------------------------------------- */

static int wait_answer(struct broker_client *b, int64_t until_ms)
{
	struct pollfd p = {.fd = b->socket, .events = POLLIN};
	int64_t left;
	int r;

	do {
		left = until_ms - now_ms();
		r = left > 0 ? poll(&p, 1, (int)left) : 0;
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r ? 0 : -ETIMEDOUT;
}

/* Answers to questions that were given up come first, and are dropped. */
static long receive(struct broker_client *b, uint64_t serial)
{
	int64_t until_ms = now_ms() + ANSWER_MS;
	int fds[BROKER_FILES_MAX];
	struct broker_answer in;
	size_t n;
	long r;

	do {
		r = wait_answer(b, until_ms);
		if (r < 0)
			return r;
		r = broker_receive(b->socket, &in, sizeof in, b->value, sizeof b->value, fds, &n);
		for (size_t i = 0; i < n; i++)
			close(fds[i]);
		if (r < 0)
			return lost(b, (int)r);
	} while (in.serial != serial);
	if (in.version != BROKER_VERSION || in.value_len != r)
		return lost(b, -EPROTO);
	return in.result < 0 ? in.result : r;
}

/* The lock is held.  How many bytes of value came back, in b->value. */
static long ask(struct broker_client *b, struct broker_question *q, const void *value,
		const int *fds, size_t n)
{
	int r;

	q->version = BROKER_VERSION;
	q->serial = ++b->serial;
	r = broker_send(b->socket, q, sizeof *q, value, q->value_len, fds, n);
	if (r == -EBADF || r == -E2BIG)
		return r;
	return r < 0 ? lost(b, r) : receive(b, q->serial);
}

static int name_question(struct broker_question *q, uint32_t kind, const char *name)
{
	*q = (struct broker_question){.kind = kind};
	if (strlen(name) >= sizeof q->name)
		return -ERANGE;
	memcpy(q->name, name, strlen(name));
	return 0;
}

/* ---- xattrs ------------------------------------------------------------------------------- */

static ssize_t get(struct broker_client *b, struct broker_question *q, int fd, void *ret,
		   size_t size)
{
	long r;

	if (!b)
		return -EIO;
	LOCKED(&b->lock);
	r = ask(b, q, NULL, &fd, 1);
	if (r < 0 || size == 0)
		return r;
	if ((size_t)r > size)
		return -ERANGE;
	memcpy(ret, b->value, (size_t)r);
	return r;
}

ssize_t broker_getxattr(struct broker_client *b, int fd, const char *name, void *ret, size_t size)
{
	struct broker_question q;
	int r = name_question(&q, BROKER_XATTR_GET, name);

	return r < 0 ? r : get(b, &q, fd, ret, size);
}

ssize_t broker_listxattr(struct broker_client *b, int fd, char *ret, size_t size)
{
	struct broker_question q;

	name_question(&q, BROKER_XATTR_LIST, "");
	return get(b, &q, fd, ret, size);
}

int broker_setxattr(struct broker_client *b, int fd, const char *name, const void *value,
		    size_t size, int flags)
{
	struct broker_question q;
	int r = name_question(&q, BROKER_XATTR_SET, name);

	if (r < 0 || size > BROKER_VALUE_MAX)
		return r < 0 ? r : -E2BIG;
	q.value_len = (uint32_t)size;
	q.flags = flags;
	if (!b)
		return -EIO;
	LOCKED(&b->lock);
	return (int)ask(b, &q, value, &fd, 1);
}

int broker_removexattr(struct broker_client *b, int fd, const char *name)
{
	struct broker_question q;
	int r = name_question(&q, BROKER_XATTR_REMOVE, name);

	if (r < 0)
		return r;
	return (int)get(b, &q, fd, NULL, 0);
}

int broker_connect(struct broker_client *b, const struct handle *h)
{
	struct broker_question q = {.kind = BROKER_CONNECT, .value_len = sizeof *h};

	if (!b)
		return -EIO;
	LOCKED(&b->lock);
	return (int)ask(b, &q, h, NULL, 0);
}

/* ---- users of a file, programs
 * -------------------------------------------------------------------- */

int broker_file_users(struct broker_client *b, dev_t device, dev_t backing, ino_t ino, char **ret)
{
	struct broker_question q = {
		.kind = BROKER_FILE_USERS, .device = device, .backing = backing, .ino = ino};
	long r;

	if (!b)
		return -EIO;
	LOCKED(&b->lock);
	r = ask(b, &q, NULL, NULL, 0);
	if (r < 0)
		return (int)r;
	*ret = strndup(b->value, (size_t)r);
	return *ret ? 0 : -ENOMEM;
}

int broker_run(struct broker_client *b, enum broker_program program, int in, int out,
	       uint32_t limit_ms, int *ret_status)
{
	struct broker_question q = {.kind = BROKER_RUN, .program = program, .limit_ms = limit_ms};
	_cleanup_(closep) int ours = -1, theirs = -1;
	int ends[2], fds[3], r;

	if (!b)
		return -EIO;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	ours = ends[0];
	theirs = ends[1];
	memcpy(fds, (int[]){in, out, theirs}, sizeof fds);
	LOCKED(&b->lock);
	r = (int)ask(b, &q, NULL, fds, ARRAY_SIZE(fds));
	if (r == 0)
		*ret_status = TAKE_FD(ours);
	return r;
}

/* ---- life --------------------------------------------------------------------------------- */

void broker_client_on_loss(struct broker_client *b, void (*on_loss)(void *data), void *data)
{
	b->lost = on_loss;
	b->lost_data = data;
}

int broker_client_new(int socket, int datastore_fd, struct broker_client **ret)
{
	struct broker_question hello = {.kind = BROKER_HELLO, .worker = getpid()};
	struct broker_client *b = calloc(1, sizeof *b);
	int r;

	if (!b) {
		close(socket);
		return -ENOMEM;
	}
	pthread_mutex_init(&b->lock, NULL);
	b->socket = socket;
	pthread_mutex_lock(&b->lock);
	r = (int)ask(b, &hello, NULL, &datastore_fd, 1);
	pthread_mutex_unlock(&b->lock);
	if (r < 0) {
		broker_client_free(b);
		return r;
	}
	*ret = b;
	return 0;
}

void broker_client_free(struct broker_client *b)
{
	if (!b)
		return;
	close(b->socket);
	pthread_mutex_destroy(&b->lock);
	free(b);
}
