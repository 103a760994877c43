/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/recognise_vhdx.c - the capacity of a vhdx.
 *
 * Two tables lead to it: the region table (at 192 KiB, a copy at 256 KiB) to the metadata region,
 * that region's table to the item.  Checksums and the log are not looked at: the answer is for
 * people, nobody writes by it.
 */
#include "base/cleanup.h"
#include "ctl/recognise.h"
#include "ctl/recognise_bytes.h"

#define TABLE_LEN  65536u
#define REGIONS_AT 196608u
#define ENTRY_LEN  32u

static const uint8_t metadata_region[16] = {0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b,
					    0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e};
static const uint8_t size_item[16] = {0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48,
				      0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8};
static const uint8_t parameters_item[16] = {0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d,
					    0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b};

/* The entry of @id among @n from @first in a table; NULL: none. */
static const uint8_t *find_entry(const uint8_t *table, size_t first, uint32_t n, const uint8_t *id)
{
	size_t i, most = (TABLE_LEN - first) / ENTRY_LEN;

	for (i = 0; i < MIN(n, most); i++)
		if (memcmp(table + first + i * ENTRY_LEN, id, 16) == 0)
			return table + first + i * ENTRY_LEN;
	return NULL;
}

/* The bytes of a metadata item, which lies within the region at @region. */
static bool read_item(const struct input *in, const uint8_t *table, uint64_t region,
		      const uint8_t *id, void *ret, size_t len)
{
	const uint8_t *entry = find_entry(table, 32, le16(table + 10), id);

	if (!entry || le32(entry + 20) < len)
		return false;
	return input_read_all(in, ret, region + le32(entry + 16), len);
}

int recognise_vhdx(const struct input *in, struct seen *s)
{
	uint8_t *table = (uint8_t *)seen_buffer(s, TABLE_LEN);
	uint8_t size[8], parameters[8];
	const uint8_t *region;
	uint64_t at;

	s->type = "vhdx";
	s->sparse = true;
	if (!table)
		return -ENOMEM;
	if (!input_read_all(in, table, REGIONS_AT, TABLE_LEN) || memcmp(table, "regi", 4) != 0)
		goto broken;
	region = find_entry(table, 16, le32(table + 8), metadata_region);
	at = region ? le64(region + 16) : 0;
	if (!region || !input_holds(in, at, TABLE_LEN) ||
	    !input_read_all(in, table, at, TABLE_LEN) || memcmp(table, "metadata", 8) != 0)
		goto broken;
	if (!read_item(in, table, at, size_item, size, sizeof size) ||
	    !read_item(in, table, at, parameters_item, parameters, sizeof parameters))
		goto broken;
	seen_capacity(s, le64(size));
	seen_grain(s, le32(parameters));
	if (le32(parameters + 4) & 2)
		seen_problem(s, "The vhdx has a parent, whose name is not looked for.");
	return 0;
broken:
	seen_problem(s, "The file is truncated or damaged: its metadata cannot be found.");
	return 0;
}
