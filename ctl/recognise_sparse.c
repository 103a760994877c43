/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/recognise_sparse.c - the three sparse extents of VMDK.
 *
 *     hosted sparse  "KDMV"      little-endian header of 512 bytes, a descriptor may be inside
 *     COWD           "COWD"      little-endian header of 2048 bytes: vmfsSparse, -delta.vmdk
 *     seSparse       cafebabe    64-bit little-endian: constant header, then a volatile one
 *
 * Own reading of the headers: libvmdk gives none of their fields out, and opens no COWD without
 * its descriptor and no seSparse at all.  The descriptor inside a hosted sparse extent is parsed
 * by recognise_descriptor.c and compared with libvmdk's reading.
 *
 * What is checked is what a reader would follow: sizes that are absurd, tables and descriptors
 * outside of the file.  Grain tables are not walked: the time per file stays constant.
 */
#include "base/cleanup.h"
#include "ctl/recognise.h"
#include "ctl/recognise_bytes.h"

#define HOSTED_COMPRESSED  (1u << 16)
#define HOSTED_MARKERS	   (1u << 17)
#define HOSTED_AT_END	   UINT64_MAX /* of the grain directory: the footer says where */
#define HOSTED_FOOTER_BACK 1024u      /* footer, then one sector that ends the stream */

struct hosted {
	uint32_t version, flags, table_entries;
	uint64_t capacity, grain, descriptor_at, descriptor_len; /* in sectors */
	uint64_t directory_at, overhead;
	bool text_damage;
};

static void hosted_read(const uint8_t *b, struct hosted *h)
{
	*h = (struct hosted){
		.version = le32(b + 4),
		.flags = le32(b + 8),
		.capacity = le64(b + 12),
		.grain = le64(b + 20),
		.descriptor_at = le64(b + 28),
		.descriptor_len = le64(b + 36),
		.table_entries = le32(b + 44),
		.directory_at = le64(b + 56),
		.overhead = le64(b + 64),
		.text_damage = memcmp(b + 73, "\n \r\n", 4) != 0,
	};
}

/* True: @n sectors from sector @at lie in the file. */
static bool holds_sectors(const struct input *in, uint64_t at, uint64_t n)
{
	if (at > SEEN_CAPACITY_MAX / SECTOR || n > SEEN_CAPACITY_MAX / SECTOR)
		return false;
	return input_holds(in, at * SECTOR, n * SECTOR);
}

static void grain_sectors(struct seen *s, uint64_t sectors)
{
	seen_grain(s, sectors > UINT64_MAX / SECTOR ? 0 : sectors * SECTOR);
}

/* The grain directory has one entry of 4 bytes for each table of grains. */
static void check_directory(const struct input *in, const struct hosted *h, struct seen *s)
{
	uint64_t per_table, entries;

	if (!s->grain || !s->has_capacity || h->table_entries == 0 || h->table_entries > 512) {
		seen_problem(s, "The header's grain tables have an absurd size.");
		return;
	}
	per_table = s->grain * h->table_entries;
	entries = s->capacity / per_table + (s->capacity % per_table != 0);
	if (h->directory_at > SEEN_CAPACITY_MAX / SECTOR ||
	    !input_holds(in, h->directory_at * SECTOR, entries * 4))
		seen_problem(s, "The file is truncated: its grain directory is not in it.");
}

/* A stream is written in one go: what its header cannot know yet stands in a footer. */
static void hosted_footer(const struct input *in, struct hosted *h, struct seen *s)
{
	uint8_t b[SECTOR];
	struct hosted footer;

	if (h->directory_at != HOSTED_AT_END)
		return;
	if (in->size < 2 * HOSTED_FOOTER_BACK ||
	    !input_read_all(in, b, in->size - HOSTED_FOOTER_BACK, sizeof b) ||
	    memcmp(b, "KDMV", 4) != 0) {
		seen_problem(s, "The file is truncated: its footer is missing.");
		return;
	}
	hosted_read(b, &footer);
	if (footer.capacity != h->capacity || footer.grain != h->grain)
		seen_problem(s, "The header and the footer have different sizes.");
	h->directory_at = footer.directory_at;
}

static void hosted_check(const struct input *in, struct hosted *h, struct seen *s)
{
	if (h->version < 1 || h->version > 3)
		seen_problem(s, "The sparse header is of version %u.", h->version);
	if (h->text_damage)
		seen_problem(s, "The file was damaged by a transfer in text mode.");
	if (h->overhead != HOSTED_AT_END && !holds_sectors(in, 0, h->overhead))
		seen_problem(s, "The file is truncated: its metadata is not complete.");
	seen_capacity_sectors(s, h->capacity);
	grain_sectors(s, h->grain);
	hosted_footer(in, h, s);
	check_directory(in, h, s);
}

/* The embedded text ends at its first NUL.  What lies in the file up to there is kept for the
 * second reading. */
static int embedded_descriptor(const struct input *in, const struct hosted *h, struct seen *s)
{
	uint64_t from = h->descriptor_at * SECTOR, len = h->descriptor_len * SECTOR;
	struct span text;
	char *buf;
	int r;

	buf = seen_buffer(s, from + len);
	if (!buf)
		return -ENOMEM;
	if (!input_read_all(in, buf, 0, from + len))
		return 0;

	text = (struct span){buf + from, strnlen(buf + from, len)};
	if (text.len == 0) /* qemu-img reserves the place in each extent, and leaves it empty */
		return 0;
	if (!descriptor_begins((const uint8_t *)text.at, text.len)) {
		seen_problem(s, "The sparse extent's descriptor does not begin like one.");
		return 0;
	}
	r = descriptor_parse(text, s);
	if (r == 1) {
		s->vmdk = (const uint8_t *)buf;
		s->vmdk_len = from + len;
	}
	return r;
}

static int hosted_descriptor(const struct input *in, const struct hosted *h, struct seen *s)
{
	if (h->descriptor_at == 0 || h->descriptor_len == 0)
		return 0;
	if (h->descriptor_len > DESCRIPTOR_MAX / SECTOR ||
	    h->descriptor_at > DESCRIPTOR_MAX / SECTOR) {
		seen_problem(s, "The sparse extent's descriptor is absurdly large or far away.");
		return 0;
	}
	if (!holds_sectors(in, h->descriptor_at, h->descriptor_len)) {
		seen_problem(s, "The file is truncated: its descriptor is not complete.");
		return 0;
	}
	return embedded_descriptor(in, h, s);
}

int recognise_hosted_sparse(const struct input *in, const uint8_t *head, struct seen *s)
{
	uint64_t capacity;
	bool streamed;
	struct hosted h;
	int r;

	hosted_read(head, &h);
	s->type = "vmdk sparseExtent";
	s->has_descriptor = s->sparse = true;
	hosted_check(in, &h, s);
	capacity = s->capacity;

	r = hosted_descriptor(in, &h, s);
	if (r <= 0)
		return r;

	s->embedded = s->sparse = true;
	streamed = (h.flags & (HOSTED_COMPRESSED | HOSTED_MARKERS)) != 0;
	if (streamed != (strcmp(s->type, "vmdk streamOptimized") == 0))
		seen_problem(s, "The header and the createType disagree about compression.");
	if (s->has_capacity && s->capacity != capacity)
		seen_problem(s, "The header and the descriptor have different capacities.");
	return 0;
}

int recognise_cowd(const struct input *in, const uint8_t *head, struct seen *s)
{
	uint64_t directory_at = le32(head + 20), entries = le32(head + 24);

	s->type = "vmdk vmfsSparse";
	s->has_descriptor = s->sparse = true;
	if (le32(head + 4) != 1)
		seen_problem(s, "The COWD header is of version %u.", le32(head + 4));
	seen_capacity_sectors(s, le32(head + 12));
	grain_sectors(s, le32(head + 16));
	if (!input_holds(in, 0, 2048) || !input_holds(in, directory_at * SECTOR, entries * 4))
		seen_problem(s, "The file is truncated: its grain directory is not in it.");
	/* A table has 4096 grains. */
	if (s->grain && entries * 4096 * s->grain < s->capacity)
		seen_problem(s, "The grain directory is too small for the capacity.");
	return 0;
}

int recognise_se_sparse(const struct input *in, const uint8_t *head, struct seen *s)
{
	/* Offset and size, in sectors, of: volatile header, journal header, journal, grain
	 * directory, grain tables, free bitmap, back map.  Grains may end behind the file. */
	enum { FIRST_AREA = 80, AREAS = 7 };
	size_t i;

	s->type = "vmdk seSparse";
	s->has_descriptor = s->sparse = true;
	if (le64(head + 8) != 0x0000000200000001)
		seen_problem(s, "The seSparse header is of an unknown version.");
	seen_capacity_sectors(s, le64(head + 16));
	grain_sectors(s, le64(head + 24));
	if (le64(head + 32) == 0 || le64(head + 32) > 64)
		seen_problem(s, "The header's grain tables have an absurd size.");
	for (i = 0; i < AREAS; i++)
		if (!holds_sectors(in, le64(head + FIRST_AREA + 16 * i),
				   le64(head + FIRST_AREA + 16 * i + 8)))
			seen_problem(s, "The file is truncated: its metadata is not in it.");
	return 0;
}
