/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers, sizes and durations: what is taken for what, and what is refused. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "tests/unit/check.h"

typedef int parse_fn(const char *text, uint64_t *ret, const char **ret_why);

#define BAD UINT64_MAX

static const struct {
	parse_fn *parse;
	const char *text;
	uint64_t want;
} cases[] = {
	{parse_number, "0", 0},
	{parse_number, "2000", 2000},
	{parse_number, "18446744073709551614", UINT64_MAX - 1},
	{parse_number, "18446744073709551616", BAD},
	{parse_number, "99999999999999999999999", BAD},
	{parse_number, "", BAD},
	{parse_number, "-1", BAD},
	{parse_number, "+1", BAD},
	{parse_number, " 1", BAD},
	{parse_number, "1 ", BAD},
	{parse_number, "1\n", BAD},
	{parse_number, "01", BAD},
	{parse_number, "0x10", BAD},
	{parse_number, "1e3", BAD},
	{parse_number, "1K", BAD},
	{parse_number, "\xd9\xa1", BAD}, /* a digit, but an Arabic one */
	{parse_size, "0", 0},
	{parse_size, "512", 512},
	{parse_size, "64K", 65536},
	{parse_size, "64KiB", 65536},
	{parse_size, "200M", 209715200},
	{parse_size, "1GiB", 1 << 30},
	{parse_size, "16777215T", UINT64_C(16777215) << 40},
	{parse_size, "16777216T", BAD},
	{parse_size, "1.5G", BAD},
	{parse_size, "200m", BAD},
	{parse_size, "200MB", BAD},
	{parse_size, "200 M", BAD},
	{parse_size, "M", BAD},
	{parse_size, "1KM", BAD},
	{parse_duration_ns, "10", UINT64_C(10000000000)},
	{parse_duration_ns, "10s", UINT64_C(10000000000)},
	{parse_duration_ns, "500ms", 500000000},
	{parse_duration_ns, "2h", UINT64_C(7200000000000)},
	{parse_duration_ns, "1d", UINT64_C(86400000000000)},
	{parse_duration_ns, "213504d", BAD},
	{parse_duration_ns, "1w", BAD},
	{parse_duration_ns, "soon", BAD},
};

int main(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *why = NULL;
		uint64_t n = 42;
		int r = cases[i].parse(cases[i].text, &n, &why);

		if ((cases[i].want == BAD) != (r < 0))
			fprintf(stderr, "\"%s\": %d\n", cases[i].text, r);
		if (cases[i].want == BAD)
			check(r == -EINVAL && n == 42 && strchr(why, ';'));
		else
			check(r == 0 && n == cases[i].want && !why);
	}
	return 0;
}
