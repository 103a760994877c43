/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/catalog_check.c - the child that walks the catalog before anybody opens it.
 *
 * The walk (catalog_walk.c) is careful, but a medium that cannot be read kills who has it mapped,
 * and so would a mistake in the walk itself.  So a short-lived child does it and reports through a
 * pipe; a child that does not report is the report.
 *
 * Refuses    to wait for ever: a limit of time that grows with the file, then -ETIMEDOUT.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/catalog_internal.h"
#include "base/cleanup.h"

#define CHECK_SECONDS	       30
#define CHECK_BYTES_PER_SECOND (16 << 20) /* the slowest medium we wait for */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

__attribute__((noreturn)) static void child(int pipe_fd, const char *path,
					    const struct catalog_identity *who)
{
	static const int fatal[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGTERM};
	struct catalog_verdict v;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CORE, &(struct rlimit){0});
	for (size_t i = 0; i < ARRAY_SIZE(fatal); i++)
		signal(fatal[i], SIG_DFL);

	catalog_walk(path, who, &v);
	_exit(write(pipe_fd, &v, sizeof v) == sizeof v ? 0 : 1);
}

/* The child's verdict, -EUCLEAN when it ends without one, -ETIMEDOUT. */
static void await_verdict(int pipe_fd, int64_t limit_ms, struct catalog_verdict *ret)
{
	struct pollfd p = {.fd = pipe_fd, .events = POLLIN};
	int64_t end = now_ms() + limit_ms, left;
	int r;

	do {
		left = end - now_ms();
		r = poll(&p, 1, left > 0 ? (int)left : 0);
	} while (r < 0 && errno == EINTR);

	if (r <= 0) {
		ret->result = -ETIMEDOUT;
		snprintf(ret->why, sizeof ret->why, "reading it takes longer than %d s",
			 (int)(limit_ms / 1000));
	} else if (read(pipe_fd, ret, sizeof *ret) != sizeof *ret) {
		ret->result = -EUCLEAN;
		ret->why[0] = '\0'; /* how the child ended says more */
	}
}

static void reap(pid_t pid, struct catalog_verdict *v)
{
	int status = 0;

	if (v->result == -ETIMEDOUT)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (v->result == -ETIMEDOUT || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
		return;
	v->result = -EUCLEAN;
	if (WIFSIGNALED(status))
		snprintf(v->why, sizeof v->why, "reading it ended with signal %d (%s)",
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(v->why, sizeof v->why, "reading it ended without a result");
}

static int check_file(const char *path, const struct catalog_identity *who, uint64_t bytes,
		      struct catalog_verdict *ret)
{
	_cleanup_(closep) int from_child = -1;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	from_child = fds[0];
	pid = fork();
	if (pid == 0)
		child(fds[1], path, who);
	close(fds[1]);
	if (pid < 0)
		return -EAGAIN;

	await_verdict(from_child,
		      (CHECK_SECONDS + (int64_t)(bytes / CHECK_BYTES_PER_SECOND)) * 1000, ret);
	reap(pid, ret);
	return 0;
}

int catalog_check_in_child(const char *dir, const struct catalog_identity *who, char **ret_why)
{
	struct catalog_verdict v = {0};
	char path[4096];
	struct stat st;
	int r;

	if ((size_t)snprintf(path, sizeof path, "%s/%s/data.mdb", dir, CATALOG_DIRECTORY) >=
	    sizeof path)
		return -ENAMETOOLONG;
	r = catalog_refuse_network(dir);
	if (r == 0 && stat(path, &st) < 0)
		r = -errno;
	if (r == 0 && sodium_init() < 0)
		r = -ENOSYS;
	if (r == 0)
		r = check_file(path, who, st.st_size, &v);
	if (r == 0)
		r = v.result;
	if (r == 0 || !ret_why)
		return r;

	if (asprintf(ret_why, "%s: %s", path, v.why[0] ? v.why : strerror(-r)) < 0)
		*ret_why = NULL;
	return r;
}
