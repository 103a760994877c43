/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/guest/inside/guest.h - what runs in the guest, and the form of its records.
 *
 * Records are RECORD_SIZE bytes: struct record, then bytes made from disk and number.  They lie in
 * a file "ring" of RING_SLOTS places, record N in place N % RING_SLOTS; every NAME_EVERY-th one
 * also becomes a file "names/N" of its own, of which the last NAMES_KEPT stay.  After every
 * BULK_EVERY records a file "bulkB" is written anew, B going round through BULK_FILES names: in one
 * write, BULK_RECORDS records; those of the N-th such write have the numbers from N * BULK_RECORDS.
 *
 * What is said, one line for each on the second serial port, in the order in which it became true:
 *
 *     DISK a N        record N is in the ring, and an fsync or fdatasync of it returned 0
 *     DISK n N        file names/N is there, and an fsync of the directory returned 0
 *     DISK u N        file names/N is gone, and an fsync of the directory returned 0
 *     DISK b N        the N-th bulk is in file bulk(N % BULK_FILES), and an fsync of it returned 0
 *     DISK ! TEXT     something failed, or was not what was written
 *     DISK end ...    the disk is unmounted; what it saw
 *
 * tests/guest/guest_disks.py reads the same records on the host.
 */
#ifndef WEIR_TESTS_GUEST_H
#define WEIR_TESTS_GUEST_H

#include <stdint.h>

enum {
	RECORD_SIZE = 2048,
	RING_SLOTS = 2048,
	NAME_EVERY = 8,
	NAMES_KEPT = 64,
	READ_EVERY = 4,
	BULK_EVERY = 32,
	BULK_RECORDS = 128,
	BULK_FILES = 4,
};

#define RECORD_MAGIC "weirrec1"

struct record {			/* little endian; the only guest is x86 */
	char magic[8];
	char disk[8];		/* "vda", padded with zeros */
	uint64_t number;
	uint32_t crc;		/* CRC-32 of the whole record, this member being 0 */
	uint32_t pad;
	uint8_t bytes[RECORD_SIZE - 32];
};

_Static_assert(sizeof(struct record) == RECORD_SIZE, "a record has no holes");

/* Mount /dev/@disk with ext4's data=@mode and write until SIGTERM; then read everything back and
 * unmount.  Returns the number of errors seen, at most 100.  Runs in a process of its own.
 */
int writer_run(const char *disk, const char *mode);

/* Say one line on the second serial port; whole, also when several processes do. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

#endif
