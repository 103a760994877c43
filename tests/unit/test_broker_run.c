/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/test_broker_run.c - programs that hang, fork, ignore signals; none outlives its limit,
 * and none keeps the broker from its other duties. */
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/xattr.h>
#include <time.h>

#include "base/cleanup.h"
#include "tests/unit/broker_rig.h"

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Start the script; its output and its ending come out of the two descriptors. */
static void run(struct broker_rig *rig, uint32_t limit_ms, int *ret_out, int *ret_status)
{
	_cleanup_(closep) int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int ends[2];

	check(pipe2(ends, O_CLOEXEC) == 0);
	check(broker_run(rig->client, BROKER_RECOGNISE, in, ends[1], limit_ms, ret_status) == 0);
	close(ends[1]);
	*ret_out = ends[0];
}

static void start(struct broker_rig *rig, const char *body, uint32_t limit_ms, int *ret_out,
		  int *ret_status)
{
	rig_script(rig, body);
	run(rig, limit_ms, ret_out, ret_status);
}

static void expect_end(int status_fd, bool timed_out, double latest)
{
	struct broker_exit end;
	double begun = seconds();

	check(read(status_fd, &end, sizeof end) == sizeof end);
	check(end.timed_out == timed_out && seconds() - begun < latest);
	check(!timed_out || (WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGKILL));
	close(status_fd);
}

/* Nobody holds the other end any more: the program and all that it started are gone. */
static void expect_silence(int out)
{
	char text[512];
	ssize_t n;

	while ((n = read(out, text, sizeof text)) > 0)
		;
	check(n == 0);
	close(out);
}

static void limits(struct broker_rig *rig)
{
	static const char *const bad[] = {
		"exec sleep 60",
		"trap '' TERM INT HUP; while :; do sleep 1; done",
		"(sleep 60 & sleep 60 & wait) & wait",
		"while :; do :; done",
	};
	int out, status;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		start(rig, bad[i], 200, &out, &status);
		expect_end(status, true, 2);
		expect_silence(out);
	}
	start(rig, "sleep 60 & exit 3", 5000, &out, &status);
	expect_end(status, false, 2);
	expect_silence(out);
}

/* While 32 programs run, questions are answered; one more is refused. */
static void others_go_on(struct broker_rig *rig)
{
	int out[32], status[32], refused, in = open("/dev/null", O_RDWR | O_CLOEXEC);
	_cleanup_(freep) char *lines = NULL;
	double begun = seconds();

	rig_script(rig, "read line; exec sleep 60"); /* of /dev/null: the script was read */
	for (int i = 0; i < 32; i++)
		run(rig, 10000, &out[i], &status[i]);
	check(broker_run(rig->client, BROKER_RECOGNISE, in, in, 100, &refused) == -EAGAIN);
	check(broker_getxattr(rig->client, in, "trusted.none", NULL, 0) == -EACCES);
	check(seconds() - begun < 10);
	for (int i = 0; i < 32; i++) {
		expect_end(status[i], true, 15);
		expect_silence(out[i]);
	}
	check(broker_file_users(rig->client, 1, 1, 1, &lines) == 0 && !*lines);
	close(in);
}

static void no_trust(struct broker_rig *rig)
{
	int in = open("/dev/null", O_RDWR | O_CLOEXEC), status;

	check(broker_run(rig->client, 77, in, in, 100, &status) == -ENOENT);
	check(broker_run(rig->client, BROKER_RECOGNISE, in, in, BROKER_RUN_MAX_MS + 1, &status) ==
	      -EINVAL);
	close(in);
}

/* What runs ends with the broker, and the client says EIO from then on. */
static void broker_dies(struct broker_rig *rig)
{
	struct broker_exit end;
	int out, status;

	start(rig, "exec sleep 60", 60000, &out, &status);
	check(kill(rig->pid, SIGKILL) == 0 && waitpid(rig->pid, NULL, 0) == rig->pid);
	check(read(status, &end, sizeof end) == 0);
	expect_silence(out);
	check(broker_run(rig->client, BROKER_RECOGNISE, 0, 1, 100, &status) == -EIO);
	check(broker_getxattr(rig->client, 0, "trusted.none", NULL, 0) == -EIO);
	broker_client_free(rig->client);
}

static void test(const char *dir)
{
	struct broker_rig rig;

	rig_open(&rig, dir);
	limits(&rig);
	others_go_on(&rig);
	no_trust(&rig);
	rig_close(&rig);
	rig_open(&rig, dir);
	broker_dies(&rig);
}

int main(void)
{
	return scratch_run(test);
}
