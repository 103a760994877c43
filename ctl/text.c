/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/text.c - see ctl/text.h. */
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "base/cleanup.h"
#include "ctl/text.h"

#define ESCAPE_MAX  4  /* \xNN */
#define NEAREST_MAX 32 /* longest word that is compared */

void text_start(void)
{
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		setlocale(LC_CTYPE, "");
}

/* Invisible characters that change how others are shown: directions, joiners, tags. */
static bool is_trickery(wchar_t c)
{
	return (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
	       (c >= 0xe0000 && c <= 0xe0fff) || c == 0x061c;
}

/* Bytes of the printable character at @s, 0 when its first byte must be escaped. */
static size_t printable(const char *s, wchar_t *ret)
{
	mbstate_t state = {0};
	size_t n;

	n = mbrtowc(ret, s, strlen(s), &state);
	if (n == (size_t)-1 || n == (size_t)-2 || n == 0)
		return 0;
	return iswprint((wint_t)*ret) && !is_trickery(*ret) ? n : 0;
}

static size_t escape(char c, char *to)
{
	if (c == '\n' || c == '\t') {
		to[0] = '\\';
		to[1] = c == '\n' ? 'n' : 't';
		return 2;
	}
	return (size_t)snprintf(to, ESCAPE_MAX + 1, "\\x%02x", (unsigned char)c);
}

char *text_safe(const char *s)
{
	char *safe = malloc(strlen(s) * ESCAPE_MAX + 1), *to = safe;
	wchar_t c;

	if (!safe)
		return NULL;
	while (*s) {
		size_t n = printable(s, &c);

		if (n == 0) {
			to += escape(*s++, to);
			continue;
		}
		memcpy(to, s, n);
		to += n;
		s += n;
	}
	*to = 0;
	return safe;
}

size_t text_width(const char *s)
{
	size_t width = 0;
	wchar_t c;

	while (*s) {
		size_t n = printable(s, &c);
		int w = n ? wcwidth(c) : 1;

		width += w > 0 ? (size_t)w : 0;
		s += n ? n : 1;
	}
	return width;
}

/* @value of @unit with at most three significant digits, without a useless ".0". */
static const char *three_digits(double value, const char *separator, const char *unit,
				char ret[TEXT_SIZE_MAX])
{
	char number[TEXT_SIZE_MAX / 2];
	size_t n;

	snprintf(number, sizeof number, value >= 99.95 ? "%.0f" : "%.1f", value);
	n = strlen(number);
	if (n > 2 && strcmp(number + n - 2, ".0") == 0)
		number[n - 2] = 0;
	snprintf(ret, TEXT_SIZE_MAX, "%s%s%s", number, separator, unit);
	return ret;
}

const char *text_size(uint64_t bytes, char ret[TEXT_SIZE_MAX])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	size_t i = 0;

	/* Just below the next unit it would print as "1024 MiB". */
	while (value >= 1023.5 && i + 1 < ARRAY_SIZE(units)) {
		value /= 1024;
		i++;
	}
	return three_digits(value, " ", units[i], ret);
}

const char *text_count(double n, char ret[TEXT_SIZE_MAX])
{
	static const char *const units[] = {"", "k", "M", "G", "T"};
	size_t i = 0;

	while (n >= 999.5 && i + 1 < ARRAY_SIZE(units)) {
		n /= 1000;
		i++;
	}
	return three_digits(n, "", units[i], ret);
}

const char *text_duration_ns(double ns, char ret[TEXT_SIZE_MAX])
{
	static const char *const units[] = {"ns", "us", "ms", "s"};
	size_t i = 0;

	while (ns >= 999.5 && i + 1 < ARRAY_SIZE(units)) {
		ns /= 1000;
		i++;
	}
	return three_digits(ns, " ", units[i], ret);
}

/* Insertions, deletions, replacements between two words (Levenshtein), one row at a time. */
static size_t distance(const char *a, const char *b)
{
	size_t row[NEAREST_MAX + 1], na = strlen(a), nb = strlen(b);

	if (na > NEAREST_MAX || nb > NEAREST_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= nb; j++)
		row[j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			size_t replaced = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			row[j] = MIN(replaced, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[nb];
}

const char *text_nearest(const char *typed, const char *const *words)
{
	const char *best = NULL;
	size_t least = SIZE_MAX;

	for (; *words; words++) {
		bool starts = strlen(typed) >= 2 && strncmp(*words, typed, strlen(typed)) == 0;
		size_t d = starts ? 0 : distance(typed, *words);

		/* A third of the longer one may be wrong. */
		if (d < least && d <= MAX(MAX(strlen(typed), strlen(*words)) / 3, 1)) {
			least = d;
			best = *words;
		}
	}
	return best;
}
