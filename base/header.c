/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/header.c - disk headers on disk; see base/header.h.
 *
 * Invariant  the slot a caller's header was read from is not written until another slot with a
 *            higher generation is durable.  So the slot to write is found by the caller's
 *            generation and not by what the file says now: after a failed fdatasync the file may
 *            show a slot that is in memory only.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/header_slot.h"

#define NAME_BYTES 48
#define SUFFIX	   ".header"

static void header_name(const struct disk_id *id, char ret[NAME_BYTES])
{
	char text[33];

	disk_id_text(id, text);
	snprintf(ret, NAME_BYTES, "%s" SUFFIX, text);
}

static int header_valid(const struct disk_header *h)
{
	if (h->handle.len > HANDLE_MAX || !memchr(h->policy, '\0', sizeof h->policy))
		return -EINVAL;
	return 0;
}

/* All of it or an error; a signal may cut a transfer in two. */
static int write_all(int fd, const void *buf, size_t len, off_t at)
{
	const uint8_t *from = buf;

	while (len > 0) {
		ssize_t n = pwrite(fd, from, len, at);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			from += n;
			at += n;
			len -= n;
		}
	}
	return 0;
}

/* What is not there (a file cut short) reads as zeros, which are no good slot. */
static int read_slots(int fd, struct header_slots *ret)
{
	uint8_t *to = &ret->bytes[0][0];
	size_t done = 0;

	memset(ret, 0, sizeof *ret);
	while (done < sizeof *ret) {
		ssize_t n = pread(fd, to + done, sizeof *ret - done, (off_t)done);

		if (n == 0)
			break;
		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? n : 0;
	}
	return 0;
}

static int write_new_file(int fd, const struct header_slots *slots)
{
	int r = write_all(fd, slots, sizeof *slots, 0);

	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

int header_create_named(int disks_fd, const char *name, const struct header_slots *slots)
{
	_cleanup_(closep) int fd = -1;
	char temporary[NAME_BYTES + 8];
	int r;

	snprintf(temporary, sizeof temporary, ".new-%s", name);
	fd = openat(disks_fd, temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;

	r = write_new_file(fd, slots);
	if (r == 0 && renameat2(disks_fd, temporary, disks_fd, name, RENAME_NOREPLACE) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(disks_fd, temporary, 0);
	return r;
}

/* -EOPNOTSUPP: the filesystem lacks O_TMPFILE. */
static int create_unnamed(int disks_fd, const char *name, const struct header_slots *slots)
{
	_cleanup_(closep) int fd = -1;
	char path[32];
	int r;

	fd = openat(disks_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == EISDIR || errno == EINVAL ? -EOPNOTSUPP : -errno;

	r = write_new_file(fd, slots);
	if (r < 0)
		return r;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, path, disks_fd, name, AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	return 0;
}

int header_create(int disks_fd, const struct disk_header *h)
{
	struct disk_header first = *h;
	struct header_slots slots = {0};
	char name[NAME_BYTES];
	int r;

	r = header_valid(h);
	if (r < 0)
		return r;
	first.generation = 1;
	header_slot_encode(&first, slots.bytes[0]);
	header_name(&h->id, name);
	r = create_unnamed(disks_fd, name, &slots);
	if (r == -EOPNOTSUPP)
		r = header_create_named(disks_fd, name, &slots);
	if (r < 0)
		return r;
	return fsync(disks_fd) < 0 ? -errno : 0;
}

static int header_open(int disks_fd, const struct disk_id *id, int flags)
{
	char name[NAME_BYTES];
	int fd;

	header_name(id, name);
	fd = openat(disks_fd, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* The slot that counts for @id. */
static int slots_choose(const struct header_slots *slots, const struct disk_id *id,
			struct disk_header *ret)
{
	int r = header_slots_choose(slots, ret);

	if (r >= 0 && memcmp(&ret->id, id, sizeof *id))
		return -EUCLEAN; /* another disk's header under this name */
	return r;
}

int header_read(int disks_fd, const struct disk_id *id, struct disk_header *ret)
{
	_cleanup_(closep) int fd = header_open(disks_fd, id, O_RDONLY);
	struct header_slots slots;
	struct disk_header h;
	int r;

	if (fd < 0)
		return fd;
	r = read_slots(fd, &slots);
	if (r < 0)
		return r;
	r = slots_choose(&slots, id, &h);
	if (r < 0)
		return r;

	*ret = h;
	return 0;
}

/* The slot of @h's generation; -ESTALE: somebody changed the header since it was read. */
static int slot_of(const struct header_slots *slots, const struct disk_header *h)
{
	struct disk_header found;
	uint64_t generation;
	int r;

	r = slots_choose(slots, &h->id, &found);
	if (r < 0)
		return r;
	for (int i = 0; i < HEADER_SLOTS; i++) {
		r = header_slot_decode(slots->bytes[i], &found, &generation);
		if (r == 0 && generation == h->generation &&
		    memcmp(&found.id, &h->id, sizeof h->id) == 0)
			return i;
	}
	return -ESTALE;
}

int header_write(int disks_fd, struct disk_header *h)
{
	_cleanup_(closep) int fd = -1;
	struct header_slots slots;
	struct disk_header next = *h;
	uint8_t *slot;
	int r, from;

	r = header_valid(h);
	if (r < 0)
		return r;
	fd = header_open(disks_fd, &h->id, O_RDWR);
	if (fd < 0)
		return fd;
	r = read_slots(fd, &slots);
	if (r < 0)
		return r;
	from = slot_of(&slots, h);
	if (from < 0)
		return from;
	if (header_slot_read_only(slots.bytes[from]))
		return -EROFS;

	next.generation++;
	slot = slots.bytes[!from];
	memcpy(slot, slots.bytes[from], HEADER_SLOT_BYTES);
	header_slot_encode(&next, slot);
	r = write_all(fd, slot, HEADER_SLOT_BYTES, (off_t)!from * HEADER_SLOT_BYTES);
	if (r == 0 && fdatasync(fd) < 0)
		r = -errno;
	if (r < 0) {
		/* What is in memory only must not be read as if it counted. */
		memset(slot, 0, HEADER_SLOT_BYTES);
		write_all(fd, slot, HEADER_SLOT_BYTES, (off_t)!from * HEADER_SLOT_BYTES);
		return r;
	}
	h->generation = next.generation;
	return 0;
}

int header_remove(int disks_fd, const struct disk_id *id)
{
	char name[NAME_BYTES];

	header_name(id, name);
	if (unlinkat(disks_fd, name, 0) < 0)
		return -errno;
	return fsync(disks_fd) < 0 ? -errno : 0;
}

static bool name_parse(const char *name, struct disk_id *ret)
{
	char text[33];

	if (strlen(name) != 32 + strlen(SUFFIX) || strcmp(name + 32, SUFFIX))
		return false;
	memcpy(text, name, 32);
	text[32] = '\0';
	return disk_id_parse(text, ret) == 0;
}

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

int header_each(int disks_fd,
		int (*each)(const struct disk_id *id, int r, const struct disk_header *h,
			    void *data),
		void *data)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	_cleanup_(closep) int fd = openat(disks_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	int r;

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir)
		return -errno;
	fd = -1; /* the stream's now */

	for (errno = 0; (entry = readdir(dir)); errno = 0) {
		struct disk_header h;
		struct disk_id id;

		if (!name_parse(entry->d_name, &id))
			continue;
		r = header_read(disks_fd, &id, &h);
		if (r == -ENOENT)
			continue; /* removed meanwhile */
		r = each(&id, r, r < 0 ? NULL : &h, data);
		if (r)
			return r;
	}
	return -errno;
}
