/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/fuzz/fuzz_header.c - libFuzzer over the parsing of a disk header's two slots.
 *
 *     build-fuzz/tests/fuzz/fuzz_header -max_total_time=30 -max_len=8193 -len_control=0
 *
 * The first byte says which slots get a good checksum (and magic), so that the fields behind it
 * are reached.  What is accepted must be whole, and the same after writing and reading it again.
 */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/header_slot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void seal(uint8_t *slot, bool known)
{
	memcpy(slot, "WEIRDISK\1\0\0\0", 12);
	if (known)
		memset(slot + 24, 0, 16);
	crypto_generichash(slot + 4064, 32, slot, 4064, NULL, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct header_slots slots = {0};
	struct disk_header h, again;
	uint8_t slot[HEADER_SLOT_BYTES] = {0};
	uint64_t generation;
	int r;

	if (size == 0)
		return 0;
	memcpy(&slots, data + 1, size - 1 < sizeof slots ? size - 1 : sizeof slots);
	for (int i = 0; i < HEADER_SLOTS; i++)
		if (data[0] & 1 << i)
			seal(slots.bytes[i], data[0] & 4);

	r = header_slots_choose(&slots, &h);
	require(r == 0 || r == 1 || r == -EUCLEAN || r == -EPROTO);
	if (r < 0)
		return 0;
	require(h.handle.len <= HANDLE_MAX && memchr(h.policy, '\0', sizeof h.policy));
	for (int i = h.handle.len; i < HANDLE_MAX; i++)
		require(h.handle.data[i] == 0);
	if (header_slot_decode(slots.bytes[!r], &again, &generation) == 0)
		require(generation <= h.generation);

	header_slot_encode(&h, slot);
	require(header_slot_decode(slot, &again, &generation) == 0);
	require(generation == h.generation && again.flags == h.flags);
	require(memcmp(&again.handle, &h.handle, sizeof h.handle) == 0);
	require(strcmp(again.policy, h.policy) == 0);
	return 0;
}
