/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Damage, another disk's header and later versions are refused, with the error that says which. */
#include <sodium.h>

#include "base/bytes.h"
#include "tests/unit/header_rig.h"

static void reseal(uint8_t *slot)
{
	crypto_generichash(slot + 4064, 32, slot, 4064, NULL, 0);
}

/* No flipped bit anywhere in a slot is believed; with two slots the other one counts. */
static void flipped_bits(int disks)
{
	struct disk_header h = rig_header(), got;
	struct header_slots slots, bad;
	int fd;

	check(header_create(disks, &h) == 0);
	fd = rig_open_header(disks, &h);
	rig_get(fd, &slots);
	for (size_t bit = 0; bit < HEADER_SLOT_BYTES * 8; bit += 5) {
		bad = slots;
		bad.bytes[0][bit / 8] ^= 1u << bit % 8;
		rig_put(fd, &bad);
		check(header_read(disks, &h.id, &got) == -EUCLEAN);
	}
	rig_put(fd, &slots);
	check(header_read(disks, &h.id, &got) == 0);
	strcpy(got.policy, "silver");
	check(header_write(disks, &got) == 0);
	rig_get(fd, &slots);
	slots.bytes[1][100] ^= 1;
	rig_put(fd, &slots);
	check(header_read(disks, &h.id, &got) == 0 && rig_same(&got, &h));
	close(fd);
}

static void another_ones(int disks)
{
	struct disk_header a = rig_header(), b = rig_header(), got;
	struct header_slots slots;
	int fd;

	check(header_create(disks, &a) == 0 && header_create(disks, &b) == 0);
	fd = rig_open_header(disks, &b);
	rig_get(fd, &slots);
	close(fd);
	fd = rig_open_header(disks, &a);
	rig_put(fd, &slots);
	close(fd);
	check(header_read(disks, &a.id, &got) == -EUCLEAN);
	a.generation = 1;
	check(header_write(disks, &a) == -EUCLEAN);
}

static void later_versions(int disks)
{
	struct disk_header h = rig_header(), got;
	struct header_slots slots, changed;
	int fd;

	check(header_create(disks, &h) == 0);
	fd = rig_open_header(disks, &h);
	rig_get(fd, &slots);

	changed = slots; /* compatible: read, written, kept with what belongs to it */
	put_le64(changed.bytes[0] + 16, 1);
	changed.bytes[0][300] = 77;
	reseal(changed.bytes[0]);
	rig_put(fd, &changed);
	check(header_read(disks, &h.id, &got) == 0 && header_write(disks, &got) == 0);
	rig_get(fd, &changed);
	check(changed.bytes[1][300] == 77 && get_le64(changed.bytes[1] + 16) == 1);

	changed = slots; /* read-only-compatible */
	put_le64(changed.bytes[0] + 24, 1);
	reseal(changed.bytes[0]);
	rig_put(fd, &changed);
	check(header_read(disks, &h.id, &got) == 0 && header_write(disks, &got) == -EROFS);

	changed = slots; /* incompatible */
	put_le64(changed.bytes[0] + 32, 1);
	reseal(changed.bytes[0]);
	rig_put(fd, &changed);
	check(header_read(disks, &h.id, &got) == -EPROTO);

	/* The newer slot is a later version's: the older one must not come back. */
	changed = slots;
	memcpy(changed.bytes[1], slots.bytes[0], HEADER_SLOT_BYTES);
	put_le64(changed.bytes[1] + 32, 1);
	put_le64(changed.bytes[1] + 40, 2);
	reseal(changed.bytes[1]);
	rig_put(fd, &changed);
	check(header_read(disks, &h.id, &got) == -EPROTO);
	check(header_write(disks, &h) == -EPROTO);
	close(fd);
}

static void absurd_lengths(int disks)
{
	struct disk_header h = rig_header(), got;
	struct header_slots slots;
	int fd;

	check(header_create(disks, &h) == 0);
	fd = rig_open_header(disks, &h);
	for (int at = 72; at <= 73; at++) { /* handle, policy */
		rig_get(fd, &slots);
		slots.bytes[0][at] = 255;
		reseal(slots.bytes[0]);
		rig_put(fd, &slots);
		check(header_read(disks, &h.id, &got) == -EUCLEAN);
	}
	close(fd);
}

static void test(const char *dir)
{
	int disks = rig_directory(dir);

	flipped_bits(disks);
	another_ones(disks);
	later_versions(disks);
	absurd_lengths(disks);
	close(disks);
}

int main(void)
{
	return scratch_run(test);
}
