/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A call that breaks the contract of base/stage.h ends the process before the stage sees it, and
 * one that keeps it does not: ranges, whole blocks, seals, flags, what a stage may answer. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/stage.h"
#include "tests/unit/check.h"
#include "tests/unit/stages/memory.h"

#define SIZE 5000u /* 9 blocks of 512 and a short one */

static uint8_t buf[2 * SIZE];
static struct seal seals[20];

static int answer;

static int odd_flush(struct stage *st)
{
	return answer;
}

static int odd_extent(struct stage *st, uint64_t off, struct stage_extent *ret)
{
	*ret = (struct stage_extent){off + (uint64_t)answer, STAGE_DATA};
	return 0;
}

/* True: @call ended the process. */
static bool stops(void (*call)(struct stage *st))
{
	struct stage *st;
	int status;
	pid_t child = fork();

	check(child >= 0);
	if (child == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){0});
		check(freopen("/dev/null", "w", stderr));
		check(memory_new(SIZE, 512, &st) == 0);
		call(st);
		_exit(0);
	}
	check(waitpid(child, &status, 0) == child);
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGABRT;
	check(WEXITSTATUS(status) == 0);
	return false;
}

static struct stage_ops odd;

static void answers_positive(struct stage *st)
{
	odd = *st->ops;
	odd.flush = odd_flush;
	st->ops = &odd;
	answer = 1;
	stage_flush(st);
}

static void extent_goes_nowhere(struct stage *st)
{
	odd = *st->ops;
	odd.extent = odd_extent;
	st->ops = &odd;
	answer = 0;
	stage_extent(st, 7, &(struct stage_extent){0});
}

#define CALL(name, ...)                                                                            \
	static void name(struct stage *st)                                                         \
	{                                                                                          \
		__VA_ARGS__;                                                                       \
	}

CALL(reads_past_the_end, stage_read(st, buf, NULL, 4608, 512))
CALL(reads_behind_the_end, stage_read(st, buf, NULL, 5120, 0))
CALL(reads_part_of_a_block, stage_read(st, buf, NULL, 512, 100))
CALL(reads_from_inside_a_block, stage_read(st, buf, NULL, 100, 412))
CALL(reads_around_the_world, stage_read(st, buf, NULL, 512, UINT64_MAX - 511))
CALL(leaves_a_gap, stage_write(st, buf, NULL, 5120, 512, 0))
CALL(writes_part_of_a_block, stage_write(st, buf, NULL, 0, 100, 0))
CALL(writes_unknown_flags, stage_write(st, buf, NULL, 0, 512, 2))
CALL(trims_past_the_end, stage_trim(st, 4608, 512))
CALL(zeros_part_of_a_block, stage_zero(st, 4096, 500))
CALL(seals_above_the_line, stage_write(st, buf, seals, 0, 512, 0))
CALL(no_seals_below_the_line, st->sealed = true; stage_read(st, buf, NULL, 0, 512))
CALL(extent_at_the_end, stage_extent(st, SIZE, &(struct stage_extent){0}))

CALL(keeps_it, check(stage_read(st, buf, NULL, 0, SIZE) == 0);
     check(stage_read(st, buf, NULL, 4608, 392) == 0);
     check(stage_write(st, buf, NULL, 4608, 392, STAGE_FUA) == 0);
     check(stage_write(st, buf, NULL, 4608, 600, 0) == 0); check(stage_size(st) == 5208);
     check(stage_trim(st, 512, 1024) == 0); check(stage_reserve(st, 9999, 7) == 0);
     check(stage_resize(st, 17) == 0 && stage_size(st) == 17); check(stage_flush(st) == 0);
     check(stage_drain(st) == 0); memory_free(st))

int main(void)
{
	static void (*const broken[])(struct stage *) = {
		reads_past_the_end,        reads_behind_the_end,   reads_part_of_a_block,
		reads_from_inside_a_block, reads_around_the_world, leaves_a_gap,
		writes_part_of_a_block,    writes_unknown_flags,   trims_past_the_end,
		zeros_part_of_a_block,     seals_above_the_line,   no_seals_below_the_line,
		extent_at_the_end,         answers_positive,       extent_goes_nowhere,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(broken); i++) {
		if (!stops(broken[i]))
			fprintf(stderr, "call %u was let through\n", i);
		check(stops(broken[i]));
	}
	check(!stops(keeps_it));
	return 0;
}
