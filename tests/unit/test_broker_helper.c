/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/test_broker_helper.c - what a helper program gets, and what becomes of its answer. */
#include "base/cleanup.h"
#include "fs/helper.h"
#include "tests/unit/broker_rig.h"

/* Run @body over a file that holds "content"; its answer, or NULL with *ret_r and the reason. */
static char *run(struct broker_rig *rig, const char *body, int *ret_r, char **ret_why)
{
	char file[4096], *answer = NULL;
	_cleanup_(closep) int fd = -1;

	snprintf(file, sizeof file, "%s/file", rig->dir);
	fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	check(fd >= 0 && pwrite(fd, "content", 7, 0) == 7);
	rig_script(rig, body);
	*ret_r = helper_run(rig->client, fd, &answer, ret_why);
	return answer;
}

static void check_answer(struct broker_rig *rig, const char *body, const char *expected)
{
	_cleanup_(freep) char *why = NULL, *answer = NULL;
	int r;

	answer = run(rig, body, &r, &why);
	if (r < 0 || strcmp(answer, expected))
		fprintf(stderr, "%s: %d \"%s\"\n", body, r, answer ? answer : why);
	check(r == 0 && !why && !strcmp(answer, expected));
}

static void check_failure(struct broker_rig *rig, const char *body, int expected, const char *word)
{
	_cleanup_(freep) char *why = NULL, *answer = NULL;
	int r;

	answer = run(rig, body, &r, &why);
	check(r == expected && !answer && why && strstr(why, word));
}

static void surroundings(struct broker_rig *rig)
{
	check_answer(rig, "cat", "content");
	check_answer(rig, "echo ${SECRET-none}", "none\n");
	check_answer(rig, "/usr/bin/env | sed 's/=.*//' | sort | tr '\\n' ' '",
		     "LANG PATH PWD "); /* the last one is the shell's own */
	check_answer(rig, "pwd", "/\n");
	check_answer(rig, /* the shell has its script open as 10 */
		     "for fd in 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$fd ] && echo $fd; done; :", "");
	check_answer(rig, "grep SigBlk /proc/self/status | tr -d '\\t'",
		     "SigBlk:0000000000000000\n");
	check_answer(rig, "grep SigIgn /proc/self/status | tr -d '\\t'",
		     "SigIgn:0000000000000000\n");
}

static void test(const char *dir)
{
	_cleanup_(closep) int inherited = open("/dev/null", O_RDONLY); /* without O_CLOEXEC */
	_cleanup_(freep) char *why = NULL, *answer = NULL;
	struct broker_rig rig;

	check(inherited >= 0);
	setenv("SECRET", "x", 1);
	rig_open(&rig, dir);
	surroundings(&rig);
	check_answer(&rig, "", "");
	check_answer(&rig, "sleep 60 & echo what it leaves behind is ended", "what it leaves behind "
		     "is ended\n");
	check_failure(&rig, "exit 7", -EIO, "failed with 7");
	check_failure(&rig, "kill -KILL $$", -EIO, "signal 9");
	check_failure(&rig, "yes", -EIO, "too much");
	rig_script(&rig, "");
	check(helper_run(rig.client, -1, &answer, &why) == -EBADF && !answer && why);
	rig_close(&rig);
}

int main(void)
{
	return scratch_run(test);
}
