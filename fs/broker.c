/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/broker.c - weir-broker: does for a confined worker what that may not do itself.
 *
 *     weir-broker [-f]      descriptor 3: its end of a SEQPACKET socket pair with the worker;
 *                           -f: log to stderr
 *
 * Started by the holder beside each worker; ends when the worker's end of the socket is closed.
 * The duties are in fs/broker_xattr.c, fs/broker_file_users.c and fs/broker_run.c; what may be
 * asked is in fs/broker_wire.h.  libc only, and no parsing of anything but fixed structs.
 *
 * Invariant  whatever it is asked, it changes nothing but xattrs in two namespaces of files beneath
 *            the datastore, and starts nothing but programs of its own table.
 * Blocks     only for an xattr call on a backing filesystem that hangs: the search in /proc and
 *            the programs are children.  The worker gives up waiting after a while.
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/handle.h"
#include "base/log.h"
#include "base/paths.h"
#include "fs/broker_duties.h"
#include "fs/broker_wire.h"

#define HOLDERS_LIMIT_MS 2000

struct broker {
	char datastore[PATH_MAX]; /* "": nobody said hello */
	int root;		  /* its descriptor */
	char *recogniser;	  /* NULL: it is not where it should be */
	pid_t worker;
	struct broker_commands commands;
	char value[BROKER_VALUE_MAX];
};

/* A question with what came beside it; the duties take descriptors out of it. */
struct asked {
	struct broker_question q;
	int fd[BROKER_FILES_MAX];
	size_t n;
};

static void asked_done(struct asked *a)
{
	for (size_t i = 0; i < a->n; i++)
		closep(&a->fd[i]);
}

static void answer(const struct asked *a, long r, const char *value)
{
	struct broker_answer out = {.version = BROKER_VERSION,
				    .result = r < 0 ? (int32_t)r : 0,
				    .serial = a->q.serial,
				    .value_len = value && r > 0 ? (uint32_t)r : 0};

	if (broker_send(BROKER_SOCKET, &out, sizeof out, value, out.value_len, NULL, 0) < 0)
		log_debug("the worker did not wait for an answer, ignoring");
}

/* ---- the duties ---------------------------------------------------------------------------- */

static int hello(struct broker *b, struct asked *a)
{
	char link[32];
	ssize_t n;

	if (*b->datastore)
		return -EALREADY;
	if (a->n != 1)
		return -EINVAL;
	snprintf(link, sizeof link, "/proc/self/fd/%d", a->fd[0]);
	n = readlink(link, b->datastore, sizeof b->datastore - 1);
	b->datastore[MAX(n, 0)] = 0;
	b->worker = a->q.worker;
	if (b->datastore[0] != '/') {
		b->datastore[0] = 0;
		return -EINVAL;
	}
	b->root = TAKE_FD(a->fd[0]);
	return 0;
}

static int connect_handle(struct broker *b, const struct asked *a)
{
	_cleanup_(closep) int fd = -1;
	struct handle h;

	if (!*b->datastore || a->q.value_len != sizeof h)
		return -EINVAL;
	memcpy(&h, b->value, sizeof h);
	fd = handle_open(b->root, &h, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return MIN(fd, 0);
}

static void xattr(struct broker *b, const struct asked *a)
{
	long r = -EACCES;

	if (a->n != 1)
		r = -EINVAL;
	else if (*b->datastore && broker_is_beneath(a->fd[0], b->datastore))
		r = broker_xattr(&a->q, a->fd[0], b->value);
	answer(a, r, a->q.kind == BROKER_XATTR_SET ? NULL : b->value);
}

/* In a child, which answers itself. */
static int file_users(struct broker *b, const struct asked *a)
{
	pid_t pid;

	if (b->commands.n == BROKER_COMMANDS_MAX)
		return -EAGAIN;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid > 0)
		return broker_command_watch(&b->commands, pid, -1, HOLDERS_LIMIT_MS);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	answer(a,
	       (long)broker_find_users(a->q.device, a->q.backing, a->q.ino, b->worker, b->value,
					 sizeof b->value),
	       b->value);
	_exit(0);
}

/* Searched for again while it is not there: it may be installed again under our feet. */
static const char *find_program(struct broker *b, uint32_t program)
{
	if (program != BROKER_RECOGNISE)
		return NULL;
	if (b->recogniser && access(b->recogniser, X_OK) == 0)
		return b->recogniser;
	free(b->recogniser);
	b->recogniser = NULL;
	return paths_find_program("weir-recognise", &b->recogniser) < 0 ? NULL : b->recogniser;
}

static bool is_pipe(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

static int run(struct broker *b, struct asked *a)
{
	const char *path = find_program(b, a->q.program);
	int r;

	if (!path)
		return -ENOENT;
	if (a->n != 3 || !is_pipe(a->fd[2]) || a->q.limit_ms > BROKER_RUN_MAX_MS)
		return -EINVAL;
	if (fcntl(a->fd[2], F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	r = broker_command_start(&b->commands, path, a->fd[0], a->fd[1], a->fd[2], a->q.limit_ms);
	if (r == 0)
		a->fd[2] = -1; /* its ending is told there */
	return r;
}

static void serve(struct broker *b, struct asked *a)
{
	int r;

	switch (a->q.kind) {
	case BROKER_HELLO:
		answer(a, hello(b, a), NULL);
		return;
	case BROKER_XATTR_GET:
	case BROKER_XATTR_SET:
	case BROKER_XATTR_REMOVE:
	case BROKER_XATTR_LIST:
		xattr(b, a);
		return;
	case BROKER_CONNECT:
		answer(a, connect_handle(b, a), NULL);
		return;
	case BROKER_FILE_USERS:
		r = file_users(b, a);
		if (r < 0)
			answer(a, r, NULL);
		return;
	case BROKER_RUN:
		answer(a, run(b, a), NULL);
		return;
	default:
		answer(a, -EINVAL, NULL);
	}
}

/* ---- the loop ------------------------------------------------------------------------------ */

/* -EPIPE: the worker is gone.  What is no question is dropped without an answer. */
static int serve_one(struct broker *b)
{
	_cleanup_(asked_done) struct asked a = {0};
	long r = broker_receive(BROKER_SOCKET, &a.q, sizeof a.q, b->value, sizeof b->value, a.fd,
				&a.n);

	if (r == -EPROTO)
		return 0;
	if (r < 0)
		return (int)r;
	if (a.q.version != BROKER_VERSION)
		answer(&a, -EPROTO, NULL);
	else if (a.q.value_len != (uint64_t)r || !memchr(a.q.name, 0, sizeof a.q.name))
		answer(&a, -EINVAL, NULL);
	else
		serve(b, &a);
	return 0;
}

static int loop(struct broker *b)
{
	struct pollfd fds[1 + BROKER_COMMANDS_MAX] = {{.fd = BROKER_SOCKET, .events = POLLIN}};
	int wait_ms, r = 0;
	size_t n;

	while (r == 0) {
		n = broker_commands_wait(&b->commands, fds + 1, &wait_ms);
		if (poll(fds, 1 + n, wait_ms) < 0 && errno != EINTR)
			return -errno;
		broker_commands_tend(&b->commands);
		if (fds[0].revents)
			r = serve_one(b);
	}
	return r == -EPIPE ? 0 : r;
}

/* Descriptors 0, 1 and 2 exist, so that no other takes their place. */
static void prepare(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd < 3);
	if (fd >= 0)
		close(fd);
	fcntl(BROKER_SOCKET, F_SETFD, FD_CLOEXEC);
	close_range(BROKER_SOCKET + 1, ~0u, 0);
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_NAME, "weir-broker");
	setrlimit(RLIMIT_CORE, &(struct rlimit){0});
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN); /* the worker's end is our signal; a terminal's is not */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
}

int main(int argc, char **argv)
{
	static struct broker b;
	int r;

	prepare();
	if (argc < 2 || strcmp(argv[1], "-f"))
		log_to_syslog("weir-broker");
	find_program(&b, BROKER_RECOGNISE);
	r = loop(&b);
	if (r < 0)
		log_error("the broker ends: %s", strerror(-r));
	broker_commands_kill(&b.commands);
	return r < 0 ? 1 : 0;
}
