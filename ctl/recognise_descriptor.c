/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/recognise_descriptor.c - the text descriptor of a VMDK.
 *
 *     # Disk DescriptorFile
 *     CID=5a18e6fc                                      header: key=value
 *     createType="monolithicFlat"
 *     RW 16384 FLAT "disk-flat.vmdk" 0                  extents: access sectors type "file" offset
 *     ddb.adapterType = "ide"                           disk database: ddb.key = "value"
 *
 * Own reading, because libvmdk knows no seSparse and no ddb entries, stops at what it does not
 * know and has no limits; recognise_vmdk.c lets it read the same bytes and compares.
 *
 * A text that parses is free from encryption later, so the grammar is strict: the signature
 * first, then only comments, extents and pairs, with a createType, a CID and an extent among
 * them.  Whatever else stands there makes it no descriptor.  Keys and words are compared without
 * regard to case, the sections' comments mean nothing: all as VMware's products do.
 *
 * Refuses    to choose between two values: a key that appears twice is a problem.
 */
#include <string.h>

#include "base/cleanup.h"
#include "ctl/recognise.h"

static const char signature[] = "# Disk DescriptorFile";

enum {
	EXTENTS_ANY = 0,
	EXTENT_FLAT = 1,
	EXTENT_SPARSE = 2,
	EXTENT_VMFS = 4,
	EXTENT_VMFSSPARSE = 8,
	EXTENT_RDM = 16,
	EXTENT_SESPARSE = 32,
	EXTENT_ZERO = 64
};

static const struct extent_kind {
	const char *word;
	unsigned bit;
} extent_kinds[] = {
	{"FLAT", EXTENT_FLAT},	 {"SPARSE", EXTENT_SPARSE},
	{"VMFS", EXTENT_VMFS},	 {"VMFSSPARSE", EXTENT_VMFSSPARSE},
	{"VMFSRDM", EXTENT_RDM}, {"VMFSRAW", EXTENT_RDM},
	{"ZERO", EXTENT_ZERO},	 {"SESPARSE", EXTENT_SESPARSE},
};

static const struct create_type {
	const char *word, *type;
	unsigned extents; /* the kinds it may have beside ZERO */
	bool sparse;
} create_types[] = {
	{"monolithicFlat", "vmdk monolithicFlat", EXTENT_FLAT, false},
	{"monolithicSparse", "vmdk monolithicSparse", EXTENT_SPARSE, true},
	{"twoGbMaxExtentFlat", "vmdk twoGbMaxExtentFlat", EXTENT_FLAT, false},
	{"twoGbMaxExtentSparse", "vmdk twoGbMaxExtentSparse", EXTENT_SPARSE, true},
	{"2GbMaxExtentFlat", "vmdk twoGbMaxExtentFlat", EXTENT_FLAT, false},
	{"2GbMaxExtentSparse", "vmdk twoGbMaxExtentSparse", EXTENT_SPARSE, true},
	{"streamOptimized", "vmdk streamOptimized", EXTENT_SPARSE, true},
	{"vmfs", "vmdk vmfs", EXTENT_VMFS | EXTENT_FLAT, false},
	{"vmfsPreallocated", "vmdk vmfsPreallocated", EXTENT_VMFS | EXTENT_FLAT, false},
	{"vmfsEagerZeroedThick", "vmdk vmfsEagerZeroedThick", EXTENT_VMFS | EXTENT_FLAT, false},
	{"vmfsThin", "vmdk vmfsThin", EXTENT_VMFS | EXTENT_FLAT, false},
	{"vmfsSparse", "vmdk vmfsSparse", EXTENT_VMFSSPARSE, true},
	{"seSparse", "vmdk seSparse", EXTENT_SESPARSE, true},
	{"fullDevice", "vmdk fullDevice", EXTENT_FLAT, false},
	{"partitionedDevice", "vmdk partitionedDevice", EXTENT_FLAT, false},
	{"vmfsRaw", "vmdk vmfsRaw", EXTENT_RDM, false},
	{"vmfsRDM", "vmdk vmfsRDM", EXTENT_RDM, false},
	{"vmfsRDMP", "vmdk vmfsRDMP", EXTENT_RDM, false},
	{"vmfsRawDeviceMap", "vmdk vmfsRawDeviceMap", EXTENT_RDM, false},
	{"vmfsPassthroughRawDeviceMap", "vmdk vmfsPassthroughRawDeviceMap", EXTENT_RDM, false},
	{"custom", "vmdk custom", EXTENTS_ANY, false},
};

/* What the lines gave, before it is judged as a whole. */
struct lines {
	struct span create_type, cid, parent_cid, parent, adapter;
	uint64_t sectors; /* of all extents */
	bool too_large;	  /* more sectors than a disk can have */
	unsigned kinds;	  /* of extents, bits */
	bool unknown_kind;
};

/* The next word of @line; empty at its end. */
static struct span next_word(struct span *line)
{
	struct span word = {0};

	*line = span_trim(*line);
	word.at = line->at;
	while (word.len < line->len && line->at[word.len] != ' ' && line->at[word.len] != '\t')
		word.len++;
	line->at += word.len;
	line->len -= word.len;
	return word;
}

/* The quoted name in front of @line; false: there is none.  The last quote ends it, as in
 * libvmdk: what is behind holds numbers and identifiers only. */
static bool next_name(struct span *line, struct span *ret)
{
	const char *end;

	*line = span_trim(*line);
	if (line->len < 2 || line->at[0] != '"')
		return false;
	end = memrchr(line->at + 1, '"', line->len - 1);
	if (!end)
		return false;
	*ret = (struct span){line->at + 1, (size_t)(end - line->at) - 1};
	line->len -= ret->len + 2;
	line->at = end + 1;
	return true;
}

static bool is_access(struct span word)
{
	return span_is(word, "RW") || span_is(word, "RDONLY") || span_is(word, "NOACCESS");
}

static bool is_word(struct span word)
{
	size_t i;

	for (i = 0; i < word.len; i++)
		if (!(word.at[i] >= 'A' && word.at[i] <= 'Z') &&
		    !(word.at[i] >= 'a' && word.at[i] <= 'z') &&
		    !(word.at[i] >= '0' && word.at[i] <= '9'))
			return false;
	return word.len > 0 && word.len <= 32;
}

static unsigned kind_of(struct span word)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(extent_kinds); i++)
		if (span_is(word, extent_kinds[i].word))
			return extent_kinds[i].bit;
	return 0;
}

static void add_sectors(struct lines *l, uint64_t sectors)
{
	if (__builtin_add_overflow(l->sectors, sectors, &l->sectors))
		l->too_large = true;
}

static void judge_extent(const struct seen_extent *e, unsigned kind, struct seen *s)
{
	if (kind == 0)
		seen_problem(s, "An extent is of a type nobody knows.");
	if (kind != EXTENT_ZERO && !e->file.at)
		seen_problem(s, "An extent names no file.");
	if (e->file.len > SEEN_NAME_MAX)
		seen_problem(s, "An extent's name is longer than %u bytes.", SEEN_NAME_MAX);
	else if (e->file.at && name_is_suspect(e->file, SEEN_NAME_MAX))
		seen_problem(s, "An extent's name leads out of the directory.");
	if (e->sectors == 0)
		seen_problem(s, "An extent has no sectors.");
	if (e->has_offset &&
	    e->offset > SEEN_CAPACITY_MAX - MIN(e->sectors, SEEN_CAPACITY_MAX / SECTOR) * SECTOR)
		seen_problem(s, "An extent ends behind what a file can have.");
}

/* @line begins with an access word.  1: an extent, 0: not a valid one. */
static int read_extent(struct span line, struct lines *l, struct seen *s)
{
	struct seen_extent e = {0};
	uint64_t offset_sectors;
	struct span word;
	unsigned kind;
	int r;

	e.access = next_word(&line);
	if (!span_number(next_word(&line), &e.sectors))
		return 0;
	e.type = next_word(&line);
	if (!is_word(e.type))
		return 0;
	if (next_name(&line, &e.file)) {
		word = next_word(&line);
		if (word.len > 0) {
			if (!span_number(word, &offset_sectors) ||
			    __builtin_mul_overflow(offset_sectors, SECTOR, &e.offset))
				return 0;
			e.has_offset = true;
		}
	}

	kind = kind_of(e.type);
	l->kinds |= kind;
	l->unknown_kind |= kind == 0;
	add_sectors(l, e.sectors);
	judge_extent(&e, kind, s);
	r = seen_add_extent(s, &e);
	return r < 0 ? r : 1;
}

static void set_once(struct span *field, struct span value, const char *key, struct seen *s)
{
	if (field->at)
		seen_problem(s, "The descriptor has %s twice.", key);
	else
		*field = value;
}

static void read_pair(struct span key, struct span value, struct lines *l, struct seen *s)
{
	static const struct {
		const char *key;
		size_t field;
	} known[] = {
		{"createType", offsetof(struct lines, create_type)},
		{"CID", offsetof(struct lines, cid)},
		{"parentCID", offsetof(struct lines, parent_cid)},
		{"parentFileNameHint", offsetof(struct lines, parent)},
		{"ddb.adapterType", offsetof(struct lines, adapter)},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (span_is(key, known[i].key))
			set_once((struct span *)((char *)l + known[i].field), span_unquote(value),
				 known[i].key, s);
}

/* A key is one word of letters, digits and a few signs: nothing that prose would pass for. */
static bool is_key(struct span key)
{
	size_t i;

	for (i = 0; i < key.len; i++)
		if ((unsigned char)key.at[i] <= ' ' || key.at[i] == '"')
			return false;
	return key.len <= SEEN_NAME_MAX;
}

/* 1: all lines are what they may be, 0: one is not. */
static int read_lines(struct span text, struct lines *l, struct seen *s)
{
	struct span line, rest, key, value;
	int r;

	while (span_line(&text, &line)) {
		line = span_trim(line);
		if (line.len == 0 || line.at[0] == '#')
			continue;
		rest = line;
		if (is_access(next_word(&rest))) {
			r = read_extent(line, l, s);
			if (r <= 0)
				return r;
		} else if (span_pair(line, &key, &value) && is_key(key)) {
			read_pair(key, value, l, s);
		} else {
			return 0;
		}
	}
	return 1;
}

/* Up to eight hexadecimal digits; qemu-img writes fewer when the first ones are zero. */
static bool read_cid(struct span a, uint32_t *ret)
{
	uint32_t value = 0;
	size_t i;
	char c;

	if (a.len == 0 || a.len > 8)
		return false;
	for (i = 0; i < a.len; i++) {
		c = a.at[i];
		if (c >= '0' && c <= '9')
			value = value << 4 | (uint32_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (uint32_t)(c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			value = value << 4 | (uint32_t)(c - 'A' + 10);
		else
			return false;
	}
	*ret = value;
	return true;
}

static void judge_parent(const struct lines *l, struct seen *s)
{
	uint32_t cid = UINT32_MAX;

	if (l->parent_cid.at && !read_cid(l->parent_cid, &cid))
		seen_problem(s, "The parentCID is not a hexadecimal number of 32 bits.");
	if (cid != UINT32_MAX) {
		s->has_parent_cid = true;
		s->parent_cid = cid;
		if (l->parent.len == 0)
			seen_problem(
				s, "The descriptor has a parent by content id, but not its name.");
	}
	if (l->parent.len == 0)
		return;
	s->parent = l->parent;
	if (l->parent.len > SEEN_PARENT_MAX)
		seen_problem(s, "The parent's name is longer than %u bytes.", SEEN_PARENT_MAX);
	if (cid == UINT32_MAX)
		seen_problem(
			s, "The descriptor names a parent, but its parentCID says there is none.");
}

static void judge_type(const struct lines *l, struct seen *s)
{
	const struct create_type *t;
	size_t i;

	s->type = "vmdk other";
	for (i = 0; i < ARRAY_SIZE(create_types); i++) {
		t = &create_types[i];
		if (!span_is(l->create_type, t->word))
			continue;
		s->type = t->type;
		s->sparse = t->sparse;
		if (t->extents != EXTENTS_ANY && (l->kinds & ~(t->extents | EXTENT_ZERO)))
			seen_problem(s, "The extents are not of the kind that %s has.", t->word);
		return;
	}
	seen_problem(s, "The createType is one nobody knows.");
}

/* "custom" and unknown ones are as sparse as their extents. */
static void judge_sparseness(const struct lines *l, struct seen *s)
{
	if (l->kinds & (EXTENT_SPARSE | EXTENT_VMFSSPARSE | EXTENT_SESPARSE) || l->unknown_kind)
		s->sparse = true;
}

static void judge(const struct lines *l, struct seen *s)
{
	judge_type(l, s);
	judge_sparseness(l, s);
	judge_parent(l, s);
	if (!l->adapter.at || is_word(l->adapter))
		s->adapter = l->adapter;
	else
		seen_problem(s, "The adapter type is not a word.");
	s->has_cid = read_cid(l->cid, &s->cid);
	if (!s->has_cid)
		seen_problem(s, "The CID is not a hexadecimal number of 32 bits.");
	if (l->too_large)
		seen_problem(s, "The extents have more sectors than a disk can have.");
	else
		seen_capacity_sectors(s, l->sectors);
}

bool descriptor_begins(const uint8_t *head, size_t len)
{
	return span_begins((struct span){(const char *)head, len}, signature);
}

int descriptor_parse(struct span text, struct seen *s)
{
	struct span first = {0}, rest = text;
	struct lines l = {0};
	int r;

	span_line(&rest, &first);
	if (!span_is(span_trim(first), signature) || !text_is_plain(text)) {
		seen_problem(s, "It begins like a VMDK descriptor, but is not text.");
		return 0;
	}
	r = read_lines(text, &l, s);
	if (r < 0)
		return r;
	if (r == 0 || !l.create_type.at || !l.cid.at || s->n_extents == 0) {
		seen_problem(s, "It begins like a VMDK descriptor, but does not parse as one.");
		s->n_extents = 0;
		return 0;
	}
	judge(&l, s);
	return 1;
}
