/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/rates.h - operations and bytes per second, from what the inspect stage counts.
 *
 * The first reading of a disk gives averages since the counting began; each later one gives what
 * happened since the reading before.  A disk without counters has no rates.
 */
#ifndef CTL_RATES_H
#define CTL_RATES_H

#include <jansson.h>
#include <stdbool.h>

struct rates { /* per second */
	double reads, writes;
	double read_bytes, written_bytes;
};

/* The rates of @status (a user.weir.status), read at @now seconds (any clock for differences,
 * @wall in seconds since 1970 for averages).  @memory is an object that keeps the last reading of
 * each @key.  False: there are none. */
bool rates_take(const json_t *status, const char *key, double now, double wall, json_t *memory,
		struct rates *ret);

#endif
