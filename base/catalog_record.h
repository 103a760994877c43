/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/catalog_record.h - the bytes of the catalog's records; knows nothing of LMDB.
 *
 * Each record is a key and a value.  A value begins with the checksum of the record, then its
 * version; docs/format.md has the rest.  The checksum is keyed and covers table, key and value, so
 * a record that is moved to another key or table is as bad as one with a flipped bit.
 *
 * Encoding   cannot fail for arguments that catalog_record_*_valid accepts.
 * Decoding   believes nothing: -EUCLEAN for whatever does not add up, -EPROTO for a good record
 *            of a later version.  *ret is written on success only.
 * Threads    pure functions.
 */
#ifndef BASE_CATALOG_RECORD_H
#define BASE_CATALOG_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/catalog.h"

enum catalog_table {
	CATALOG_META,
	CATALOG_NODES,
	CATALOG_HANDLES,
	CATALOG_DISKS,
	CATALOG_FACTS,
	CATALOG_TABLES,
};

extern const char *const catalog_table_names[CATALOG_TABLES];

#define CATALOG_MAGIC	      "WEIRCATL"
#define CATALOG_FORMAT	      1
#define CATALOG_KEY_FORMAT    "format" /* keys of the table meta */
#define CATALOG_KEY_STATE     "state"
#define CATALOG_SUM_KEY_BYTES 16
#define CATALOG_FACTS_MAX     16384

#define CATALOG_KEY_MAX	      (4 + HANDLE_MAX)
#define CATALOG_NODE_ROW_MAX  (24 + HANDLE_MAX + CATALOG_NAME_MAX)
#define CATALOG_HANDLE_ROW    24
#define CATALOG_DISK_ROW_MAX  (48 + HANDLE_MAX + 64)
#define CATALOG_FACTS_ROW_MAX (16 + CATALOG_FACTS_MAX)
#define CATALOG_FORMAT_ROW    128
#define CATALOG_STATE_ROW     48

/* A borrowed run of bytes. */
struct bytes {
	const void *data;
	size_t len;
};

/* What never changes in the life of a catalog. */
struct catalog_format {
	uint8_t sum_key[CATALOG_SUM_KEY_BYTES];
	struct catalog_identity who;
	uint64_t compatible, read_only_compatible, incompatible; /* feature flags */
};

/* What each transaction writes. */
struct catalog_state {
	uint64_t transaction; /* LMDB's number of the transaction that wrote this */
	uint64_t next;	      /* the first counter that is not reserved */
	uint32_t incarnation;
};

bool catalog_handle_valid(const struct handle *h); /* len 1 to HANDLE_MAX, the rest zero */

size_t catalog_key_node(uint64_t id, uint8_t ret[8]);
size_t catalog_key_handle(const struct handle *h, uint8_t ret[CATALOG_KEY_MAX]);
int catalog_key_node_parse(struct bytes key, uint64_t *ret);
int catalog_key_handle_parse(struct bytes key, struct handle *ret);

/* The order in which LMDB keeps two handles. */
int catalog_key_handle_compare(const struct handle *a, const struct handle *b);

/* Each returns the length of the value. */
size_t catalog_encode_node(const uint8_t *sum_key, const struct catalog_node *n, uint8_t *ret);
size_t catalog_encode_handle(const uint8_t *sum_key, const struct handle *h, uint64_t id,
			     uint8_t *ret);
size_t catalog_encode_disk(const uint8_t *sum_key, const struct catalog_disk *d, uint8_t *ret);
size_t catalog_encode_facts(const uint8_t *sum_key, const struct handle *h, const char *json,
			    uint8_t *ret);
size_t catalog_encode_format(const struct catalog_format *f, uint8_t *ret);
size_t catalog_encode_state(const uint8_t *sum_key, const struct catalog_state *s, uint8_t *ret);

int catalog_decode_node(const uint8_t *sum_key, struct bytes key, struct bytes value,
			struct catalog_node *ret);
int catalog_decode_handle(const uint8_t *sum_key, struct bytes key, struct bytes value,
			  uint64_t *ret_id);
int catalog_decode_disk(const uint8_t *sum_key, struct bytes key, struct bytes value,
			struct catalog_disk *ret);
/* *ret_json lies inside of @value and is not terminated. */
int catalog_decode_facts(const uint8_t *sum_key, struct bytes key, struct bytes value,
			 struct bytes *ret_json);
/* -EPROTO: a feature that this version does not know and must not ignore. */
int catalog_decode_format(struct bytes key, struct bytes value, struct catalog_format *ret);
int catalog_decode_state(const uint8_t *sum_key, struct bytes key, struct bytes value,
			 struct catalog_state *ret);

#endif
