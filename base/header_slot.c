/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/header_slot.c - see base/header_slot.h.
 *
 *    0 magic[8]             8 version u32          12 zero u32          16 compatible u64
 *   24 read-only-comp. u64 32 incompatible u64     40 generation u64    48 disk id[16]
 *   64 flags u32           68 handle type i32      72 handle length u8  73 policy length u8
 *   74 zero[6]             80 handle[40]          120 policy version u64
 *  128 policy[64]         192 assigned ns u64     200 assigned uid u32  204 zero[4]
 *  208 policy digest[32]  240 zero ...
 * 4000 MAC[64] (zero: none) 4064 BLAKE2b-256 of bytes 0 to 4063
 */
#include <errno.h>
#include <sodium.h>

#include "base/bytes.h"
#include "base/header_slot.h"

#define HEADER_MAGIC "WEIRDISK"
#define SUM_AT	     (HEADER_SLOT_BYTES - SUM_BYTES)
#define SUM_BYTES    32

static void slot_sum(const uint8_t *slot, uint8_t ret[SUM_BYTES])
{
	crypto_generichash(ret, SUM_BYTES, slot, SUM_AT, NULL, 0);
}

void header_slot_encode(const struct disk_header *h, uint8_t slot[HEADER_SLOT_BYTES])
{
	memcpy(slot, HEADER_MAGIC, 8);
	put_le32(slot + 8, HEADER_VERSION);
	put_le64(slot + 40, h->generation);
	memcpy(slot + 48, h->id.bytes, sizeof h->id.bytes);
	put_le32(slot + 64, h->flags);
	put_le32(slot + 68, (uint32_t)h->handle.type);
	slot[72] = h->handle.len;
	slot[73] = strnlen(h->policy, sizeof h->policy - 1);
	memset(slot + 80, 0, 40);
	memcpy(slot + 80, h->handle.data, h->handle.len);
	put_le64(slot + 120, h->policy_version);
	memset(slot + 128, 0, 64);
	memcpy(slot + 128, h->policy, slot[73]);
	put_le64(slot + 192, h->assigned_ns);
	put_le32(slot + 200, h->assigned_uid);
	memcpy(slot + 208, h->policy_digest, sizeof h->policy_digest);
	slot_sum(slot, slot + SUM_AT);
}

int header_slot_decode(const uint8_t slot[HEADER_SLOT_BYTES], struct disk_header *ret,
		       uint64_t *ret_generation)
{
	struct disk_header h = {0};
	uint8_t sum[SUM_BYTES];

	if (memcmp(slot, HEADER_MAGIC, 8))
		return -EUCLEAN;
	slot_sum(slot, sum);
	if (sodium_memcmp(sum, slot + SUM_AT, SUM_BYTES))
		return -EUCLEAN;

	*ret_generation = get_le64(slot + 40);
	if (get_le32(slot + 8) != HEADER_VERSION || get_le64(slot + 32))
		return -EPROTO;
	if (slot[72] > HANDLE_MAX || slot[73] >= sizeof h.policy)
		return -EUCLEAN;

	h.generation = *ret_generation;
	memcpy(h.id.bytes, slot + 48, sizeof h.id.bytes);
	h.flags = get_le32(slot + 64);
	h.handle.type = (int32_t)get_le32(slot + 68);
	h.handle.len = slot[72];
	memcpy(h.handle.data, slot + 80, slot[72]);
	h.policy_version = get_le64(slot + 120);
	memcpy(h.policy, slot + 128, slot[73]);
	h.assigned_ns = get_le64(slot + 192);
	h.assigned_uid = get_le32(slot + 200);
	memcpy(h.policy_digest, slot + 208, sizeof h.policy_digest);
	*ret = h;
	return 0;
}

bool header_slot_read_only(const uint8_t slot[HEADER_SLOT_BYTES])
{
	return get_le64(slot + 24) != 0;
}

int header_slots_choose(const struct header_slots *slots, struct disk_header *ret)
{
	int chosen = -EUCLEAN;
	uint64_t newest = 0;

	for (int i = 0; i < HEADER_SLOTS; i++) {
		struct disk_header h;
		uint64_t generation;
		int r = header_slot_decode(slots->bytes[i], &h, &generation);

		if (r == -EUCLEAN || (chosen != -EUCLEAN && generation <= newest))
			continue;
		newest = generation;
		chosen = r < 0 ? r : i;
		if (r == 0)
			*ret = h;
	}
	return chosen;
}
