/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/fault.c - see fs/fault.h. */
#include <execinfo.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "base/catalog_guard.h"
#include "base/stage.h"
#include "fs/fault.h"
#include "fs/fs.h"

#define STACK_SIZE (64u << 10)
#define MAX_CALLS  64

static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS};

/* Handlers find what they need nowhere else: set before there are threads. */
static struct sigaction before[ARRAY_SIZE(signals)];
static int report_to = -1;

static _Thread_local struct slate_request *borrowed; /* in background work */
static _Thread_local void *handler_stack;

/* ---- in a handler ------------------------------------------------------------------------ */

static struct slate_request *slot_here(void)
{
	return borrowed ? borrowed : session_slot();
}

/* Sent by somebody, and not by our own abort() or raise(). */
static bool is_sent(const siginfo_t *info)
{
	return info->si_code <= 0 && !(info->si_code == SI_TKILL && info->si_pid == getpid());
}

static void mark(struct slate_request *q, int number)
{
	const char *stage = stage_running();
	size_t i = 0;

	for (; stage && stage[i] && i < SLATE_STAGE - 1; i++)
		q->stage[i] = stage[i];
	q->stage[i] = 0;
	q->fault = (uint32_t)number; /* last: it says that the rest is there */
}

static void say(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) < 0)
		return; /* nobody is left to tell */
}

static void say_number(int fd, const char *label, uint64_t n)
{
	char text[24], *p = text + sizeof text;

	*--p = 0;
	do
		*--p = (char)('0' + n % 10);
	while (n /= 10);
	say(fd, label);
	say(fd, p);
}

static void report(int fd, int number, const struct slate_request *q)
{
	void *calls[MAX_CALLS];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	say_number(fd, "weir-worker ", (uint64_t)getpid());
	say_number(fd, ": signal ", (uint64_t)number);
	say_number(fd, ", second ", (uint64_t)now.tv_sec);
	if (q) {
		say_number(fd, ", node ", q->node);
		say_number(fd, ", operation ", q->opcode);
		say(fd, *q->stage ? ", stage " : "");
		say(fd, q->stage);
	}
	say(fd, "\n");
	backtrace_symbols_fd(calls, backtrace(calls, MAX_CALLS), fd);
	say(fd, "\n");
}

/* A second failure, in here, must end the process: so the old action comes back first. */
static void restore(int number)
{
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (signals[i] == number)
			sigaction(number, &before[i], NULL);
}

static bool was_default(int number)
{
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (signals[i] == number)
			return before[i].sa_handler == SIG_DFL;
	return true;
}

static void on_fault(int number, siginfo_t *info, void *context)
{
	struct slate_request *q = slot_here();

	if (number == SIGBUS)
		catalog_guard_fault(); /* a page of the catalog that cannot be read: an error */
	if (q && (q->state != SLATE_RUNNING || is_sent(info)))
		q = NULL;
	if (q)
		mark(q, number);
	restore(number);
	alarm(1); /* whatever the report waits for */
	if (report_to >= 0)
		report(report_to, number, q);
	if (was_default(number) || info->si_code <= 0)
		raise(number);
	/* else a sanitizer wants to see it where it happened: it happens again */
}

/* ---- life -------------------------------------------------------------------------------- */

void fault_catch(int fd)
{
	struct sigaction action = {.sa_sigaction = on_fault,
				   .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
	void *calls[1];

	backtrace(calls, 1); /* loads the unwinder, which a handler must not */
	report_to = fd;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &action, &before[i]);
}

void fault_thread_begin(void)
{
	stack_t stack = {.ss_size = STACK_SIZE};

	handler_stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (handler_stack == MAP_FAILED) {
		handler_stack = NULL; /* then handlers run on the thread's own */
		return;
	}
	stack.ss_sp = handler_stack;
	sigaltstack(&stack, NULL);
}

void fault_thread_end(void)
{
	if (!handler_stack)
		return;
	sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
	munmap(handler_stack, STACK_SIZE);
	handler_stack = NULL;
}

/* ---- whom to blame ------------------------------------------------------------------------ */

static struct slate_request *borrow(struct fs *fs)
{
	struct slate_request *q = fs->slate ? slate_request_take(fs->slate) : NULL;

	if (!q)
		return NULL;
	q->opcode = 0;
	q->thread = (int32_t)gettid();
	q->state = SLATE_RUNNING;
	return q;
}

struct fault_turn fault_turn(struct fs *fs, uint64_t node)
{
	struct fault_turn turn = {.fs = fs, .slot = slot_here()};

	if (!turn.slot) {
		turn.slot = borrowed = borrow(fs);
		turn.borrowed = 1;
	}
	if (turn.slot) {
		turn.before = __atomic_load_n(&turn.slot->node, __ATOMIC_RELAXED);
		__atomic_store_n(&turn.slot->node, node, __ATOMIC_RELAXED);
	}
	return turn;
}

void fault_turn_end(struct fault_turn *turn)
{
	if (!turn->slot)
		return;
	if (!turn->borrowed) {
		__atomic_store_n(&turn->slot->node, turn->before, __ATOMIC_RELAXED);
		return;
	}
	turn->slot->state = SLATE_IDLE;
	borrowed = NULL;
	slate_request_put(turn->fs->slate, turn->slot);
}
