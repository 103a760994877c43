/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/header_slot.h - the bytes of a disk header's slot; pure functions for base/header.c.
 *
 * docs/format.md has the layout.  A slot is good when its checksum is: nothing else in it is
 * believed before.
 */
#ifndef BASE_HEADER_SLOT_H
#define BASE_HEADER_SLOT_H

#include <stdbool.h>

#include "base/header.h"

#define HEADER_SLOT_BYTES 4096
#define HEADER_SLOTS	  2
#define HEADER_FILE_BYTES (HEADER_SLOT_BYTES * HEADER_SLOTS)
#define HEADER_VERSION	  1

struct header_slots {
	uint8_t bytes[HEADER_SLOTS][HEADER_SLOT_BYTES];
};

/* Put the fields of @h into @slot, which holds zeros or an older, good slot: what a later version
 * keeps there beside our fields stays, under its compatible feature flags. */
void header_slot_encode(const struct disk_header *h, uint8_t slot[HEADER_SLOT_BYTES]);

/* -EUCLEAN: not a good slot.  -EPROTO: a good one with features that must be known.  Then, too,
 * *ret_generation is set. */
int header_slot_decode(const uint8_t slot[HEADER_SLOT_BYTES], struct disk_header *ret,
		       uint64_t *ret_generation);

/* True: a later version's header, which may be read but not written. */
bool header_slot_read_only(const uint8_t slot[HEADER_SLOT_BYTES]);

/* The slot that counts, 0 or 1, and what it says; -EUCLEAN, -EPROTO. */
int header_slots_choose(const struct header_slots *slots, struct disk_header *ret);

/* A directory without O_TMPFILE: through a temporary name.  For header_create and its test. */
int header_create_named(int disks_fd, const char *name, const struct header_slots *slots);

#endif
