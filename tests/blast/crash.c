/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/blast/crash.c - a stage that fails as software does, when a test wants it.
 *
 * Linked into tests/blast/weir-worker-with-crash and nothing else.  What passes it is looked at: a
 * block of 4096 bytes that begins with
 *     WEIR-SEGV, WEIR-ABRT   ends the process by that signal
 *     WEIR-ONCE              ends it, too, but is overwritten below before that
 *     WEIR-OPEN              in the first block: ends it when the stack is built
 *     WEIR-HANG              hangs a read, until the block below says something else
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/stack.h"

#define MARKER 9

static bool begins(const char *block, const char *marker)
{
	return !memcmp(block, marker, MARKER);
}

/* Any block with a marker; NULL: none. */
static char *find(const void *buf, uint64_t off, size_t len)
{
	uint64_t at = (STAGE_BLOCK - off % STAGE_BLOCK) % STAGE_BLOCK;

	for (; at + MARKER <= len; at += STAGE_BLOCK)
		if (!memcmp((const char *)buf + at, "WEIR-", 5))
			return (char *)buf + at;
	return NULL;
}

static void crash(void)
{
	static char *volatile nowhere = (char *)8;

	*nowhere = 1;
}

/* @buf was read and is whole blocks. */
static void fail_once(struct stage *st, void *buf, uint64_t off, size_t len)
{
	char *block = find(buf, off, len);

	if (!block || !begins(block, "WEIR-ONCE"))
		return;
	memset(block, 0, MARKER);
	stage_write(st->next, buf, NULL, off, len, 0);
	crash();
}

static void fail(const void *buf, uint64_t off, size_t len)
{
	const char *block = find(buf, off, len);

	if (block && begins(block, "WEIR-SEGV"))
		crash();
	if (block && begins(block, "WEIR-ABRT"))
		abort();
}

static bool hangs(const void *buf, uint64_t off, size_t len)
{
	const char *block = find(buf, off, len);

	return block && begins(block, "WEIR-HANG");
}

/* WEIR-OPEN: no stack can be built over the file. */
static int crash_open(struct stage *st)
{
	_Alignas(8) char block[STAGE_BLOCK];

	if (stage_size(st->next) >= STAGE_BLOCK &&
	    stage_read(st->next, block, NULL, 0, STAGE_BLOCK) == 0 && begins(block, "WEIR-OPEN"))
		crash();
	return stage_fwd_open(st);
}

static int crash_read(struct stage *st, void *ret_buf, struct seal *ret_seals, uint64_t off,
		      size_t len)
{
	int r = stage_read(st->next, ret_buf, ret_seals, off, len);

	while (r == 0 && hangs(ret_buf, off, len)) {
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
		r = stage_read(st->next, ret_buf, ret_seals, off, len);
	}
	if (r == 0)
		fail_once(st, ret_buf, off, len);
	if (r == 0)
		fail(ret_buf, off, len);
	return r;
}

static int crash_write(struct stage *st, const void *buf, const struct seal *seals, uint64_t off,
		       size_t len, unsigned flags)
{
	fail(buf, off, len);
	return stage_write(st->next, buf, seals, off, len, flags);
}

static void crash_close(struct stage *st)
{
	free(st);
}

static const struct stage_ops crash_ops = {
	.name = "crash",
	.open = crash_open,
	.read = crash_read,
	.write = crash_write,
	.flush = stage_fwd_flush,
	.trim = stage_fwd_trim,
	.zero = stage_fwd_zero,
	.reserve = stage_fwd_reserve,
	.resize = stage_fwd_resize,
	.extent = stage_fwd_extent,
	.drain = stage_fwd_drain,
	.close = crash_close,
};

static int crash_create(const void *settings, void *pool, struct stage *next, struct stage **ret)
{
	struct stage *st = calloc(1, sizeof *st);

	if (!st)
		return -ENOMEM;
	st->ops = &crash_ops;
	st->next = next;
	st->size = stage_size(next);
	st->block = next->block;
	*ret = st;
	return 0;
}

static const struct stage_class crash_class = {
	.name = "crash",
	.rank = 150,
	.create = crash_create,
};

extern const struct stage_class inspect_class, limit_class;

/* In place of base/stages.c. */
const struct stage_class *const stage_classes[] = {
	&inspect_class,
	&crash_class,
	&limit_class,
	NULL,
};
