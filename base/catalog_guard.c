/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/catalog_guard.c - see base/catalog_guard.h. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>

#include "base/catalog_guard.h"

static _Thread_local sigjmp_buf *volatile guard; /* NULL: the thread is outside */
static struct sigaction before;

void catalog_guard_fault(void)
{
	sigset_t set;

	if (!guard)
		return;
	sigemptyset(&set);
	sigaddset(&set, SIGBUS);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL); /* the handler is left without returning */
	siglongjmp(*guard, 1);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
	catalog_guard_fault();
	sigaction(SIGBUS, &before, NULL); /* not ours: it comes again, and goes there */
}

static void install(void)
{
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};

	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, &action, &before);
}

void catalog_guard_install(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, install);
}

int catalog_guard(int (*run)(void *data), void *data)
{
	sigjmp_buf back;
	int r;

	if (guard)
		return run(data);
	if (sigsetjmp(back, 0)) {
		guard = NULL;
		return -EIO;
	}
	guard = &back;
	r = run(data);
	guard = NULL;
	return r;
}
