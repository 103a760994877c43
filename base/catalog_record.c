/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/catalog_record.c - see base/catalog_record.h.
 *
 * Every value:  0 checksum u64 | 8 version u8 | 9 fields of the table ...
 *
 * Invariant  the checksum is looked at before any other byte of a value is believed.
 */
#include <errno.h>
#include <sodium.h>

#include "base/bytes.h"
#include "base/catalog_record.h"
#include "base/cleanup.h"

#define RECORD_VERSION 1

const char *const catalog_table_names[CATALOG_TABLES] = {
	[CATALOG_META] = "meta",   [CATALOG_NODES] = "nodes", [CATALOG_HANDLES] = "handles",
	[CATALOG_DISKS] = "disks", [CATALOG_FACTS] = "facts",
};

/* The value's hash goes into a second, short one with table and key: large values need no copy. */
static uint64_t record_sum(const uint8_t *sum_key, enum catalog_table table, struct bytes key,
			   const uint8_t *value, size_t len)
{
	uint8_t bound[8 + 2 + CATALOG_KEY_MAX], sum[crypto_shorthash_BYTES];

	crypto_shorthash(bound, value + 8, len - 8, sum_key);
	bound[8] = table;
	bound[9] = key.len;
	memcpy(bound + 10, key.data, key.len);
	crypto_shorthash(sum, bound, 10 + key.len, sum_key);
	return get_le64(sum);
}

static size_t record_seal(const uint8_t *sum_key, enum catalog_table table, struct bytes key,
			  uint8_t *value, size_t len)
{
	value[8] = RECORD_VERSION;
	put_le64(value, record_sum(sum_key, table, key, value, len));
	return len;
}

static int record_check(const uint8_t *sum_key, enum catalog_table table, struct bytes key,
			struct bytes value, size_t min_len)
{
	const uint8_t *v = value.data;

	if (key.len == 0 || key.len > CATALOG_KEY_MAX || value.len < 9)
		return -EUCLEAN;
	if (get_le64(v) != record_sum(sum_key, table, key, v, value.len))
		return -EUCLEAN;
	if (v[8] != RECORD_VERSION)
		return -EPROTO;
	return value.len < min_len ? -EUCLEAN : 0;
}

bool catalog_handle_valid(const struct handle *h)
{
	if (h->len == 0 || h->len > HANDLE_MAX)
		return false;
	for (size_t i = h->len; i < HANDLE_MAX; i++)
		if (h->data[i])
			return false;
	return true;
}

static int handle_parse(uint32_t type, const uint8_t *data, size_t len, struct handle *ret)
{
	if (len > HANDLE_MAX)
		return -EUCLEAN;
	memset(ret, 0, sizeof *ret);
	ret->type = (int32_t)type;
	ret->len = len;
	memcpy(ret->data, data, len);
	return 0;
}

size_t catalog_key_node(uint64_t id, uint8_t ret[8])
{
	put_be64(ret, id);
	return 8;
}

size_t catalog_key_handle(const struct handle *h, uint8_t ret[CATALOG_KEY_MAX])
{
	put_le32(ret, (uint32_t)h->type);
	memcpy(ret + 4, h->data, h->len);
	return 4 + h->len;
}

int catalog_key_node_parse(struct bytes key, uint64_t *ret)
{
	if (key.len != 8)
		return -EUCLEAN;
	*ret = get_be64(key.data);
	return 0;
}

int catalog_key_handle_parse(struct bytes key, struct handle *ret)
{
	const uint8_t *k = key.data;

	if (key.len < 5 || key.len > CATALOG_KEY_MAX)
		return -EUCLEAN;
	return handle_parse(get_le32(k), k + 4, key.len - 4, ret);
}

int catalog_key_handle_compare(const struct handle *a, const struct handle *b)
{
	uint32_t a_type = htole32((uint32_t)a->type), b_type = htole32((uint32_t)b->type);
	int r = memcmp(&a_type, &b_type, sizeof a_type);

	if (r == 0)
		r = memcmp(a->data, b->data, MIN(a->len, b->len));
	return r ? r : (int)a->len - (int)b->len;
}

/* 9 handle length u8 | 10 name length u8 | 11 zero u8 | 12 handle type i32 | 16 parent u64 |
 * 24 handle | name */
size_t catalog_encode_node(const uint8_t *sum_key, const struct catalog_node *n, uint8_t *ret)
{
	uint8_t key[8];
	size_t key_len = catalog_key_node(n->id, key), name_len = strlen(n->name);

	ret[9] = n->handle.len;
	ret[10] = name_len;
	ret[11] = 0;
	put_le32(ret + 12, (uint32_t)n->handle.type);
	put_le64(ret + 16, n->parent);
	memcpy(ret + 24, n->handle.data, n->handle.len);
	memcpy(ret + 24 + n->handle.len, n->name, name_len);
	return record_seal(sum_key, CATALOG_NODES, (struct bytes){key, key_len}, ret,
			   24 + n->handle.len + name_len);
}

int catalog_decode_node(const uint8_t *sum_key, struct bytes key, struct bytes value,
			struct catalog_node *ret)
{
	const uint8_t *v = value.data;
	struct handle h;
	uint64_t id;
	int r;

	r = record_check(sum_key, CATALOG_NODES, key, value, 24);
	if (r < 0)
		return r;
	if (catalog_key_node_parse(key, &id) < 0 || v[9] == 0 || value.len != 24u + v[9] + v[10] ||
	    handle_parse(get_le32(v + 12), v + 24, v[9], &h) < 0)
		return -EUCLEAN;

	ret->id = id;
	ret->parent = get_le64(v + 16);
	ret->handle = h;
	memcpy(ret->name, v + 24 + v[9], v[10]);
	ret->name[v[10]] = '\0';
	return 0;
}

/* 9 zero[7] | 16 id u64 */
size_t catalog_encode_handle(const uint8_t *sum_key, const struct handle *h, uint64_t id,
			     uint8_t *ret)
{
	uint8_t key[CATALOG_KEY_MAX];
	size_t key_len = catalog_key_handle(h, key);

	memset(ret, 0, 16);
	put_le64(ret + 16, id);
	return record_seal(sum_key, CATALOG_HANDLES, (struct bytes){key, key_len}, ret,
			   CATALOG_HANDLE_ROW);
}

int catalog_decode_handle(const uint8_t *sum_key, struct bytes key, struct bytes value,
			  uint64_t *ret_id)
{
	int r;

	r = record_check(sum_key, CATALOG_HANDLES, key, value, CATALOG_HANDLE_ROW);
	if (r < 0)
		return r;
	if (value.len != CATALOG_HANDLE_ROW)
		return -EUCLEAN;

	*ret_id = get_le64((const uint8_t *)value.data + 16);
	return 0;
}

/* 9 handle length u8 | 10 policy length u8 | 11 zero u8 | 12 flags u32 | 16 node u64 |
 * 24 policy version u64 | 32 handle type i32 | 36 zero[12] | 48 handle | policy */
size_t catalog_encode_disk(const uint8_t *sum_key, const struct catalog_disk *d, uint8_t *ret)
{
	size_t policy_len = strlen(d->policy);

	memset(ret, 0, 48);
	ret[9] = d->handle.len;
	ret[10] = policy_len;
	put_le32(ret + 12, d->flags);
	put_le64(ret + 16, d->node);
	put_le64(ret + 24, d->policy_version);
	put_le32(ret + 32, (uint32_t)d->handle.type);
	memcpy(ret + 48, d->handle.data, d->handle.len);
	memcpy(ret + 48 + d->handle.len, d->policy, policy_len);
	return record_seal(sum_key, CATALOG_DISKS, (struct bytes){d->id.bytes, sizeof d->id.bytes},
			   ret, 48 + d->handle.len + policy_len);
}

int catalog_decode_disk(const uint8_t *sum_key, struct bytes key, struct bytes value,
			struct catalog_disk *ret)
{
	const uint8_t *v = value.data;
	struct handle h;
	int r;

	r = record_check(sum_key, CATALOG_DISKS, key, value, 48);
	if (r < 0)
		return r;
	if (key.len != sizeof ret->id.bytes || v[10] >= sizeof ret->policy ||
	    value.len != 48u + v[9] + v[10] || handle_parse(get_le32(v + 32), v + 48, v[9], &h) < 0)
		return -EUCLEAN;

	memset(ret, 0, sizeof *ret);
	memcpy(ret->id.bytes, key.data, sizeof ret->id.bytes);
	ret->handle = h;
	ret->flags = get_le32(v + 12);
	ret->node = get_le64(v + 16);
	ret->policy_version = get_le64(v + 24);
	memcpy(ret->policy, v + 48 + v[9], v[10]);
	return 0;
}

/* 9 zero[3] | 12 length u32 | 16 JSON */
size_t catalog_encode_facts(const uint8_t *sum_key, const struct handle *h, const char *json,
			    uint8_t *ret)
{
	uint8_t key[CATALOG_KEY_MAX];
	size_t key_len = catalog_key_handle(h, key), len = strlen(json);

	memset(ret, 0, 16);
	put_le32(ret + 12, len);
	memcpy(ret + 16, json, len);
	return record_seal(sum_key, CATALOG_FACTS, (struct bytes){key, key_len}, ret, 16 + len);
}

int catalog_decode_facts(const uint8_t *sum_key, struct bytes key, struct bytes value,
			 struct bytes *ret_json)
{
	const uint8_t *v = value.data;
	int r;

	r = record_check(sum_key, CATALOG_FACTS, key, value, 16);
	if (r < 0)
		return r;
	if (value.len > CATALOG_FACTS_ROW_MAX || get_le32(v + 12) != value.len - 16)
		return -EUCLEAN;

	*ret_json = (struct bytes){v + 16, value.len - 16};
	return 0;
}

/* 9 root handle length u8 | 10 zero[2] | 12 format u32 | 16 magic[8] | 24 compatible u64 |
 * 32 read-only-compatible u64 | 40 incompatible u64 | 48 checksum key[16] | 64 fs uuid[16] |
 * 80 root handle type i32 | 84 root handle[40] | 124 zero[4] */
size_t catalog_encode_format(const struct catalog_format *f, uint8_t *ret)
{
	struct bytes key = {CATALOG_KEY_FORMAT, strlen(CATALOG_KEY_FORMAT)};

	memset(ret, 0, CATALOG_FORMAT_ROW);
	ret[9] = f->who.root.len;
	put_le32(ret + 12, CATALOG_FORMAT);
	memcpy(ret + 16, CATALOG_MAGIC, 8);
	put_le64(ret + 24, f->compatible);
	put_le64(ret + 32, f->read_only_compatible);
	put_le64(ret + 40, f->incompatible);
	memcpy(ret + 48, f->sum_key, CATALOG_SUM_KEY_BYTES);
	memcpy(ret + 64, f->who.fs_uuid, 16);
	put_le32(ret + 80, (uint32_t)f->who.root.type);
	memcpy(ret + 84, f->who.root.data, f->who.root.len);
	return record_seal(f->sum_key, CATALOG_META, key, ret, CATALOG_FORMAT_ROW);
}

int catalog_decode_format(struct bytes key, struct bytes value, struct catalog_format *ret)
{
	const uint8_t *v = value.data;
	struct catalog_format f = {0};
	int r;

	if (value.len < CATALOG_FORMAT_ROW || memcmp(v + 16, CATALOG_MAGIC, 8))
		return -EUCLEAN;
	r = record_check(v + 48, CATALOG_META, key, value, CATALOG_FORMAT_ROW);
	if (r < 0)
		return r;
	f.compatible = get_le64(v + 24);
	f.read_only_compatible = get_le64(v + 32);
	f.incompatible = get_le64(v + 40);
	/* A catalog is never opened only for reading, so the two kinds are as bad. */
	if (get_le32(v + 12) != CATALOG_FORMAT || f.incompatible || f.read_only_compatible)
		return -EPROTO;
	memcpy(f.sum_key, v + 48, CATALOG_SUM_KEY_BYTES);
	memcpy(f.who.fs_uuid, v + 64, 16);
	if (handle_parse(get_le32(v + 80), v + 84, v[9], &f.who.root) < 0)
		return -EUCLEAN;

	*ret = f;
	return 0;
}

/* 9 zero[3] | 12 incarnation u32 | 16 transaction u64 | 24 next u64 | 32 zero[16] */
size_t catalog_encode_state(const uint8_t *sum_key, const struct catalog_state *s, uint8_t *ret)
{
	struct bytes key = {CATALOG_KEY_STATE, strlen(CATALOG_KEY_STATE)};

	memset(ret, 0, CATALOG_STATE_ROW);
	put_le32(ret + 12, s->incarnation);
	put_le64(ret + 16, s->transaction);
	put_le64(ret + 24, s->next);
	return record_seal(sum_key, CATALOG_META, key, ret, CATALOG_STATE_ROW);
}

int catalog_decode_state(const uint8_t *sum_key, struct bytes key, struct bytes value,
			 struct catalog_state *ret)
{
	const uint8_t *v = value.data;
	struct catalog_state s;
	int r;

	r = record_check(sum_key, CATALOG_META, key, value, CATALOG_STATE_ROW);
	if (r < 0)
		return r;

	s.incarnation = get_le32(v + 12);
	s.transaction = get_le64(v + 16);
	s.next = get_le64(v + 24);
	if (s.incarnation == 0 || s.incarnation > CATALOG_INCARNATION_MAX || s.next == 0 ||
	    s.next > UINT64_C(1) << CATALOG_ID_BITS)
		return -EUCLEAN;

	*ret = s;
	return 0;
}
