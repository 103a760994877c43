/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/guest/inside/writer.c - writes records to one disk, and says which of them are durable.
 *
 * See guest.h for the records and for what is said.  A number is said only after the fsync that
 * makes it durable returned 0.  Numbers have no gaps: after an error the same one is tried again.
 */
#include "guest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MOST_ERRORS = 100 };

struct writer {
	const char *disk;
	char place[32];			/* where it is mounted */
	int ring, names;		/* descriptors of the file and of the directory */
	uint64_t number;		/* the next record's */
	uint64_t name_first, name_next;	/* files that are there, as multiples of NAME_EVERY */
	uint64_t bulk;			/* the next one's number */
	uint64_t reads;
	uint64_t worst_us, total_us;	/* of an fsync */
	int errors;
};

static volatile sig_atomic_t over;

static void on_term(int number)
{
	(void)number;
	over = 1;
}

static int failed(struct writer *w, const char *what, uint64_t number, int code)
{
	if (w->errors++ < 20)
		say("%s ! %s of %llu: %s", w->disk, what, (unsigned long long)number,
		    code ? strerror(code) : "wrong bytes");
	usleep(50000);
	return -1;
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* CRC-32 as zlib's crc32(), which the host uses. */
static uint32_t crc_of(const void *data, size_t length)
{
	static uint32_t table[256];
	const uint8_t *p = data;
	uint32_t crc = 0xffffffff;

	for (uint32_t i = 0; !table[255] && i < 256; i++) {
		table[i] = i;
		for (int bit = 0; bit < 8; bit++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320 : 0);
	}
	while (length--)
		crc = crc >> 8 ^ table[(crc ^ *p++) & 255];
	return ~crc;
}

static void record_make(struct record *r, const char *disk, uint64_t number)
{
	uint64_t x = (number + 1) * 0x9e3779b97f4a7c15ULL ^ (uint64_t)disk[2] << 56;

	memset(r, 0, sizeof *r);
	memcpy(r->magic, RECORD_MAGIC, sizeof r->magic);
	memcpy(r->disk, disk, strnlen(disk, sizeof r->disk));
	r->number = number;
	for (size_t i = 0; i + 8 <= sizeof r->bytes; i += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(r->bytes + i, &x, 8);
	}
	r->crc = crc_of(r, sizeof *r);
}

static int durable(struct writer *w, int fd, int data_only, uint64_t number)
{
	uint64_t begin = now_us(), took;
	int r = data_only ? fdatasync(fd) : fsync(fd);

	if (r < 0)
		return failed(w, data_only ? "fdatasync" : "fsync", number, errno);
	took = now_us() - begin;
	w->total_us += took;
	if (took > w->worst_us)
		w->worst_us = took;
	return 0;
}

static int write_record(struct writer *w, int fd, uint64_t number, uint64_t slot)
{
	struct record r;
	ssize_t done;

	record_make(&r, w->disk, number);
	done = pwrite(fd, &r, sizeof r, (off_t)(slot * sizeof r));
	if (done != sizeof r)
		return failed(w, "write", number, done < 0 ? errno : EIO);
	return 0;
}

/* Read a record from the disk, not from memory: the pages of the file are dropped first. */
static int read_record(struct writer *w, int fd, uint64_t number, uint64_t slot)
{
	struct record want, got;
	ssize_t done;

	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	record_make(&want, w->disk, number);
	done = pread(fd, &got, sizeof got, (off_t)(slot * sizeof got));
	if (done < 0)
		return failed(w, "read", number, errno);
	if (done != sizeof got || memcmp(&want, &got, sizeof got) != 0)
		return failed(w, "read", number, 0);
	w->reads++;
	return 0;
}

static int ring_step(struct writer *w)
{
	uint64_t n = w->number;

	if (write_record(w, w->ring, n, n % RING_SLOTS) < 0 || durable(w, w->ring, n & 1, n) < 0)
		return -1;
	say("%s a %llu", w->disk, (unsigned long long)n);
	w->number++;
	return 0;
}

/* The way of an editor: a new file, durable under another name, then renamed. */
static int name_add(struct writer *w)
{
	uint64_t n = w->name_next;
	char name[32];
	int fd, r;

	fd = openat(w->names, "new", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return failed(w, "create", n, errno);
	r = write_record(w, fd, n, 0);
	if (r == 0)
		r = durable(w, fd, 0, n);
	close(fd);
	if (r < 0)
		return r;

	snprintf(name, sizeof name, "%llu", (unsigned long long)n);
	if (renameat(w->names, "new", w->names, name) < 0)
		return failed(w, "rename", n, errno);
	if (durable(w, w->names, 0, n) < 0)
		return -1;
	say("%s n %llu", w->disk, (unsigned long long)n);
	w->name_next += NAME_EVERY;
	return 0;
}

static int name_remove(struct writer *w)
{
	uint64_t n = w->name_first;
	char name[32];

	snprintf(name, sizeof name, "%llu", (unsigned long long)n);
	if (unlinkat(w->names, name, 0) < 0 && errno != ENOENT)
		return failed(w, "unlink", n, errno);
	if (durable(w, w->names, 0, n) < 0)
		return -1;
	say("%s u %llu", w->disk, (unsigned long long)n);
	w->name_first += NAME_EVERY;
	return 0;
}

/* Many pages in one request: what a kill can meet half done. */
static int bulk_add(struct writer *w)
{
	static struct record records[BULK_RECORDS];
	char name[32];
	ssize_t done;
	int fd, r;

	for (uint64_t i = 0; i < BULK_RECORDS; i++)
		record_make(&records[i], w->disk, w->bulk * BULK_RECORDS + i);
	snprintf(name, sizeof name, "bulk%llu", (unsigned long long)(w->bulk % BULK_FILES));
	fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return failed(w, "create", w->bulk, errno);
	done = pwrite(fd, records, sizeof records, 0);
	if (done != sizeof records)
		r = failed(w, "write", w->bulk, done < 0 ? errno : EIO);
	else
		r = durable(w, fd, 0, w->bulk);
	close(fd);
	if (r < 0)
		return r;
	say("%s b %llu", w->disk, (unsigned long long)w->bulk);
	w->bulk++;
	return 0;
}

static void step(struct writer *w)
{
	if (ring_step(w) < 0)
		return;
	if (w->number % READ_EVERY == 0) {
		uint64_t back = (uint64_t)rand() % (w->number < RING_SLOTS ? w->number : RING_SLOTS);
		uint64_t n = w->number - 1 - back;

		read_record(w, w->ring, n, n % RING_SLOTS);
	}
	if (w->number > w->name_next && name_add(w) == 0 &&
	    w->name_next - w->name_first > NAMES_KEPT * NAME_EVERY)
		name_remove(w);
	if (w->number / BULK_EVERY > w->bulk)
		bulk_add(w);
}

static int mount_disk(struct writer *w, const char *mode)
{
	char device[32], options[64];

	snprintf(w->place, sizeof w->place, "/mnt-%s", w->disk);
	snprintf(device, sizeof device, "/dev/%s", w->disk);
	snprintf(options, sizeof options, "data=%s,errors=continue,discard", mode);
	mkdir(w->place, 0755);
	if (mount(device, w->place, "ext4", MS_NOATIME, options) < 0)
		return failed(w, "mount", 0, errno);
	if (chdir(w->place) < 0 || (mkdir("names", 0755) < 0 && errno != EEXIST))
		return failed(w, "mkdir", 0, errno);
	w->ring = open("ring", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	w->names = open("names", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->ring < 0 || w->names < 0)
		return failed(w, "open", 0, errno);
	return 0;
}

static void read_bulk(struct writer *w, uint64_t number)
{
	char name[32];
	int fd;

	snprintf(name, sizeof name, "bulk%llu", (unsigned long long)(number % BULK_FILES));
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		failed(w, "open", number, errno);
		return;
	}
	for (uint64_t i = 0; i < BULK_RECORDS; i += 16)
		read_record(w, fd, number * BULK_RECORDS + i, i);
	close(fd);
}

/* Everything that should be there, from the disk; of a bulk, a sample. */
static void read_all(struct writer *w)
{
	uint64_t first = w->number > RING_SLOTS ? w->number - RING_SLOTS : 0;
	char name[32];

	for (uint64_t n = first; n < w->number; n++)
		read_record(w, w->ring, n, n % RING_SLOTS);
	for (uint64_t n = w->name_first; n < w->name_next; n += NAME_EVERY) {
		int fd;

		snprintf(name, sizeof name, "%llu", (unsigned long long)n);
		fd = openat(w->names, name, O_RDONLY | O_CLOEXEC);
		if (fd < 0) {
			failed(w, "open", n, errno);
			continue;
		}
		read_record(w, fd, n, 0);
		close(fd);
	}
	for (uint64_t n = w->bulk > BULK_FILES ? w->bulk - BULK_FILES : 0; n < w->bulk; n++)
		read_bulk(w, n);
}

static void unmount_disk(struct writer *w)
{
	close(w->ring);
	close(w->names);
	if (chdir("/") < 0 || umount(w->place) < 0)
		failed(w, "umount", 0, errno);
}

int writer_run(const char *disk, const char *mode)
{
	struct writer w = { .disk = disk };

	signal(SIGTERM, on_term);
	if (mount_disk(&w, mode) < 0)
		return w.errors;
	say("%s mounted %s", disk, mode);
	while (!over)
		step(&w);

	/* Remounting leaves nothing in memory: what is read now comes from the disk. */
	unmount_disk(&w);
	if (mount_disk(&w, mode) == 0) {
		read_all(&w);
		unmount_disk(&w);
	}
	say("%s end %llu reads %llu worst_us %llu total_us %llu errors %d", disk,
	    (unsigned long long)w.number, (unsigned long long)w.reads,
	    (unsigned long long)w.worst_us, (unsigned long long)w.total_us, w.errors);
	return w.errors < MOST_ERRORS ? w.errors : MOST_ERRORS;
}
