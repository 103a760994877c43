/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/fuzz/fuzz_catalog_record.c - libFuzzer over the decoding of the catalog's records.
 *
 *     build-fuzz/tests/fuzz/fuzz_catalog_record -max_total_time=30 -max_len=600
 *
 * Input: table, length of the key, key, value.  The harness computes the checksum itself, from
 * docs/format.md, so that the fields behind it are reached.  What is accepted must be whole, and
 * the same bytes when it is encoded again.
 */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/catalog_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t sum_key[CATALOG_SUM_KEY_BYTES];

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void seal(unsigned table, struct bytes key, uint8_t *value, size_t len)
{
	const uint8_t *k =
		table == CATALOG_META && len == CATALOG_FORMAT_ROW ? value + 48 : sum_key;
	uint8_t bound[8 + 2 + 255];

	value[8] = 1;
	crypto_shorthash(bound, value + 8, len - 8, k);
	bound[8] = table;
	bound[9] = key.len;
	memcpy(bound + 10, key.data, key.len);
	crypto_shorthash(value, bound, 10 + key.len, k);
}

static void same(const uint8_t *row, size_t len, struct bytes value)
{
	require(len == value.len);
	for (size_t i = 16; i < len; i++) /* before: checksum, version, and zeros we ignore */
		require(row[i] == ((const uint8_t *)value.data)[i]);
}

static void decode(unsigned table, struct bytes key, struct bytes value)
{
	uint8_t row[CATALOG_FACTS_ROW_MAX];
	struct catalog_format format;
	struct catalog_state state;
	struct catalog_node node;
	struct catalog_disk disk;
	struct bytes json;
	struct handle h;
	uint64_t id;

	switch (table) {
	case CATALOG_META:
		catalog_decode_format(key, value, &format);
		if (catalog_decode_state(sum_key, key, value, &state) == 0)
			require(state.incarnation && state.next);
		break;
	case CATALOG_NODES:
		if (catalog_decode_node(sum_key, key, value, &node) == 0) {
			require(catalog_handle_valid(&node.handle));
			if (strlen(node.name) == ((const uint8_t *)value.data)[10])
				same(row, catalog_encode_node(sum_key, &node, row), value);
		}
		break;
	case CATALOG_HANDLES:
		if (catalog_decode_handle(sum_key, key, value, &id) == 0 &&
		    catalog_key_handle_parse(key, &h) == 0)
			same(row, catalog_encode_handle(sum_key, &h, id, row), value);
		break;
	case CATALOG_DISKS:
		if (catalog_decode_disk(sum_key, key, value, &disk) == 0)
			require(disk.handle.len <= HANDLE_MAX &&
				memchr(disk.policy, '\0', sizeof disk.policy));
		break;
	case CATALOG_FACTS:
		if (catalog_decode_facts(sum_key, key, value, &json) == 0)
			require(json.len <= CATALOG_FACTS_MAX &&
				(const uint8_t *)json.data + json.len ==
					(const uint8_t *)value.data + value.len);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *value;
	struct bytes key;
	unsigned table;
	size_t len;

	if (size < 2 || size < 2u + data[1])
		return 0;
	table = data[0] % CATALOG_TABLES;
	key = (struct bytes){data + 2, data[1]};
	len = size - 2 - key.len;
	value = malloc(len + !len); /* exactly as long: an overrun is seen */
	memcpy(value, data + 2 + key.len, len);
	if (data[0] & 0x80 && len >= 64 + 16)
		seal(table, key, value, len);
	else if (data[0] & 0x80 && len >= 9)
		seal(table == CATALOG_META ? CATALOG_NODES : table, key, value, len);
	decode(table, key, (struct bytes){value, len});
	free(value);
	return 0;
}
