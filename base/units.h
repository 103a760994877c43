/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/units.h - numbers, sizes and durations as people write them in settings.
 *
 *     number     2000            decimal digits only: no sign, no leading zero, no fraction
 *     size       200M, 64KiB     a number and K, M, G or T (or KiB, MiB, GiB, TiB): powers of 1024
 *     duration   10, 10s, 500ms  a number and ms, s, m, h or d; seconds when there is no unit
 *
 * Refuses    everything else, with -EINVAL and half a sentence in *ret_why that says what is wrong
 *            and what to write.  It is static text.  Nothing is rounded, nothing wraps around.
 * Threads    any.
 */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include <stdint.h>

int parse_number(const char *text, uint64_t *ret, const char **ret_why);
int parse_size(const char *text, uint64_t *ret, const char **ret_why);
int parse_duration_ns(const char *text, uint64_t *ret, const char **ret_why);

#endif
