/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Headers are created once, read back whole, changed, listed and removed. */
#include "tests/unit/header_rig.h"

static void create_and_change(int disks)
{
	struct disk_header h = rig_header(), got;

	check(header_read(disks, &h.id, &got) == -ENOENT);
	check(header_remove(disks, &h.id) == -ENOENT);
	check(header_create(disks, &h) == 0);
	check(header_create(disks, &h) == -EEXIST);
	check(header_read(disks, &h.id, &got) == 0 && rig_same(&h, &got) && got.generation == 1);

	for (uint64_t i = 2; i < 8; i++) {
		got.policy_version = i * 10;
		check(header_write(disks, &got) == 0 && got.generation == i);
		check(header_read(disks, &h.id, &h) == 0 && rig_same(&h, &got));
		check(h.generation == i);
	}

	memset(got.policy, 'x', sizeof got.policy); /* without an end */
	check(header_write(disks, &got) == -EINVAL && header_create(disks, &got) == -EINVAL);
	got.policy[sizeof got.policy - 1] = '\0';
	check(header_write(disks, &got) == 0);
	got.policy[0] = '\0';
	check(header_write(disks, &got) == 0);

	h.generation = 3; /* read before somebody else's changes */
	check(header_write(disks, &h) == -ESTALE);
	check(header_remove(disks, &h.id) == 0);
	check(header_read(disks, &h.id, &h) == -ENOENT);
}

static void create_without_tmpfile(int disks)
{
	struct disk_header h = rig_header(), got;
	struct header_slots slots = {0};
	char name[48], text[33];

	h.generation = 1;
	header_slot_encode(&h, slots.bytes[0]);
	disk_id_text(&h.id, text);
	snprintf(name, sizeof name, "%s.header", text);
	check(header_create_named(disks, name, &slots) == 0);
	check(header_create_named(disks, name, &slots) == -EEXIST);
	check(header_read(disks, &h.id, &got) == 0 && rig_same(&h, &got));
	check(header_remove(disks, &h.id) == 0);
}

struct seen {
	int good, bad;
	struct disk_id bad_id;
};

static int note(const struct disk_id *id, int r, const struct disk_header *h, void *data)
{
	struct seen *seen = data;

	check((r == 0) == (h != NULL));
	if (r == 0) {
		check(memcmp(&h->id, id, sizeof *id) == 0);
		seen->good++;
	} else {
		check(r == -EUCLEAN);
		seen->bad++;
		seen->bad_id = *id;
	}
	return 0;
}

static int stop(const struct disk_id *id, int r, const struct disk_header *h, void *data)
{
	return 42;
}

static void each(int disks)
{
	struct disk_header h[20];
	struct seen seen = {0};

	check(header_each(disks, stop, NULL) == 0); /* none: nothing left behind by the others */
	for (int i = 0; i < 20; i++) {
		h[i] = rig_header();
		check(header_create(disks, &h[i]) == 0);
	}
	close(openat(disks, "README", O_CREAT | O_WRONLY, 0600)); /* not ours */
	close(openat(disks, ".new-x.header", O_CREAT | O_WRONLY, 0600));
	check(ftruncate(rig_open_header(disks, &h[7]), 100) == 0);
	check(header_each(disks, note, &seen) == 0);
	check(seen.good == 19 && seen.bad == 1);
	check(memcmp(&seen.bad_id, &h[7].id, sizeof seen.bad_id) == 0);
	check(header_each(disks, stop, NULL) == 42);
}

static void test(const char *dir)
{
	int disks = rig_directory(dir);

	create_and_change(disks);
	create_without_tmpfile(disks);
	each(disks);
	close(disks);
}

int main(void)
{
	return scratch_run(test);
}
