/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/units.c - see base/units.h. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit sizes[] = {
	{"", 1},
	{"K", UINT64_C(1) << 10},
	{"M", UINT64_C(1) << 20},
	{"G", UINT64_C(1) << 30},
	{"T", UINT64_C(1) << 40},
	{"KiB", UINT64_C(1) << 10},
	{"MiB", UINT64_C(1) << 20},
	{"GiB", UINT64_C(1) << 30},
	{"TiB", UINT64_C(1) << 40},
};

static const struct unit durations[] = {
	{"", UINT64_C(1000000000)},	{"s", UINT64_C(1000000000)},
	{"ms", UINT64_C(1000000)},	{"m", UINT64_C(60000000000)},
	{"h", UINT64_C(3600000000000)}, {"d", UINT64_C(86400000000000)},
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The digits at the start of @text; *ret_end is what follows them. */
static int leading_digits(const char *text, uint64_t *ret, const char **ret_end)
{
	uint64_t n = 0;

	if (!is_digit(text[0]) || (text[0] == '0' && is_digit(text[1])))
		return -EINVAL;

	for (; is_digit(*text); text++)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*text - '0'), &n))
			return -ERANGE;

	*ret = n;
	*ret_end = text;
	return 0;
}

static int parse_with_units(const char *text, const struct unit *units, size_t n_units,
			    uint64_t *ret)
{
	const char *end;
	uint64_t n;
	int r;

	r = leading_digits(text, &n, &end);
	if (r < 0)
		return r;

	for (size_t i = 0; i < n_units; i++) {
		if (strcmp(end, units[i].name) != 0)
			continue;
		if (__builtin_mul_overflow(n, units[i].factor, &n))
			return -ERANGE;
		*ret = n;
		return 0;
	}
	return -EINVAL;
}

static int explain(int r, const char *syntax, const char **ret_why)
{
	if (r == 0)
		return 0;

	*ret_why = r == -ERANGE ? "far too large; write a smaller one" : syntax;
	return -EINVAL;
}

int parse_number(const char *text, uint64_t *ret, const char **ret_why)
{
	int r;

	r = parse_with_units(text, sizes, 1, ret);
	return explain(r, "not a number; write a whole number such as 2000", ret_why);
}

int parse_size(const char *text, uint64_t *ret, const char **ret_why)
{
	int r;

	r = parse_with_units(text, sizes, ARRAY_SIZE(sizes), ret);
	return explain(r,
		       "not a size; write a whole number with K, M, G or T (powers of 1024), "
		       "such as 200M",
		       ret_why);
}

int parse_duration_ns(const char *text, uint64_t *ret, const char **ret_why)
{
	int r;

	r = parse_with_units(text, durations, ARRAY_SIZE(durations), ret);
	return explain(r, "not a duration; write a whole number with ms, s, m, h or d, such as 10s",
		       ret_why);
}
