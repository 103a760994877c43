/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/test_blame_decides.c - from marks in the slate to a quarantine.
 *
 * A worker's death is a second mapping of the same slate, while the first is not used any more.
 */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "fs/abi.h"
#include "fs/blame.h"
#include "fs/slate.h"
#include "tests/unit/check.h"

#define MINUTE (60ull * 1000000000u)

static int memfd;
static struct slate *slate;
static struct blames *blames;

static void next_worker(uint64_t now)
{
	blames_free(blames);
	slate_free(slate);
	check(slate_new(memfd, &slate, NULL) == 0);
	check(blames_new(slate, now, &blames) == 0);
}

static void mark(unsigned index, uint64_t node, uint32_t opcode, int signal, const char *stage)
{
	struct slate_request *q = slate_request_at(slate, index);

	q->node = node;
	q->opcode = opcode;
	strncpy(q->stage, stage, SLATE_STAGE - 1);
	q->fault = (uint32_t)signal;
}

static void die(uint64_t node, uint64_t now)
{
	mark(3, node, FUSE_READ, SIGSEGV, "inspect");
	next_worker(now);
}

static void three_within_the_window(void)
{
	struct slate_blame blame;
	uint64_t nodes[4];

	die(7, 100 * MINUTE);
	die(7, 105 * MINUTE);
	check(!blame_any(blames) && !blame_quarantined(blames, 7, NULL));
	check(blame_fresh(blames, &blame, 1) == 1 && blame.count == 2 && !blame.quarantined);
	next_worker(106 * MINUTE); /* SIGKILL: nobody's */
	check(blame_fresh(blames, &blame, 1) == 0);
	mark(3, 7, FUSE_WRITE, SIGABRT, "limit");
	next_worker(114 * MINUTE);
	check(blame_any(blames) && blame_quarantined(blames, 7, &blame));
	check(blame.count == 3 && blame.signal == SIGABRT && blame.opcode == FUSE_WRITE);
	check(strcmp(blame.stage, "limit") == 0 && blame.last_ns == 114 * MINUTE);
	check(!blame_quarantined(blames, 8, NULL));
	check(blame_list(blames, nodes, 4) == 1 && nodes[0] == 7);

	next_worker(900 * MINUTE); /* it does not end by itself */
	check(blame_quarantined(blames, 7, NULL));
	check(blame_lift(blames, 7) && !blame_lift(blames, 7) && !blame_any(blames));
	die(7, 901 * MINUTE); /* from zero */
	check(!blame_any(blames));
	check(!blame_lift(blames, 7));
}

static void old_faults_are_forgotten(void)
{
	for (unsigned i = 0; i < 10; i++)
		die(9, 1000 * MINUTE + i * 11 * MINUTE);
	check(!blame_any(blames));
	die(9, 500 * MINUTE); /* the clock was set back: a new count */
	die(9, 501 * MINUTE);
	check(!blame_any(blames));
	blame_lift(blames, 9);
}

/* Several threads may fail over the same file at the same moment. */
static void one_death_counts_once(void)
{
	struct slate_blame blame[4];

	for (unsigned i = 0; i < 5; i++)
		mark(i, 11, FUSE_READ, SIGSEGV, "");
	mark(6, 12, FUSE_READ, SIGBUS, "");
	mark(7, 0, FUSE_STATFS, SIGSEGV, ""); /* about no file */
	next_worker(2000 * MINUTE);
	check(blame_fresh(blames, blame, 4) == 2 && blame[0].count == 1 && blame[1].count == 1);
	blame_lift(blames, 11);
	blame_lift(blames, 12);
}

/* More files than there is room for: those in quarantine are kept. */
static void the_oldest_makes_room(void)
{
	for (unsigned i = 0; i < 3; i++)
		die(1000, 3000 * MINUTE);
	for (uint64_t node = 1; node < 2 * SLATE_BLAMES; node++)
		die(2000 + node, 3001 * MINUTE + node);
	check(blame_quarantined(blames, 1000, NULL));
	die(2000 + 2 * SLATE_BLAMES - 1, 3002 * MINUTE);
	die(2000 + 2 * SLATE_BLAMES - 1, 3002 * MINUTE);
	check(blame_quarantined(blames, 2000 + 2 * SLATE_BLAMES - 1, NULL));
}

int main(void)
{
	memfd = memfd_create("slate", MFD_CLOEXEC);
	check(memfd >= 0);
	check(slate_new(memfd, &slate, NULL) == 0);
	check(blames_new(slate, 0, &blames) == 0);
	three_within_the_window();
	old_faults_are_forgotten();
	one_death_counts_once();
	the_oldest_makes_room();
	blames_free(blames);
	slate_free(slate);
	close(memfd);
	return 0;
}
