/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/stages/memory.h - a leaf that keeps the bytes in memory.
 *
 * Behaves as base/leaf.h on a filesystem that has holes of 512 bytes, so that it can be any test's
 * bottom and a test of the contract as well.  Refuses seals with -EINVAL.
 * Threads    as the contract: what changes the size runs alone.
 */
#ifndef TESTS_UNIT_STAGES_MEMORY_H
#define TESTS_UNIT_STAGES_MEMORY_H

#include "base/stage.h"

/* An open leaf of @size bytes, all hole, that asks for whole blocks of @block bytes. */
int memory_new(uint64_t size, uint32_t block, struct stage **ret);
void memory_free(struct stage *st); /* accepts NULL; only while it is in no stack */

/* The bytes themselves, stage_size of them, valid until the size changes. */
uint8_t *memory_bytes(struct stage *st);

#endif
