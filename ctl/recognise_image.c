/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/recognise_image.c - images of other makes, named for what they are, and raw ones.
 *
 * Nothing here follows a table: the header says what it is and how large the guest's disk is.
 * vhdx keeps that behind two tables (recognise_vhdx.c).  A file that no magic claims is raw when
 * it has whole sectors; a guest writes the first bytes of a raw disk, so whoever asks asks once
 * and remembers the answer.
 */
#include "base/cleanup.h"
#include "ctl/recognise.h"
#include "ctl/recognise_bytes.h"

/* A file name @len bytes long at @off: the parent. */
static void parent_at(const struct input *in, uint64_t off, uint32_t len, struct seen *s)
{
	char *buf;

	if (off == 0 || len == 0)
		return;
	if (len > SEEN_PARENT_MAX) {
		seen_problem(s, "The parent's name is longer than %u bytes.", SEEN_PARENT_MAX);
		return;
	}
	buf = seen_buffer(s, len);
	if (!buf || !input_read_all(in, buf, off, len))
		seen_problem(s, "The file is truncated: its parent's name is not in it.");
	else
		s->parent = (struct span){buf, len};
}

static void image_qcow2(const struct input *in, const uint8_t *head, struct seen *s)
{
	uint32_t version = be32(head + 4), bits = be32(head + 20);

	s->type = "qcow2";
	s->sparse = true;
	if (version != 2 && version != 3)
		seen_problem(s, "The qcow2 header is of version %u.", version);
	if (bits < 9 || bits > 21)
		seen_problem(s, "The cluster size is absurd.");
	else
		seen_grain(s, UINT64_C(1) << bits);
	seen_capacity(s, be64(head + 24));
	if (!input_holds(in, be64(head + 40), (uint64_t)be32(head + 36) * 8))
		seen_problem(s, "The file is truncated: its first table is not in it.");
	if (version == 3 && (be64(head + 72) & 4))
		seen_problem(s, "The qcow2 keeps its data in another file.");
	parent_at(in, be64(head + 8), be32(head + 16), s);
}

static void image_vdi(const struct input *in, const uint8_t *head, struct seen *s)
{
	s->type = "vdi";
	s->sparse = true;
	if (le32(head + 68) >> 16 != 1)
		seen_problem(s, "The vdi header is of version %u.", le32(head + 68) >> 16);
	seen_capacity(s, le64(head + 368));
	seen_grain(s, le32(head + 376));
	if (!input_holds(in, le32(head + 340), (uint64_t)le32(head + 384) * 4))
		seen_problem(s, "The file is truncated: its block map is not in it.");
}

static void image_qed(const struct input *in, const uint8_t *head, struct seen *s)
{
	s->type = "qed";
	s->sparse = true;
	seen_grain(s, le32(head + 4));
	seen_capacity(s, le64(head + 48));
	if (le64(head + 16) & 1)
		parent_at(in, le32(head + 56), le32(head + 60), s);
}

/* Footer in front: a growing or differencing one.  Only at the end: a fixed one. */
static bool image_vhd(const struct input *in, const uint8_t *head, struct seen *s)
{
	uint8_t footer[SECTOR];
	const uint8_t *b = head;

	if (memcmp(head, "conectix", 8) != 0) {
		b = footer;
		if (in->size < 2 * SECTOR ||
		    !input_read_all(in, footer, in->size - SECTOR, SECTOR) ||
		    memcmp(footer, "conectix", 8) != 0 || be32(footer + 60) != 2 ||
		    be64(footer + 48) > in->size - SECTOR)
			return false;
	}
	s->type = "vhd";
	s->sparse = b == head;
	seen_capacity(s, be64(b + 48));
	if (b == head && (be32(b + 60) < 2 || be32(b + 60) > 4))
		seen_problem(s, "The vhd is of a type nobody knows.");
	return true;
}

static bool image_iso9660(const struct input *in, struct seen *s)
{
	uint8_t b[6];

	if (!input_read_all(in, b, 32768, sizeof b) || memcmp(b + 1, "CD001", 5) != 0)
		return false;
	s->type = "iso9660";
	seen_capacity(s, in->size);
	return true;
}

static bool image_tar(const uint8_t *head, struct seen *s)
{
	struct span first = {(const char *)head, strnlen((const char *)head, 100)};

	if (memcmp(head + 257, "ustar", 5) != 0)
		return false;
	s->type = span_ends(first, ".ovf") ? "ova" : "tar";
	return true;
}

static const struct magic {
	size_t at;
	const char *bytes;
	size_t len;
	void (*image)(const struct input *in, const uint8_t *head, struct seen *s);
} magics[] = {
	{0, "QFI\xfb", 4, image_qcow2},
	{64, "\x7f\x10\xda\xbe", 4, image_vdi},
	{0, "QED", 4, image_qed},
};

void recognise_image(const struct input *in, const uint8_t *head, struct seen *s)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(magics); i++) {
		if (memcmp(head + magics[i].at, magics[i].bytes, magics[i].len) != 0)
			continue;
		magics[i].image(in, head, s);
		return;
	}
	if (!image_vhd(in, head, s) && !image_iso9660(in, s))
		image_tar(head, s);
}

static const struct signature {
	const char *word;
	uint64_t at;
	const char *bytes;
	size_t len;
} signatures[] = {
	{"gpt", 512, "EFI PART", 8},	 {"lvm", 512, "LABELONE", 8},
	{"luks", 0, "LUKS\xba\xbe", 6},	 {"ntfs", 3, "NTFS    ", 8},
	{"fat", 54, "FAT1", 4},		 {"fat", 82, "FAT32", 5},
	{"xfs", 0, "XFSB", 4},		 {"mbr", 510, "\x55\xaa", 2},
	{"ext", 1080, "\x53\xef", 2},	 {"swap", 4086, "SWAPSPACE2", 10},
	{"btrfs", 65600, "_BHRfS_M", 8},
};

void recognise_raw(const struct input *in, const uint8_t *head, struct seen *s)
{
	uint8_t b[16];
	size_t i;

	if (in->size < SECTOR || in->size % SECTOR != 0) {
		s->type = "other";
		return;
	}
	s->type = "raw";
	seen_capacity(s, in->size);
	for (i = 0; i < ARRAY_SIZE(signatures) && !s->signature; i++) {
		if (signatures[i].at + signatures[i].len <= HEAD_LEN)
			memcpy(b, head + signatures[i].at, signatures[i].len);
		else if (!input_read_all(in, b, signatures[i].at, signatures[i].len))
			continue;
		if (memcmp(b, signatures[i].bytes, signatures[i].len) == 0)
			s->signature = signatures[i].word;
	}
}
