/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/test_fault_marks.c - a child dies of a signal: what it leaves in the slate. */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/stage.h"
#include "fs/fault.h"
#include "fs/fs.h"
#include "tests/unit/check.h"

static int memfd;
static struct slate *slate;
static struct fs fs;

static void segv(void)
{
	static char *volatile nowhere = (char *)8;

	*nowhere = 1;
}

static void overflow(void)
{
	volatile char room[1 << 16];

	room[0] = 1;
	if (room[0])
		overflow();
	room[1] = 1;
}

static void sent(void)
{
	if (fork() == 0) {
		kill(getppid(), SIGSEGV);
		_exit(0);
	}
	for (;;)
		pause();
}

/* In the child; @node 0: outside of any work. */
static void child(void (*die)(void), uint64_t node)
{
	struct fault_turn turn = {0};

	setrlimit(RLIMIT_CORE, &(struct rlimit){0});
	fault_catch(-1);
	fault_thread_begin();
	if (node)
		turn = fault_turn(&fs, node);
	stage_enter("a-stage-with-a-long-name");
	die();
	fault_turn_end(&turn);
	_exit(0);
}

static const struct slate_request *marked(void)
{
	for (unsigned i = 0; i < SLATE_REQUESTS; i++)
		if (slate_request_at(slate, i)->fault)
			return slate_request_at(slate, i);
	return NULL;
}

static void expect(void (*die)(void), uint64_t node, int number, bool is_marked)
{
	const struct slate_request *q;
	pid_t pid = fork();
	int status;

	if (pid == 0)
		child(die, node);
	check(waitpid(pid, &status, 0) == pid);
	check(WIFSIGNALED(status) && WTERMSIG(status) == number); /* as it would have */
	q = marked();
	check(!is_marked == !q);
	if (!q)
		return;
	check(q->fault == (uint32_t)number && q->node == node);
	check(strcmp(q->stage, "a-stage-with-a-") == 0);
	((struct slate_request *)q)->fault = 0;
	((struct slate_request *)q)->state = SLATE_IDLE;
}

int main(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return 77; /* their own handlers end the process in their own way */
#endif
	memfd = memfd_create("slate", MFD_CLOEXEC);
	check(slate_new(memfd, &slate, NULL) == 0);
	fs.slate = slate;
	expect(segv, 5, SIGSEGV, true);
	expect(abort, 6, SIGABRT, true);
	expect(overflow, 7, SIGSEGV, true);
	expect(segv, 0, SIGSEGV, false);
	expect(sent, 8, SIGSEGV, false);
	slate_free(slate);
	close(memfd);
	return 0;
}
