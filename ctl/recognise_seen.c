/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/recognise_seen.c - the file under examination, and what was seen of it.
 *
 * Invariant  a capacity or grain in struct seen is one that can be: everything else became a
 *            problem and is absent.  No sum or product here overflows.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ctl/recognise.h"

static char no_memory[] = "something is wrong, and no memory was left to say what";

void seen_done(struct seen *s)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(s->buffers); i++)
		free(s->buffers[i]);
	free(s->extents);
	free(s->disks.at);
	free(s->files.at);
	if (s->problem != no_memory)
		free(s->problem);
	*s = (struct seen){0};
}

void seen_problem(struct seen *s, const char *format, ...)
{
	va_list ap;

	if (s->problem)
		return;
	va_start(ap, format);
	if (vasprintf(&s->problem, format, ap) < 0)
		s->problem = no_memory;
	va_end(ap);
}

char *seen_buffer(struct seen *s, size_t len)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(s->buffers); i++)
		if (!s->buffers[i])
			return s->buffers[i] = calloc(1, len ? len : 1);
	return NULL;
}

/* Room for one more of @size bytes in an array that doubles at each power of two. */
static int grow(void **array, size_t n, size_t size)
{
	void *larger;

	if ((n & (n - 1)) != 0)
		return 0;
	larger = reallocarray(*array, n ? 2 * n : 1, size);
	if (!larger)
		return -ENOMEM;
	*array = larger;
	return 0;
}

int seen_add_extent(struct seen *s, const struct seen_extent *e)
{
	int r;

	if (s->n_extents == SEEN_EXTENTS_MAX) {
		seen_problem(s, "The descriptor has more than %u extents.", SEEN_EXTENTS_MAX);
		return 0;
	}
	r = grow((void **)&s->extents, s->n_extents, sizeof *e);
	if (r < 0)
		return r;
	s->extents[s->n_extents++] = *e;
	return 0;
}

int seen_add_name(struct seen *s, struct seen_names *names, struct span name)
{
	int r;

	if (names->n == SEEN_EXTENTS_MAX) {
		seen_problem(s, "The file names more than %u files.", SEEN_EXTENTS_MAX);
		return 0;
	}
	r = grow((void **)&names->at, names->n, sizeof name);
	if (r < 0)
		return r;
	names->at[names->n++] = name;
	return 0;
}

void seen_capacity(struct seen *s, uint64_t bytes)
{
	if (bytes > SEEN_CAPACITY_MAX) {
		seen_problem(s, "The capacity, %llu bytes, is more than a disk can have.",
			     (unsigned long long)bytes);
		return;
	}
	s->has_capacity = true;
	s->capacity = bytes;
}

void seen_capacity_sectors(struct seen *s, uint64_t sectors)
{
	if (sectors > SEEN_CAPACITY_MAX / SECTOR)
		seen_problem(s, "The capacity, %llu sectors, is more than a disk can have.",
			     (unsigned long long)sectors);
	else
		seen_capacity(s, sectors * SECTOR);
}

void seen_grain(struct seen *s, uint64_t bytes)
{
	if (bytes < SECTOR || bytes > SEEN_GRAIN_MAX || (bytes & (bytes - 1)) != 0)
		seen_problem(s, "The grain size, %llu bytes, is absurd.",
			     (unsigned long long)bytes);
	else
		s->grain = bytes;
}

static int read_descriptor(int fd, uint8_t *buf, uint64_t off, size_t len, size_t *ret_len)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = pread(fd, buf + done, len - done, (off_t)(off + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break; /* shorter than its size said: it is being changed */
		done += (size_t)n;
	}
	*ret_len = done;
	return 0;
}

int input_read(const struct input *in, void *ret_buf, uint64_t off, size_t len, size_t *ret_len)
{
	*ret_len = 0;
	if (off >= in->size)
		return 0;
	len = MIN(len, in->size - off);
	if (in->fd >= 0)
		return read_descriptor(in->fd, ret_buf, off, len, ret_len);
	memcpy(ret_buf, in->data + off, len);
	*ret_len = len;
	return 0;
}

bool input_read_all(const struct input *in, void *ret_buf, uint64_t off, size_t len)
{
	size_t got;

	return input_read(in, ret_buf, off, len, &got) == 0 && got == len;
}

bool input_holds(const struct input *in, uint64_t off, uint64_t len)
{
	return off <= in->size && len <= in->size - off;
}
