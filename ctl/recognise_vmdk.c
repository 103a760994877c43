/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/recognise_vmdk.c - the second reading of a VMDK, by libvmdk.
 *
 * libvmdk opens by name or through libbfio, whose handle may be memory.  Memory it is: libvmdk
 * gets the very bytes that our own parser read, cannot see others when the file changes in
 * between, and needs no system call that the confinement would have to allow (no open, no seek).
 *
 * Our reading is the one that is printed, because libvmdk knows no seSparse, gives no adapter
 * and no header field out, and has no limits.  Its job is to disagree: a field that both read,
 * and read differently, is how one program is talked into another disk than the other, so it is
 * a problem.  So is a descriptor that libvmdk refuses although it knows all its words and finds
 * its sections.
 *
 * libvmdk is alpha: it may crash or loop on what it gets.  Then the process dies, and the daemon
 * reports that.
 */
#include <libbfio.h>
#include <libvmdk.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/recognise.h"

static const struct {
	const char *type;
	int number;
} disk_types[] = {
	{"vmdk monolithicFlat", LIBVMDK_DISK_TYPE_MONOLITHIC_FLAT},
	{"vmdk monolithicSparse", LIBVMDK_DISK_TYPE_MONOLITHIC_SPARSE},
	{"vmdk twoGbMaxExtentFlat", LIBVMDK_DISK_TYPE_2GB_EXTENT_FLAT},
	{"vmdk twoGbMaxExtentSparse", LIBVMDK_DISK_TYPE_2GB_EXTENT_SPARSE},
	{"vmdk streamOptimized", LIBVMDK_DISK_TYPE_STREAM_OPTIMIZED},
	{"vmdk vmfs", LIBVMDK_DISK_TYPE_VMFS_FLAT},
	{"vmdk vmfsPreallocated", LIBVMDK_DISK_TYPE_VMFS_FLAT_PRE_ALLOCATED},
	{"vmdk vmfsEagerZeroedThick", LIBVMDK_DISK_TYPE_VMFS_FLAT_ZEROED},
	{"vmdk vmfsThin", LIBVMDK_DISK_TYPE_VMFS_SPARSE_THIN},
	{"vmdk vmfsSparse", LIBVMDK_DISK_TYPE_VMFS_SPARSE},
	{"vmdk fullDevice", LIBVMDK_DISK_TYPE_DEVICE},
	{"vmdk partitionedDevice", LIBVMDK_DISK_TYPE_DEVICE_PARITIONED},
	{"vmdk vmfsRaw", LIBVMDK_DISK_TYPE_VMFS_RAW},
	{"vmdk vmfsRDM", LIBVMDK_DISK_TYPE_VMFS_RDM},
	{"vmdk vmfsRDMP", LIBVMDK_DISK_TYPE_VMFS_RDMP},
	{"vmdk vmfsRawDeviceMap", LIBVMDK_DISK_TYPE_VMFS_RDM},
	{"vmdk vmfsPassthroughRawDeviceMap", LIBVMDK_DISK_TYPE_VMFS_RDMP},
	{"vmdk custom", LIBVMDK_DISK_TYPE_CUSTOM},
};

static const struct {
	const char *word;
	int number;
} extent_types[] = {
	{"FLAT", LIBVMDK_EXTENT_TYPE_FLAT},	   {"SPARSE", LIBVMDK_EXTENT_TYPE_SPARSE},
	{"VMFS", LIBVMDK_EXTENT_TYPE_VMFS_FLAT},   {"VMFSSPARSE", LIBVMDK_EXTENT_TYPE_VMFS_SPARSE},
	{"VMFSRAW", LIBVMDK_EXTENT_TYPE_VMFS_RAW}, {"VMFSRDM", LIBVMDK_EXTENT_TYPE_VMFS_RDM},
	{"ZERO", LIBVMDK_EXTENT_TYPE_ZERO},
};

static int disk_type_number(const char *type)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(disk_types); i++)
		if (strcmp(disk_types[i].type, type) == 0)
			return disk_types[i].number;
	return -1;
}

static int extent_type_number(struct span word)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(extent_types); i++)
		if (span_is(word, extent_types[i].word))
			return extent_types[i].number;
	return -1;
}

/* libvmdk finds its way by two comments, which other programs neither need nor always write. */
static bool has_sections(const struct seen *s)
{
	struct span text = {(const char *)s->vmdk, s->vmdk_len}, line;
	bool extents = false, database = false;

	while (span_line(&text, &line)) {
		line = span_trim(line);
		extents |= span_is(line, "# Extent description");
		database |= span_is(line, "# The Disk Data Base");
	}
	return extents && database;
}

static bool all_known(const struct seen *s)
{
	size_t i;

	if (!has_sections(s))
		return false;
	for (i = 0; i < s->n_extents; i++)
		if (extent_type_number(s->extents[i].type) < 0)
			return false;
	return disk_type_number(s->type) >= 0;
}

static void differ(struct seen *s, const char *what)
{
	seen_problem(s, "libvmdk reads %s differently.", what);
}

/* libvmdk turns names into UTF-8 from the encoding the descriptor claims; only plain ASCII must
 * come out as it is. */
static bool same_name(struct span ours, const uint8_t *theirs, size_t size)
{
	size_t i;

	for (i = 0; i < ours.len; i++)
		if (ours.at[i] & 0x80)
			return true;
	return size == ours.len + 1 && memcmp(ours.at, theirs, ours.len) == 0;
}

static void compare_parent(libvmdk_handle_t *handle, struct seen *s)
{
	uint8_t name[SEEN_PARENT_MAX + 1] = {0};
	uint32_t cid = UINT32_MAX;
	size_t size = 0;

	if (libvmdk_handle_get_parent_content_identifier(handle, &cid, NULL) < 0 ||
	    cid != (s->has_parent_cid ? s->parent_cid : UINT32_MAX))
		differ(s, "the parentCID");
	if (s->parent.len == 0 || s->parent.len > SEEN_PARENT_MAX)
		return;
	if (libvmdk_handle_get_utf8_parent_filename_size(handle, &size, NULL) != 1 ||
	    size > sizeof name ||
	    libvmdk_handle_get_utf8_parent_filename(handle, name, size, NULL) != 1 ||
	    !same_name(s->parent, name, size))
		differ(s, "the parent's name");
}

static bool same_file(libvmdk_extent_descriptor_t *theirs, const struct seen_extent *ours)
{
	uint8_t name[4 * SEEN_NAME_MAX] = {0};
	size_t size = 0;

	if (!ours->file.at || ours->file.len == 0 || ours->file.len > SEEN_NAME_MAX)
		return true;
	return libvmdk_extent_descriptor_get_utf8_filename_size(theirs, &size, NULL) == 1 &&
	       size <= sizeof name &&
	       libvmdk_extent_descriptor_get_utf8_filename(theirs, name, size, NULL) == 1 &&
	       same_name(ours->file, name, size);
}

static void compare_extent(libvmdk_extent_descriptor_t *theirs, const struct seen_extent *ours,
			   struct seen *s)
{
	size64_t size = 0;
	off64_t offset = 0;
	int type = -1;

	if (libvmdk_extent_descriptor_get_type(theirs, &type, NULL) != 1 ||
	    type != extent_type_number(ours->type))
		differ(s, "the type of an extent");
	/* Its offset is in sectors, unlike its size. */
	if (libvmdk_extent_descriptor_get_range(theirs, &offset, &size, NULL) != 1 ||
	    size / SECTOR != ours->sectors || (uint64_t)offset != ours->offset / SECTOR)
		differ(s, "the place of an extent");
	if (!same_file(theirs, ours))
		differ(s, "the name of an extent");
}

static void compare_extents(libvmdk_handle_t *handle, struct seen *s)
{
	libvmdk_extent_descriptor_t *extent;
	int n = -1, i;

	if (libvmdk_handle_get_number_of_extents(handle, &n, NULL) != 1 || n != (int)s->n_extents) {
		differ(s, "the number of extents");
		return;
	}
	for (i = 0; i < n; i++) {
		extent = NULL;
		if (libvmdk_handle_get_extent_descriptor(handle, i, &extent, NULL) != 1) {
			differ(s, "an extent");
			return;
		}
		compare_extent(extent, &s->extents[i], s);
		libvmdk_extent_descriptor_free(&extent, NULL);
	}
}

static void compare_disk(libvmdk_handle_t *handle, struct seen *s)
{
	size64_t size = 0;
	uint32_t cid = 0;
	int type = -1;

	if (libvmdk_handle_get_disk_type(handle, &type, NULL) != 1 ||
	    type != disk_type_number(s->type))
		differ(s, "the createType");
	if (s->has_capacity &&
	    (libvmdk_handle_get_media_size(handle, &size, NULL) != 1 || size != s->capacity))
		differ(s, "the capacity");
	if (libvmdk_handle_get_content_identifier(handle, &cid, NULL) != 1 || cid != s->cid)
		differ(s, "the CID");
}

void libvmdk_compare(struct seen *s)
{
	libvmdk_handle_t *handle = NULL;
	libbfio_handle_t *memory = NULL;

	/* More extents than we list, or a capacity we refuse: nothing to compare with. */
	if (!s->vmdk || s->n_extents == SEEN_EXTENTS_MAX || !s->has_capacity || !all_known(s))
		return;
	if (libbfio_memory_range_initialize(&memory, NULL) == 1 &&
	    libbfio_memory_range_set(memory, (uint8_t *)s->vmdk, s->vmdk_len, NULL) == 1 &&
	    libvmdk_handle_initialize(&handle, NULL) == 1 &&
	    libvmdk_handle_open_file_io_handle(handle, memory, LIBVMDK_OPEN_READ, NULL) == 1) {
		compare_disk(handle, s);
		compare_parent(handle, s);
		compare_extents(handle, s);
		libvmdk_handle_close(handle, NULL);
	} else {
		seen_problem(s, "libvmdk refuses the descriptor.");
	}
	libvmdk_handle_free(&handle, NULL);
	libbfio_handle_free(&memory, NULL);
}
