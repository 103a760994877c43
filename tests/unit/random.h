/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/random.h - numbers for random operations: the same seed gives the same test. */
#ifndef TESTS_UNIT_RANDOM_H
#define TESTS_UNIT_RANDOM_H

#include <stdint.h>

/* Advances *state (xorshift, never 0) and returns a number below @limit. */
static inline uint64_t random_below(uint64_t *state, uint64_t limit)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (*state >> 11) % limit;
}

#endif
