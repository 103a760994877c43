/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/recognise/confined.c - confine as weir-recognise does, then try what is named.
 *
 * Prints "tried" before and "survived" after; the test expects SIGSYS or an error in between.
 * "none" only prints, which shows that the rest of the program works.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/confine.h"

static void say(const char *word)
{
	if (write(STDOUT_FILENO, word, strlen(word)) < 0)
		_exit(2);
}

static long try_none(void)
{
	return 0;
}

static long try_open(void)
{
	return syscall(SYS_open, "/etc/passwd", O_RDONLY);
}

static long try_openat(void)
{
	return openat(AT_FDCWD, "/dev/null", O_RDONLY);
}

static long try_self(void)
{
	return open("/proc/self/fd/0", O_RDONLY);
}

static long try_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static long try_fork(void)
{
	return syscall(SYS_fork);
}

static long try_clone(void)
{
	return syscall(SYS_clone, 0, 0, 0, 0, 0);
}

static long try_execve(void)
{
	char *const argv[] = {NULL};

	return execve("/bin/true", argv, argv);
}

static long try_kill(void)
{
	return syscall(SYS_kill, 1, 0);
}

static long try_ptrace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static long try_executable_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			       MAP_FAILED
		       ? -1
		       : 0;
}

static long try_map_file(void)
{
	return mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 0, 0) == MAP_FAILED ? -1 : 0;
}

static long try_read_other(void)
{
	char c;

	return pread(1, &c, 1, 0);
}

static long try_write_input(void)
{
	return write(0, "x", 1);
}

static long try_pwrite_input(void)
{
	return pwrite(0, "x", 1, 0);
}

static long try_truncate(void)
{
	return ftruncate(0, 0);
}

static long try_ioctl(void)
{
	return syscall(SYS_ioctl, 0, 0, 0);
}

static long try_setuid(void)
{
	return syscall(SYS_setuid, 0);
}

static long try_limits(void)
{
	struct rlimit limit = {1, 1};

	return setrlimit(RLIMIT_NOFILE, &limit);
}

static long try_prctl(void)
{
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static long try_x32_open(void)
{
	return syscall(0x40000000 | SYS_open, "/etc/passwd", O_RDONLY);
}

static long try_memory(void)
{
	return malloc(300u << 20) ? 0 : -1;
}

static long try_loop(void)
{
	volatile int forever = 1;

	while (forever)
		;
	return 0;
}

static const struct {
	const char *name;
	long (*try)(void);
} tries[] = {
	{"none", try_none},
	{"open", try_open},
	{"openat", try_openat},
	{"self", try_self},
	{"socket", try_socket},
	{"fork", try_fork},
	{"clone", try_clone},
	{"execve", try_execve},
	{"kill", try_kill},
	{"ptrace", try_ptrace},
	{"executable-memory", try_executable_memory},
	{"map-file", try_map_file},
	{"read-other", try_read_other},
	{"write-input", try_write_input},
	{"pwrite-input", try_pwrite_input},
	{"truncate", try_truncate},
	{"ioctl", try_ioctl},
	{"setuid", try_setuid},
	{"limits", try_limits},
	{"prctl", try_prctl},
	{"x32-open", try_x32_open},
	{"memory", try_memory},
	{"loop", try_loop},
};

/* The steps alone, without the filter, so that what they left can be looked at. */
static int show_status(const struct confine_limits *limits)
{
	char buf[4096];
	ssize_t n;
	int fd;

	fd = open("/proc/self/status", O_RDONLY);
	if (fd < 0 || confine_privileges() < 0 || confine_names() < 0)
		return 1;
	dprintf(STDOUT_FILENO, "Open:\t%s\n",
		open("/etc/passwd", O_RDONLY) < 0 ? strerror(errno) : "opened");
	if (confine_resources(limits) < 0)
		return 1;
	while ((n = read(fd, buf, sizeof buf)) > 0)
		if (write(STDOUT_FILENO, buf, (size_t)n) != n)
			return 1;
	dprintf(STDOUT_FILENO, "Dumpable:\t%d\n", prctl(PR_GET_DUMPABLE));
	return 0;
}

int main(int argc, char **argv)
{
	const struct confine_limits limits = {.cpu_seconds = 1, .address_space = 256u << 20};
	size_t i;

	if (argc == 2 && strcmp(argv[1], "status") == 0)
		return show_status(&limits);
	if (argc != 2 || confine_reader(&limits) < 0)
		return 1;
	for (i = 0; i < ARRAY_SIZE(tries); i++) {
		if (strcmp(argv[1], tries[i].name) != 0)
			continue;
		say("tried\n");
		say(tries[i].try() < 0 ? "refused\n" : "survived\n");
		return 0;
	}
	return 1;
}
