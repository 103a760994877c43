/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/resume/data_load.c - write and read files of which every sector's contents are known.
 *
 *     data-load DIRECTORY MODELS SECONDS SEED NAME:WAYS...
 *     data-load --verify PATH MODEL
 *
 * Each file has four threads, each with a stripe of its own; the last stripe is also where the file
 * grows and shrinks.  WAYS: d O_DIRECT, b buffered, m mapped (not with d), p holes are punched.
 *
 * Stored     MODELS/NAME.model: the size, and per sector of 512 bytes the version that the last
 *            acknowledged write left (0: zeros).  The contents follow from seed, sector and
 *            version, so every byte is compared and a wrong one can be told from an old one.
 * Invariant  a thread's model changes only when its call was acknowledged in full.  An error or a
 *            short count is a fault, like a wrong byte: printed as "FAULT ...", exit code 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SECTOR	    512u
#define STRIPE	    (2u << 20)
#define THREADS	    4u
#define CAPACITY    (THREADS * STRIPE)
#define SECTORS	    (CAPACITY / SECTOR)
#define LARGEST	    (1u << 20)
#define FILES	    16u
#define MODEL_MAGIC 0x6c65646f6d747268ull

struct model {
	uint64_t magic;
	uint64_t seed; /* of the contents */
	uint64_t size; /* of the file, in bytes */
	uint32_t version[SECTORS];
};

struct file {
	char path[512];
	const char *name;
	bool direct, buffered, mapped, punched;
	struct model *model;
};

struct worker {
	struct file *file;
	uint64_t low, high; /* its stripe */
	uint64_t random;
	uint32_t last; /* version given out */
	bool tail;
	int fd[2]; /* buffered, O_DIRECT; the same one when the file has only one way */
	int append;
	unsigned char *buffer, *map;
};

static atomic_bool over;
static atomic_ulong operations, faults;
static atomic_ullong worst_ns;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static uint64_t draw(struct worker *w, uint64_t below)
{
	w->random = mix(w->random + 0x9e3779b97f4a7c15ull);
	return w->random % below;
}

/* The head of a sector names it, so that a misplaced one can be recognised. */
static void fill(unsigned char *to, uint64_t seed, uint64_t sector, uint32_t version)
{
	uint64_t word[SECTOR / 8], state;
	unsigned i;

	if (version == 0) {
		memset(to, 0, SECTOR);
		return;
	}
	word[0] = MODEL_MAGIC;
	word[1] = seed;
	word[2] = sector;
	word[3] = version;
	state = mix(seed ^ mix(sector) ^ mix(version + 77ull));
	for (i = 4; i < SECTOR / 8; i++)
		word[i] = state += 0x9e3779b97f4a7c15ull * (i | 1);
	memcpy(to, word, SECTOR);
}

static void fault(const char *path, const char *what, uint64_t offset, uint64_t length, long got,
		  int error)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	atomic_fetch_add(&faults, 1);
	printf("FAULT %lld.%03ld %s: %s at %" PRIu64 "+%" PRIu64 ": result %ld, errno %s\n",
	       (long long)t.tv_sec, t.tv_nsec / 1000000, path, what, offset, length, got,
	       error ? strerrorname_np(error) : "0");
	fflush(stdout);
}

/* What is there instead of the sector that should be. */
static void fault_sector(const char *path, const char *what, const struct model *m, uint64_t sector,
			 const unsigned char *got)
{
	static const unsigned char zeros[SECTOR];
	unsigned char again[SECTOR];
	uint64_t word[4];
	char text[256];

	memcpy(word, got, sizeof word);
	if (memcmp(got, zeros, SECTOR) == 0) {
		snprintf(text, sizeof text, "zeros");
	} else if (word[0] != MODEL_MAGIC) {
		snprintf(text, sizeof text, "alien bytes");
	} else {
		fill(again, word[1], word[2], (uint32_t)word[3]);
		snprintf(text, sizeof text, "%s sector %" PRIu64 " version %" PRIu64 " of %s file",
			 memcmp(again, got, SECTOR) ? "torn" : "whole", word[2], word[3],
			 word[1] == m->seed ? "this" : "another");
	}
	atomic_fetch_add(&faults, 1);
	printf("FAULT %s: %s: sector %" PRIu64 " should have version %u, has %s\n", path, what,
	       sector, m->version[sector], text);
	fflush(stdout);
}

/* Compare @length bytes of the file from @offset with the model. */
static bool matches(const char *path, const char *what, const struct model *m, uint64_t offset,
		    uint64_t length, const unsigned char *got)
{
	unsigned char want[SECTOR];
	uint64_t at;

	for (at = 0; at < length; at += SECTOR) {
		fill(want, m->seed, (offset + at) / SECTOR, m->version[(offset + at) / SECTOR]);
		if (memcmp(want, got + at, SECTOR) == 0)
			continue;
		fault_sector(path, what, m, (offset + at) / SECTOR, got + at);
		return false;
	}
	return true;
}

static void set_versions(struct model *m, uint64_t offset, uint64_t length, uint32_t version)
{
	uint64_t at;

	for (at = offset / SECTOR; at < (offset + length) / SECTOR; at++)
		m->version[at] = version;
}

static void fill_range(struct worker *w, uint64_t offset, uint64_t length, uint32_t version,
		       unsigned char *to)
{
	uint64_t at;

	for (at = 0; at < length; at += SECTOR)
		fill(to + at, w->file->model->seed, (offset + at) / SECTOR, version);
}

/* A range in the stripe: any number of sectors, small ones as often as large ones. */
static void range(struct worker *w, uint64_t high, uint64_t *ret_offset, uint64_t *ret_length)
{
	uint64_t most = SECTOR << draw(w, 12);

	*ret_length = SECTOR * (1 + draw(w, most / SECTOR));
	if (*ret_length > high - w->low)
		*ret_length = high - w->low;
	*ret_offset = w->low + SECTOR * draw(w, (high - w->low - *ret_length) / SECTOR + 1);
	if (draw(w, 2) && *ret_length >= 4096) { /* whole blocks are the usual case */
		*ret_offset &= ~4095ull;
		*ret_length &= ~4095ull;
	}
}

static int some_fd(struct worker *w)
{
	return w->fd[draw(w, 2)];
}

/* ---- operations: each returns whether the thread can go on -------------------------------- */

static bool do_write(struct worker *w)
{
	uint64_t offset, length;
	uint32_t version = ++w->last;
	ssize_t n;

	range(w, w->high, &offset, &length);
	fill_range(w, offset, length, version, w->buffer);
	n = pwrite(some_fd(w), w->buffer, length, (off_t)offset);
	if (n != (ssize_t)length) {
		fault(w->file->path, "pwrite", offset, length, n, n < 0 ? errno : 0);
		return false;
	}
	set_versions(w->file->model, offset, length, version);
	if (w->tail && offset + length > w->file->model->size)
		w->file->model->size = offset + length;
	return true;
}

static bool do_read(struct worker *w)
{
	uint64_t offset, length, want;
	ssize_t n;

	range(w, w->high, &offset, &length);
	want = length;
	if (w->tail) {
		uint64_t size = w->file->model->size;

		want = offset >= size ? 0 : size - offset < length ? size - offset : length;
	}
	n = pread(some_fd(w), w->buffer, length, (off_t)offset);
	if (n != (ssize_t)want) {
		fault(w->file->path, "pread", offset, length, n, n < 0 ? errno : 0);
		return false;
	}
	return matches(w->file->path, "pread", w->file->model, offset, want, w->buffer);
}

static bool do_append(struct worker *w)
{
	struct model *m = w->file->model;
	uint64_t offset = m->size, length = SECTOR * (1 + draw(w, 8));
	uint32_t version = ++w->last;
	ssize_t n;

	if (!w->tail || offset + length > w->high)
		return do_write(w);
	fill_range(w, offset, length, version, w->buffer);
	n = write(w->append, w->buffer, length);
	if (n != (ssize_t)length) {
		fault(w->file->path, "append", offset, length, n, n < 0 ? errno : 0);
		return false;
	}
	set_versions(m, offset, length, version);
	m->size = offset + length;
	return true;
}

static bool do_truncate(struct worker *w)
{
	struct model *m = w->file->model;
	uint64_t size = w->low + SECTOR * draw(w, (w->high - w->low) / SECTOR + 1);
	int r;

	if (!w->tail)
		return do_read(w);
	r = ftruncate(w->fd[0], (off_t)size);
	if (r < 0) {
		fault(w->file->path, "ftruncate", size, 0, r, errno);
		return false;
	}
	if (size < m->size)
		set_versions(m, size, m->size - size, 0);
	m->size = size;
	return true;
}

static bool do_size(struct worker *w)
{
	struct stat st;
	int r = fstat(w->fd[0], &st);

	if (r < 0 || (w->tail && (uint64_t)st.st_size != w->file->model->size)) {
		fault(w->file->path, "fstat's size", w->file->model->size, 0,
		      r < 0 ? r : st.st_size, r < 0 ? errno : 0);
		return false;
	}
	return true;
}

static bool do_allocate(struct worker *w)
{
	static const int modes[] = {FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0};
	struct model *m = w->file->model;
	int mode = modes[draw(w, 3)], r;
	uint64_t offset, length;

	if (!w->file->punched)
		return do_read(w);
	range(w, w->high, &offset, &length);
	if (length == 0)
		return true;
	r = fallocate(w->fd[0], mode, (off_t)offset, (off_t)length);
	if (r < 0) {
		fault(w->file->path, "fallocate", offset, length, r, errno);
		return false;
	}
	if (mode)
		set_versions(m, offset, length, 0);
	else if (w->tail && offset + length > m->size)
		m->size = offset + length;
	return true;
}

static bool do_map(struct worker *w)
{
	struct model *m = w->file->model;
	uint64_t offset, length, page;
	uint32_t version;

	if (!w->map)
		return do_write(w);
	range(w, w->high, &offset, &length);
	if (draw(w, 2))
		return matches(w->file->path, "mapped read", m, offset, length, w->map + offset);
	version = ++w->last;
	fill_range(w, offset, length, version, w->map + offset);
	set_versions(m, offset, length, version);
	page = offset & ~4095ull;
	if (msync(w->map + page, offset + length - page, MS_SYNC) < 0) {
		fault(w->file->path, "msync", offset, length, -1, errno);
		return false;
	}
	return true;
}

static bool do_sync(struct worker *w)
{
	int r = draw(w, 2) ? fsync(some_fd(w)) : fdatasync(some_fd(w));

	if (r < 0)
		fault(w->file->path, "fsync", 0, 0, r, errno);
	return r == 0;
}

static int open_or_fault(struct worker *w, int flags)
{
	int fd = open(w->file->path, O_RDWR | O_CLOEXEC | flags);

	if (fd < 0)
		fault(w->file->path, "open", 0, 0, fd, errno);
	return fd;
}

static void close_all(struct worker *w)
{
	if (w->map)
		munmap(w->map, CAPACITY);
	w->map = NULL;
	if (w->fd[1] != w->fd[0])
		close(w->fd[1]);
	close(w->fd[0]);
	close(w->append);
}

static bool open_all(struct worker *w)
{
	struct file *f = w->file;

	w->fd[0] = open_or_fault(w, f->buffered || f->mapped ? 0 : O_DIRECT);
	w->fd[1] = f->direct && f->buffered ? open_or_fault(w, O_DIRECT) : w->fd[0];
	w->append = open_or_fault(w, O_APPEND);
	if (w->fd[0] < 0 || w->fd[1] < 0 || w->append < 0)
		return false;
	if (!f->mapped || w->tail)
		return true;
	w->map = mmap(NULL, CAPACITY, PROT_READ | PROT_WRITE, MAP_SHARED, w->fd[0], 0);
	if (w->map != MAP_FAILED)
		return true;
	w->map = NULL;
	fault(f->path, "mmap", 0, CAPACITY, -1, errno);
	return false;
}

static bool do_reopen(struct worker *w)
{
	close_all(w);
	return open_all(w);
}

static bool step(struct worker *w)
{
	unsigned which = (unsigned)draw(w, 100);

	if (which < 34)
		return do_write(w);
	if (which < 70)
		return do_read(w);
	if (which < 76)
		return do_append(w);
	if (which < 80)
		return do_truncate(w);
	if (which < 83)
		return do_size(w);
	if (which < 87)
		return do_allocate(w);
	if (which < 94)
		return do_map(w);
	return which < 97 ? do_sync(w) : do_reopen(w);
}

static void note_time(uint64_t took)
{
	unsigned long long seen = atomic_load(&worst_ns);

	while (took > seen && !atomic_compare_exchange_weak(&worst_ns, &seen, took))
		;
}

static void *work(void *data)
{
	struct worker *w = data;
	uint64_t begin;
	bool good;

	good = open_all(w);
	while (good && !atomic_load(&over)) {
		begin = now_ns();
		good = step(w);
		note_time(now_ns() - begin);
		atomic_fetch_add(&operations, 1);
	}
	close_all(w);
	return NULL;
}

/* ---- the process --------------------------------------------------------------------------- */

static struct model *model_map(const char *path, int flags, bool *ret_new)
{
	struct stat st;
	void *m;
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0 || fstat(fd, &st) < 0) {
		perror(path);
		exit(2);
	}
	*ret_new = st.st_size == 0;
	if (*ret_new && ftruncate(fd, sizeof(struct model)) < 0)
		exit(2);
	m = mmap(NULL, sizeof(struct model), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (m == MAP_FAILED)
		exit(2);
	return m;
}

static void file_setup(struct file *f, const char *directory, const char *models, char *what,
		       uint64_t seed)
{
	char *ways = strchr(what, ':'), model[512];
	bool new;

	*ways++ = '\0';
	f->name = what;
	f->direct = strchr(ways, 'd');
	f->buffered = strchr(ways, 'b');
	f->mapped = strchr(ways, 'm');
	f->punched = strchr(ways, 'p');
	snprintf(f->path, sizeof f->path, "%s/%s", directory, what);
	snprintf(model, sizeof model, "%s/%s.model", models, what);
	f->model = model_map(model, O_RDWR | O_CREAT, &new);
	if (!new)
		return;
	f->model->magic = MODEL_MAGIC;
	f->model->seed = seed;
	f->model->size = CAPACITY - STRIPE;
	if (truncate(f->path, (off_t)f->model->size) < 0) {
		fault(f->path, "truncate", f->model->size, 0, -1, errno);
		exit(1);
	}
}

/* Versions go on over a restart of this program, whatever the last one left. */
static uint32_t newest(const struct model *m)
{
	uint32_t version = 0;
	unsigned i;

	for (i = 0; i < SECTORS; i++)
		if (m->version[i] > version)
			version = m->version[i];
	return version;
}

static void start_threads(struct file *f, struct worker *w, pthread_t *threads, uint64_t seed)
{
	unsigned i;

	for (i = 0; i < THREADS; i++) {
		w[i] = (struct worker){.file = f,
				       .low = i * STRIPE,
				       .high = (i + 1) * STRIPE,
				       .random = mix(seed + i),
				       .last = newest(f->model),
				       .tail = i == THREADS - 1};
		w[i].buffer = aligned_alloc(4096, LARGEST * 2);
		if (!w[i].buffer || pthread_create(&threads[i], NULL, work, &w[i]))
			exit(2);
	}
}

static int verify(const char *path, const char *model_path)
{
	unsigned char *buffer = malloc(CAPACITY + SECTOR);
	bool new, good;
	struct model *m = model_map(model_path, O_RDWR, &new);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	n = fd < 0 || !buffer ? -1 : pread(fd, buffer, CAPACITY + SECTOR, 0);
	if (n != (ssize_t)m->size) {
		fault(path, "whole read", 0, m->size, n, n < 0 ? errno : 0);
		return 1;
	}
	good = matches(path, "at the end", m, 0, m->size, buffer);
	close(fd);
	free(buffer);
	return good ? 0 : 1;
}

static void stop(int number)
{
	atomic_store(&over, true);
}

static void bus_error(int number)
{
	static const char text[] = "FAULT a page of a mapping could not be read (SIGBUS)\n";

	if (write(1, text, sizeof text - 1) < 0)
		_exit(3);
	_exit(1);
}

int main(int argc, char **argv)
{
	static struct worker workers[FILES][THREADS];
	static pthread_t threads[FILES][THREADS];
	static struct file files[FILES];
	unsigned n = 0, i, j;
	uint64_t seed, end;

	if (argc == 4 && !strcmp(argv[1], "--verify"))
		return verify(argv[2], argv[3]);
	if (argc < 6 || argc - 5 > (int)FILES)
		return 2;
	seed = strtoull(argv[4], NULL, 10);
	signal(SIGTERM, stop);
	signal(SIGBUS, bus_error);
	for (; n + 5 < (unsigned)argc; n++)
		file_setup(&files[n], argv[1], argv[2], argv[5 + n], mix(seed * 100 + n));
	for (i = 0; i < n; i++)
		start_threads(&files[i], workers[i], threads[i], mix(seed) + i * 1000);
	end = now_ns() + (uint64_t)(strtod(argv[3], NULL) * 1e9);
	while (now_ns() < end && !atomic_load(&over))
		usleep(10000);
	atomic_store(&over, true);
	for (i = 0; i < n; i++)
		for (j = 0; j < THREADS; j++)
			pthread_join(threads[i][j], NULL);
	printf("operations %lu faults %lu worst_ms %.1f\n", atomic_load(&operations),
	       atomic_load(&faults), (double)atomic_load(&worst_ns) / 1e6);
	return atomic_load(&faults) ? 1 : 0;
}
