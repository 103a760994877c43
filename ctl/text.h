/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/text.h - text for people on a terminal: safe, measured, sized, and forgiving of typing.
 *
 * The terminal is taken to be UTF-8, whatever the locale says (text_start).
 */
#ifndef CTL_TEXT_H
#define CTL_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Call once before the others; sets LC_CTYPE of the process. */
void text_start(void);

/* A copy (malloc'ed; NULL: no memory) that cannot move the cursor, colour the screen, start a
 * line or turn the writing direction: control characters become \n, \t or \xNN, and so do bytes
 * that are not UTF-8 and characters that print nothing. */
char *text_safe(const char *s);

/* Columns that a safe text takes: wide characters two, combining ones none. */
size_t text_width(const char *s);

#define TEXT_SIZE_MAX 32

/* Bytes as "512 B", "1.5 KiB", "20 GiB": three significant digits at most. */
const char *text_size(uint64_t bytes, char ret[TEXT_SIZE_MAX]);

/* A count as "950", "12.3k", "1.2M". */
const char *text_count(double n, char ret[TEXT_SIZE_MAX]);

/* A time as "850 ns", "12.5 us", "3.1 ms", "2 s". */
const char *text_duration_ns(double ns, char ret[TEXT_SIZE_MAX]);

/* The word of @words (ended by NULL) nearest to @typed, or NULL when none is near enough to be
 * what was meant. */
const char *text_nearest(const char *typed, const char *const *words);

#endif
