/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A power cut in the middle of a header's change leaves the old header or the new one.
 *
 * Every prefix of the slot's write, and every set of its 512-byte sectors: nothing else can be on
 * the medium.  The header must then also take the next change.
 */
#include "tests/unit/header_rig.h"

struct change {
	struct disk_header old, new;
	struct header_slots before, after;
	int slot; /* which one the change wrote */
};

static void check_state(int disks, int fd, const struct change *c,
			const struct header_slots *on_disk)
{
	bool whole = memcmp(on_disk, &c->after, sizeof *on_disk) == 0;
	struct disk_header got;

	rig_put(fd, on_disk);
	check(header_read(disks, &c->old.id, &got) == 0);
	check(rig_same(&got, &c->old) ? got.generation == c->old.generation
				      : rig_same(&got, &c->new) && whole);
	check(!whole || rig_same(&got, &c->new));
}

static void prefixes(int disks, int fd, const struct change *c)
{
	struct header_slots torn = c->before;

	for (size_t n = 0; n <= HEADER_SLOT_BYTES; n++) {
		memcpy(torn.bytes[c->slot], c->after.bytes[c->slot], n);
		check_state(disks, fd, c, &torn);
	}
}

static void sectors(int disks, int fd, const struct change *c)
{
	for (unsigned set = 0; set < 256; set++) {
		struct header_slots torn = c->before;

		for (unsigned i = 0; i < 8; i++)
			if (set & 1u << i)
				memcpy(torn.bytes[c->slot] + i * 512,
				       c->after.bytes[c->slot] + i * 512, 512);
		check_state(disks, fd, c, &torn);
	}
}

static void next_change(int disks, int fd, const struct change *c)
{
	struct header_slots torn = c->before;
	struct disk_header h, got;

	memcpy(torn.bytes[c->slot], c->after.bytes[c->slot], 1000);
	rig_put(fd, &torn);
	check(header_read(disks, &c->old.id, &h) == 0);
	strcpy(h.policy, "after-the-cut");
	check(header_write(disks, &h) == 0);
	check(header_read(disks, &c->old.id, &got) == 0 && rig_same(&h, &got));
	rig_get(fd, &torn); /* what counted before is untouched */
	check(memcmp(torn.bytes[!c->slot], c->before.bytes[!c->slot], HEADER_SLOT_BYTES) == 0);
}

static void test(const char *dir)
{
	int disks = rig_directory(dir), fd;
	struct change c = {.old = rig_header()};

	check(header_create(disks, &c.old) == 0);
	fd = rig_open_header(disks, &c.old);
	for (int round = 0; round < 3; round++) { /* the other slot: empty, old, old */
		check(header_read(disks, &c.old.id, &c.old) == 0);
		rig_get(fd, &c.before);
		c.new = c.old;
		c.new.policy_version++;
		snprintf(c.new.policy, sizeof c.new.policy, "silver-%d", round);
		check(header_write(disks, &c.new) == 0);
		rig_get(fd, &c.after);
		c.slot = memcmp(c.before.bytes[0], c.after.bytes[0], HEADER_SLOT_BYTES) ? 0 : 1;
		check(memcmp(c.before.bytes[!c.slot], c.after.bytes[!c.slot], HEADER_SLOT_BYTES) ==
		      0);

		prefixes(disks, fd, &c);
		sectors(disks, fd, &c);
		next_change(disks, fd, &c);
	}
	close(fd);
	close(disks);
}

int main(void)
{
	return scratch_run(test);
}
