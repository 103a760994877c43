/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/scratch.h - a directory of its own for a test, gone afterwards whatever happens.
 *
 *     int main(void) { return scratch_run(test); }     test(dir) ends with check()s
 *
 * The test runs in a child in its own process group: a test that fails, crashes or is stopped
 * leaves neither files nor processes behind.
 */
#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t scratch_child;

static inline int scratch_remove_one(const char *path, const struct stat *st, int type,
				     struct FTW *walk)
{
	return remove(path);
}

static inline void scratch_remove(const char *dir)
{
	nftw(dir, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void scratch_stop(int sig)
{
	kill(-scratch_child, SIGKILL); /* the wait below ends, and cleans up */
}

static inline int scratch_run_in(const char *parent, void (*test)(const char *dir))
{
	char dir[64];
	int status = 0;

	snprintf(dir, sizeof dir, "%s/weir-test-XXXXXX", parent);
	if (!mkdtemp(dir)) {
		perror(dir);
		return 1;
	}
	scratch_child = fork();
	if (scratch_child == 0) {
		setpgid(0, 0);
		test(dir);
		exit(0); /* sanitizers look for leaks here */
	}
	setpgid(scratch_child, scratch_child);
	signal(SIGTERM, scratch_stop);
	signal(SIGINT, scratch_stop);
	while (waitpid(scratch_child, &status, 0) < 0 && errno == EINTR)
		;
	kill(-scratch_child, SIGKILL);
	scratch_remove(dir);
	if (WIFSIGNALED(status))
		fprintf(stderr, "the test ended with signal %d\n", WTERMSIG(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static inline int scratch_run(void (*test)(const char *dir))
{
	return scratch_run_in("/var/tmp", test);
}

/* For thousands of commits whose durability does not matter. */
static inline int scratch_run_in_memory(void (*test)(const char *dir))
{
	return scratch_run_in(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/var/tmp", test);
}

#endif
