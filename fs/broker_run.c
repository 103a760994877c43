/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/broker_run.c - the broker's third duty: programs run on the worker's behalf.
 *
 * The worker may not execute anything, and nothing of it (environment, descriptors, confinement)
 * reaches a program.  Each runs in a process group of its own, which is killed as a whole at the
 * limit and after the program's end; one that leaves its group on purpose gets away with it, so
 * only programs that root has chosen are run at all.
 *
 * States of a command: running - over (at its limit; its group was sent SIGKILL) - gone (reaped,
 * reported, its place free).  Its pid is its own until it is reaped, so no signal hits another.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "base/cleanup.h"
#include "fs/broker_duties.h"
#include "fs/broker_wire.h"

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- in the child ------------------------------------------------------------------------- */

static void default_signals(void)
{
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* @in and @out are above 2 (the broker has 0, 1 and 2 open), so no dup2 runs over another. */
__attribute__((noreturn)) static void become(const char *path, int in, int out, pid_t broker)
{
	static char search[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	static char language[] = "LANG=C";
	char *environment[] = {search, language, NULL};
	char *argv[] = {(char *)(uintptr_t)path, NULL};
	int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != broker) /* it died before that */
		_exit(126);
	default_signals();
	umask(077);
	if (nowhere < 0 || chdir("/") < 0 || dup2(in, STDIN_FILENO) < 0 ||
	    dup2(out, STDOUT_FILENO) < 0 || dup2(nowhere, STDERR_FILENO) < 0 ||
	    close_range(3, ~0u, 0) < 0)
		_exit(126);
	execve(path, argv, environment);
	_exit(127);
}

/* ---- in the broker ------------------------------------------------------------------------ */

int broker_command_watch(struct broker_commands *c, pid_t pid, int status, uint32_t limit_ms)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int r = pidfd < 0 ? -errno : 0;

	setpgid(pid, pid); /* before anybody could want to kill the group */
	if (r < 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return r;
	}
	fcntl(pidfd, F_SETFD, FD_CLOEXEC);
	c->running[c->n++] = (struct broker_command){
		.pid = pid, .pidfd = pidfd, .status = status, .until_ms = now_ms() + limit_ms};
	return 0;
}

int broker_command_start(struct broker_commands *c, const char *path, int in, int out, int status,
			 uint32_t limit_ms)
{
	pid_t broker = getpid(), pid;

	if (c->n == BROKER_COMMANDS_MAX)
		return -EAGAIN;
	if (access(path, X_OK) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		become(path, in, out, broker);
	return pid < 0 ? -errno : broker_command_watch(c, pid, status, limit_ms);
}

size_t broker_commands_wait(const struct broker_commands *c, struct pollfd *ret, int *ret_ms)
{
	int64_t next = INT64_MAX, left;

	for (size_t i = 0; i < c->n; i++) {
		ret[i] = (struct pollfd){.fd = c->running[i].pidfd, .events = POLLIN};
		if (!c->running[i].timed_out)
			next = MIN(next, c->running[i].until_ms);
	}
	left = next == INT64_MAX ? -1 : MAX(next - now_ms(), 0);
	*ret_ms = (int)left;
	return c->n;
}

/* What it left in its group goes with it; the group's number is safe until the reaping. */
static bool reap(struct broker_command *one, struct broker_exit *ret)
{
	siginfo_t info = {0};

	if (waitid(P_PID, (id_t)one->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || !info.si_pid)
		return false;
	kill(-one->pid, SIGKILL);
	if (waitpid(one->pid, &ret->status, 0) < 0)
		ret->status = -1;
	ret->timed_out = one->timed_out;
	return true;
}

/* The pipe is empty and larger than this, unless somebody plays with it: then he does not hear. */
static void report(struct broker_command *one, const struct broker_exit *ending)
{
	ssize_t told;

	close(one->pidfd);
	if (one->status < 0)
		return;
	told = write(one->status, ending, sizeof *ending);
	(void)told;
	close(one->status);
}

void broker_commands_tend(struct broker_commands *c)
{
	int64_t now = now_ms();
	size_t kept = 0;

	for (size_t i = 0; i < c->n; i++) {
		struct broker_command one = c->running[i];
		struct broker_exit ending = {0};

		if (reap(&one, &ending)) {
			report(&one, &ending);
			continue;
		}
		if (!one.timed_out && now >= one.until_ms) {
			one.timed_out = true;
			kill(-one.pid, SIGKILL);
		}
		c->running[kept++] = one;
	}
	c->n = kept;
}

void broker_commands_kill(struct broker_commands *c)
{
	for (size_t i = 0; i < c->n; i++)
		kill(-c->running[i].pid, SIGKILL);
	for (size_t i = 0; i < c->n; i++)
		waitpid(c->running[i].pid, NULL, 0);
	c->n = 0;
}
