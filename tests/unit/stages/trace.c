/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/stages/trace.c - see trace.h. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "tests/unit/stages/trace.h"

struct trace_stage {
	struct stage stage;
	struct trace *log;
	const char *name;
};

__attribute__((format(printf, 2, 3))) static void note(struct stage *st, const char *format, ...)
{
	struct trace_stage *t = container_of(st, struct trace_stage, stage);
	char call[80];
	size_t used;
	va_list ap;

	va_start(ap, format);
	vsnprintf(call, sizeof call, format, ap);
	va_end(ap);

	LOCKED(&t->log->lock);
	used = strlen(t->log->text);
	snprintf(t->log->text + used, sizeof t->log->text - used, "%s %s; ", t->name, call);
}

void trace_take(struct trace *log, char *ret_text, size_t size)
{
	LOCKED(&log->lock);
	snprintf(ret_text, size, "%s", log->text);
	log->text[0] = '\0';
}

static int trace_open(struct stage *st)
{
	note(st, "open");
	return 0;
}

static int trace_read(struct stage *st, void *ret_buf, struct seal *ret_seals, uint64_t off,
		      size_t len)
{
	note(st, "read %" PRIu64 "+%zu", off, len);
	return stage_read(st->next, ret_buf, ret_seals, off, len);
}

static int trace_write(struct stage *st, const void *buf, const struct seal *seals, uint64_t off,
		       size_t len, unsigned flags)
{
	note(st, "write%s %" PRIu64 "+%zu", flags & STAGE_FUA ? "-fua" : "", off, len);
	return stage_write(st->next, buf, seals, off, len, flags);
}

static int trace_flush(struct stage *st)
{
	note(st, "flush");
	return stage_flush(st->next);
}

static int trace_trim(struct stage *st, uint64_t off, uint64_t len)
{
	note(st, "trim %" PRIu64 "+%" PRIu64, off, len);
	return stage_trim(st->next, off, len);
}

static int trace_zero(struct stage *st, uint64_t off, uint64_t len)
{
	note(st, "zero %" PRIu64 "+%" PRIu64, off, len);
	return stage_zero(st->next, off, len);
}

static int trace_reserve(struct stage *st, uint64_t off, uint64_t len)
{
	note(st, "reserve %" PRIu64 "+%" PRIu64, off, len);
	return stage_reserve(st->next, off, len);
}

static int trace_resize(struct stage *st, uint64_t size)
{
	note(st, "resize %" PRIu64, size);
	return stage_resize(st->next, size);
}

static int trace_extent(struct stage *st, uint64_t off, struct stage_extent *ret)
{
	note(st, "extent %" PRIu64, off);
	return stage_extent(st->next, off, ret);
}

static int trace_drain(struct stage *st)
{
	note(st, "drain");
	return stage_drain(st->next);
}

static void trace_close(struct stage *st)
{
	note(st, "close");
	free(container_of(st, struct trace_stage, stage));
}

static const struct stage_ops trace_ops = {
	.name = "trace",
	.open = trace_open,
	.read = trace_read,
	.write = trace_write,
	.flush = trace_flush,
	.trim = trace_trim,
	.zero = trace_zero,
	.reserve = trace_reserve,
	.resize = trace_resize,
	.extent = trace_extent,
	.drain = trace_drain,
	.close = trace_close,
};

int trace_new(struct trace *log, const char *name, struct stage *next, struct stage **ret)
{
	struct trace_stage *t;

	t = calloc(1, sizeof *t);
	if (!t)
		return -ENOMEM;

	t->stage = (struct stage){
		.ops = &trace_ops,
		.next = next,
		.size = stage_size(next),
		.block = next->block,
	};
	t->log = log;
	t->name = name;
	*ret = &t->stage;
	return 0;
}
