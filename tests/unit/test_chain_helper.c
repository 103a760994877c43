/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/test_chain_helper.c - what a helper program gets, and what becomes of its answer. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "fs/helper.h"
#include "tests/unit/check.h"
#include "tests/unit/scratch.h"

static char *script(const char *dir, const char *body)
{
	static char path[4096];
	FILE *f;

	snprintf(path, sizeof path, "%s/helper", dir);
	unlink(path);
	f = fopen(path, "w");
	check(f);
	fprintf(f, "#!/bin/sh\n%s\n", body);
	fclose(f);
	check(chmod(path, 0755) == 0);
	return path;
}

/* Run @body over a file that holds "content"; its answer, or NULL with *ret_r and the reason. */
static char *run(const char *dir, const char *body, int *ret_r, char **ret_why)
{
	char file[4096], *answer = NULL;
	_cleanup_(closep) int fd = -1;

	snprintf(file, sizeof file, "%s/file", dir);
	fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	check(fd >= 0 && pwrite(fd, "content", 7, 0) == 7);
	*ret_r = helper_run(script(dir, body), fd, &answer, ret_why);
	check(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
	return answer;
}

static void check_answer(const char *dir, const char *body, const char *expected)
{
	_cleanup_(freep) char *why = NULL, *answer = NULL;
	int r;

	answer = run(dir, body, &r, &why);
	check(r == 0 && !why);
	if (strcmp(answer, expected))
		fprintf(stderr, "%s: \"%s\"\n", body, answer);
	check(!strcmp(answer, expected));
}

static void check_failure(const char *dir, const char *body, int expected, const char *word)
{
	_cleanup_(freep) char *why = NULL, *answer = NULL;
	int r;

	answer = run(dir, body, &r, &why);
	check(r == expected && !answer && why && strstr(why, word));
}

static void test(const char *dir)
{
	_cleanup_(closep) int inherited = open("/dev/null", O_RDONLY); /* without O_CLOEXEC */
	_cleanup_(freep) char *why = NULL, *answer = NULL;
	sigset_t all;

	check(inherited >= 0);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	setenv("SECRET", "x", 1);
	check_answer(dir, "cat", "content");
	check_answer(dir, "echo ${SECRET-none}", "none\n");
	check_answer(dir, /* the shell has its script open as 10 */
		     "for fd in 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$fd ] && echo $fd; done; :", "");
	check_answer(dir, "grep SigBlk /proc/self/status | tr -d '\\t'",
		     "SigBlk:0000000000000000\n");
	check_answer(dir, "", "");
	check_failure(dir, "exit 7", -EIO, "failed with 7");
	check_failure(dir, "kill -KILL $$", -EIO, "signal 9");
	check_failure(dir, "yes", -EIO, "too much");
	check(helper_run("/nonexistent", 0, &answer, &why) == -ENOENT && !answer && why);
}

int main(void)
{
	return scratch_run(test);
}
