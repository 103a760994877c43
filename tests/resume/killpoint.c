/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/resume/killpoint.c - kill a process at its n-th system call from now on.
 *
 *     killpoint PID N entry|exit
 *
 * Says "ready" when every thread of PID is watched, then counts system calls of all threads (not
 * those that only wait or look at the clock).  At the entry of the n-th, before it has done
 * anything, or at its exit, when it has done all but its caller does not know, the process gets
 * SIGKILL: "killed NAME SEEN", exit code 0.  When standard input ends first, the process is let
 * go unharmed: "spared - SEEN", exit code 3.
 *
 * Always  it waits for the death it caused: before that the killed one's parent is told nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/ptrace.h>
#include <unistd.h>

#define THREADS_MAX 256
#define OPTIONS	    (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE)

static const struct {
	long number;
	const char *name;
} names[] = {
#define NAME(x)                                                                                    \
	{                                                                                          \
		SYS_##x, #x                                                                        \
	}
	NAME(mkdirat),
	NAME(mknodat),
	NAME(symlinkat),
	NAME(linkat),
	NAME(unlinkat),
	NAME(renameat),
	NAME(renameat2),
	NAME(openat),
	NAME(openat2),
	NAME(open_by_handle_at),
	NAME(name_to_handle_at),
	NAME(setxattr),
	NAME(lsetxattr),
	NAME(fsetxattr),
	NAME(removexattr),
	NAME(lremovexattr),
	NAME(fremovexattr),
	NAME(getxattr),
	NAME(fgetxattr),
	NAME(lgetxattr),
	NAME(fchmod),
	NAME(fchmodat),
	NAME(fchown),
	NAME(fchownat),
	NAME(ftruncate),
	NAME(fallocate),
	NAME(pwrite64),
	NAME(pwritev),
	NAME(pread64),
	NAME(preadv),
	NAME(write),
	NAME(writev),
	NAME(fsync),
	NAME(fdatasync),
	NAME(sendmsg),
	NAME(recvmsg),
	NAME(ioctl),
	NAME(close),
	NAME(newfstatat),
	NAME(fstat),
	NAME(statx),
	NAME(fcntl),
	NAME(setresuid),
	NAME(setresgid),
	NAME(setgroups),
	NAME(setfsuid),
	NAME(setfsgid),
	NAME(getdents64),
	NAME(lseek),
	NAME(utimensat),
	NAME(umask),
	NAME(copy_file_range),
	NAME(sync_file_range),
	NAME(splice),
	NAME(mmap),
	NAME(munmap),
	NAME(madvise),
	NAME(dup),
	NAME(readlinkat),
	NAME(faccessat2),
	NAME(flock),
};

static const long quiet[] = {SYS_read,		 SYS_futex,	      SYS_clock_nanosleep,
			     SYS_clock_gettime,	 SYS_restart_syscall, SYS_poll,
			     SYS_ppoll,		 SYS_epoll_wait,      SYS_nanosleep,
			     SYS_rt_sigprocmask, SYS_rt_sigtimedwait, SYS_gettid};

struct watch {
	pid_t pid;
	pid_t threads[THREADS_MAX];
	unsigned n;
	unsigned long seen, at;
	bool at_exit;
	long last; /* number of the call at which it was killed */
};

static const char *name_of(long number)
{
	static char text[32];
	size_t i;

	for (i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].number == number)
			return names[i].name;
	snprintf(text, sizeof text, "call-%ld", number);
	return text;
}

static bool is_quiet(long number)
{
	size_t i;

	for (i = 0; i < sizeof quiet / sizeof *quiet; i++)
		if (quiet[i] == number)
			return true;
	return false;
}

static void child_moved(int number)
{
}

static void seize_all(struct watch *w)
{
	char path[64];
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%d/task", w->pid);
	dir = opendir(path);
	while (dir && (e = readdir(dir))) {
		pid_t tid = atoi(e->d_name);

		if (tid <= 0 || w->n == THREADS_MAX)
			continue;
		if (ptrace(PTRACE_SEIZE, tid, NULL, OPTIONS) < 0)
			continue;
		ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
		waitpid(tid, NULL, __WALL);
		ptrace(PTRACE_SYSCALL, tid, NULL, NULL);
		w->threads[w->n++] = tid;
	}
	if (dir)
		closedir(dir);
	if (!w->n) {
		perror("killpoint: cannot watch");
		exit(2);
	}
}

/* Whether the thread stands at the call we wait for. */
static bool is_the_one(struct watch *w, pid_t tid)
{
	struct ptrace_syscall_info info;
	static long entered[1 << 22]; /* by tid: sparse */

	if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, &info) <= 0)
		return false;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
		long number = (long)info.entry.nr;

		entered[tid] = 0;
		if (is_quiet(number) || ++w->seen != w->at)
			return false;
		w->last = number;
		entered[tid] = 1;
		return !w->at_exit;
	}
	return info.op == PTRACE_SYSCALL_INFO_EXIT && w->at_exit && entered[tid];
}

static void wait_for_the_end(void)
{
	while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
		;
}

static int kill_now(struct watch *w)
{
	kill(w->pid, SIGKILL);
	wait_for_the_end();
	printf("killed %s %lu\n", name_of(w->last), w->seen);
	return 0;
}

static void note_thread(struct watch *w, pid_t tid)
{
	unsigned i;

	for (i = 0; i < w->n; i++)
		if (w->threads[i] == tid)
			return;
	if (w->n < THREADS_MAX)
		w->threads[w->n++] = tid;
}

/* One stop of one thread; true: this was the moment. */
static bool on_stop(struct watch *w, pid_t tid, int status)
{
	int number = WSTOPSIG(status);

	note_thread(w, tid);
	if (number == (SIGTRAP | 0x80)) {
		if (is_the_one(w, tid))
			return true;
		number = 0;
	} else if (status >> 16) {
		if (status >> 16 == PTRACE_EVENT_STOP && (number == SIGSTOP || number == SIGTSTP)) {
			ptrace(PTRACE_LISTEN, tid, NULL, NULL);
			return false;
		}
		number = 0;
	}
	ptrace(PTRACE_SYSCALL, tid, NULL, number);
	return false;
}

static int let_go(struct watch *w)
{
	unsigned i;
	int status;

	for (i = 0; i < w->n; i++) {
		if (ptrace(PTRACE_INTERRUPT, w->threads[i], NULL, NULL) < 0)
			continue;
		if (waitpid(w->threads[i], &status, __WALL) > 0 && WIFSTOPPED(status))
			ptrace(PTRACE_DETACH, w->threads[i], NULL, NULL);
	}
	printf("spared - %lu\n", w->seen);
	return 3;
}

int main(int argc, char **argv)
{
	static struct watch w;
	struct pollfd in = {.fd = 0, .events = POLLIN};
	sigset_t blocked, open;
	int status;
	pid_t tid;

	if (argc != 4)
		return 2;
	w.pid = atoi(argv[1]);
	w.at = strtoul(argv[2], NULL, 10);
	w.at_exit = !strcmp(argv[3], "exit");
	sigaction(SIGCHLD, &(struct sigaction){.sa_handler = child_moved}, NULL);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, &open);
	seize_all(&w);
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		while ((tid = waitpid(-1, &status, __WALL | WNOHANG)) > 0)
			if (WIFSTOPPED(status) && on_stop(&w, tid, status))
				return kill_now(&w);
		if (tid < 0 && errno == ECHILD) {
			printf("died - %lu\n", w.seen);
			return 4;
		}
		if (ppoll(&in, 1, NULL, &open) > 0)
			return let_go(&w);
	}
}
