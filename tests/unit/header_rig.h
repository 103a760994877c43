/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/header_rig.h - a disk header with something in every field. */
#ifndef TESTS_UNIT_HEADER_RIG_H
#define TESTS_UNIT_HEADER_RIG_H

#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/header_slot.h"
#include "tests/unit/check.h"
#include "tests/unit/scratch.h"

static inline int rig_directory(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	check(fd >= 0);
	return fd;
}

static inline struct disk_header rig_header(void)
{
	struct disk_header h = {
		.flags = CATALOG_DISK_PENDING,
		.policy_version = 3,
		.policy = "gold",
		.assigned_ns = UINT64_C(1795325247123456789),
		.assigned_uid = 1000,
		.handle = {.type = -1, .len = HANDLE_MAX},
	};

	memset(h.handle.data, 0x5a, HANDLE_MAX);
	disk_id_new(&h.id);
	return h;
}

static inline bool rig_same(const struct disk_header *a, const struct disk_header *b)
{
	return memcmp(&a->id, &b->id, sizeof a->id) == 0 && a->flags == b->flags &&
	       memcmp(&a->handle, &b->handle, sizeof a->handle) == 0 &&
	       a->policy_version == b->policy_version && strcmp(a->policy, b->policy) == 0 &&
	       a->assigned_ns == b->assigned_ns && a->assigned_uid == b->assigned_uid;
}

static inline int rig_open_header(int disks, const struct disk_header *h)
{
	char name[48], text[33];
	int fd;

	disk_id_text(&h->id, text);
	snprintf(name, sizeof name, "%s.header", text);
	fd = openat(disks, name, O_RDWR | O_CLOEXEC);
	check(fd >= 0);
	return fd;
}

static inline void rig_get(int fd, struct header_slots *ret)
{
	check(pread(fd, ret, sizeof *ret, 0) == sizeof *ret);
}

static inline void rig_put(int fd, const struct header_slots *slots)
{
	check(pwrite(fd, slots, sizeof *slots, 0) == sizeof *slots);
}

#endif
