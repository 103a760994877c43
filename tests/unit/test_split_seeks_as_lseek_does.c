/* SPDX-License-Identifier: GPL-2.0-or-later */
/* split_seek finds data and holes as lseek(2) defines them, whatever runs the stages answer. */
#include <errno.h>

#include "base/split.h"
#include "tests/unit/check.h"
#include "tests/unit/stages/fault.h"
#include "tests/unit/stages/memory.h"

int main(void)
{
	struct fault plan = {.error = -EREMOTEIO};
	struct stage *leaf, *top;
	uint64_t at;

	check(memory_new(5000, 1, &leaf) == 0);
	check(fault_new(&plan, leaf, &top) == 0);
	check(split_seek(top, 0, STAGE_DATA, &at) == -ENXIO);
	check(split_seek(top, 7, STAGE_HOLE, &at) == 0 && at == 7);

	check(split_write(top, "x", 1024, 1, 0) == 0);
	check(split_seek(top, 0, STAGE_DATA, &at) == 0 && at == 1024);
	check(split_seek(top, 1100, STAGE_DATA, &at) == 0 && at == 1100);
	check(split_seek(top, 1100, STAGE_HOLE, &at) == 0 && at == 1536);
	check(split_seek(top, 1536, STAGE_DATA, &at) == -ENXIO);

	check(split_write(top, "x", 4999, 1, 0) == 0);
	check(split_seek(top, 1536, STAGE_DATA, &at) == 0 && at == 4608);
	check(split_seek(top, 4700, STAGE_HOLE, &at) == 0 && at == 5000);
	check(split_seek(top, 5000, STAGE_HOLE, &at) == -ENXIO);
	check(split_seek(top, UINT64_MAX, STAGE_DATA, &at) == -ENXIO);

	plan.fail_at = plan.calls + 1;
	check(split_seek(top, 0, STAGE_DATA, &at) == -EREMOTEIO);
	fault_free(top);
	memory_free(leaf);
	return 0;
}
