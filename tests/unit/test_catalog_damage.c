/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A damaged catalog is refused by the check, or the damage is where nothing lies.
 *
 * Byte after byte, page after page of a small catalog is changed. What the check lets through is
 * opened: every handle must give its id and every id its handle; in each third one a new id must
 * be a new one, and after more changes the catalog must still be good (a damaged list of free
 * pages would show then).  All of it in a child: a crash or an endless loop behind a good check is
 * a failure too.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "base/catalog_internal.h"
#include "base/cleanup.h"
#include "tests/unit/catalog_rig.h"

#define NODES 400
#define PAGE  4096

struct rig {
	const char *dir;
	uint64_t first, next; /* ids given so far are below next */
	int fd;		      /* data.mdb */
	uint8_t *good;
	size_t bytes;
	unsigned refused, harmless;
	bool full; /* change it each time */
};

/* With nodes, disks, facts small and large, and holes where others were. */
static void fill(struct rig *rig)
{
	_cleanup_(freep) char *large = calloc(1, 9000);
	struct catalog_disk d = {.policy = "gold"};
	struct catalog *c = rig_create(rig->dir);
	struct catalog_node n[50];
	uint64_t drop;

	rig->first = rig_add_many(c, 1000, NODES);
	drop = rig_add_many(c, 5000, 50);
	for (int i = 0; i < 50; i++)
		n[i] = (struct catalog_node){.id = drop + i};
	check(catalog_put_nodes(c, n, 50) == 0);
	memset(large, 'x', 8999);
	for (int i = 0; i < 30; i++) {
		struct handle h = rig_handle(1000 + i);

		d.id.bytes[0] = i;
		d.handle = h;
		check(catalog_put_disk(c, &d) == 0);
		check(catalog_put_facts(c, &h, i % 10 ? "{}" : large) == 0);
	}
	check(catalog_reserve(c, 1000, &rig->next) == 0);
	rig->next += 1000;
	catalog_close(c);
}

static void load(struct rig *rig)
{
	char path[200];
	struct stat st;

	snprintf(path, sizeof path, "%s/catalog/data.mdb", rig->dir);
	rig->fd = open(path, O_RDWR | O_CLOEXEC);
	check(rig->fd >= 0 && fstat(rig->fd, &st) == 0);
	rig->bytes = st.st_size;
	rig->good = malloc(rig->bytes);
	check(rig->good && pread(rig->fd, rig->good, rig->bytes, 0) == (ssize_t)rig->bytes);
}

static void restore(struct rig *rig)
{
	check(ftruncate(rig->fd, rig->bytes) == 0);
	check(pwrite(rig->fd, rig->good, rig->bytes, 0) == (ssize_t)rig->bytes);
}

static int one_more(const struct catalog_disk *d, void *data)
{
	(*(int *)data)++;
	return 0;
}

/* What the check let through is right, and stays right. */
static void use(struct rig *rig)
{
	struct catalog *c = rig_open(rig->dir);
	struct catalog_counts counts;
	uint64_t id;
	int disks = 0;

	for (int i = 0; i < NODES; i++)
		check(rig_is(c, rig->first + i, 1000 + i));
	check(catalog_count(c, &counts) == 0 && counts.nodes == NODES && counts.disks == 30);
	check(catalog_each_disk(c, one_more, &disks) == 0 && disks == 30);
	for (int i = 0; i < 30; i++) {
		struct handle h = rig_handle(1000 + i);
		char *json;

		check(catalog_find_facts(c, &h, &json) == 0 && strlen(json) == (i % 10 ? 2 : 8999));
		free(json);
	}
	if (!rig->full && rig->harmless % 3) { /* time */
		catalog_close(c);
		return;
	}
	check(catalog_reserve(c, 1, &id) == 0 && id >= rig->next);
	rig_add_many(c, 7000, 240); /* takes pages from the free list */
	for (int i = 0; i < NODES; i++)
		check(rig_is(c, rig->first + i, 1000 + i));
	catalog_close(c);
	check(rig_check(rig->dir, NULL) == 0);
}

static void use_in_child(struct rig *rig)
{
	pid_t pid = fork();
	int status;

	check(pid >= 0);
	if (pid == 0) {
		alarm(20);
		use(rig);
		_exit(0);
	}
	check(waitpid(pid, &status, 0) == pid);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* The file is damaged: is it refused, or right? */
static void judge(struct rig *rig, const char *how, size_t at)
{
	char why[200];
	int r = rig_check(rig->dir, why);

	if (r == 0) {
		rig->harmless++;
		use_in_child(rig);
	} else {
		if (r != -EUCLEAN && r != -EPROTO)
			fprintf(stderr, "%s at %zu: %d, %s\n", how, at, r, why);
		check(r == -EUCLEAN || r == -EPROTO);
		check(!strstr(why, "signal")); /* the walk itself never crashes */
		rig->refused++;
	}
	restore(rig);
}

static void report(struct rig *rig, const char *how)
{
	printf("%s: %u refused, %u harmless\n", how, rig->refused, rig->harmless);
	check(rig->refused > 0);
	rig->refused = rig->harmless = 0;
}

static void flip(struct rig *rig, size_t at, uint8_t mask)
{
	uint8_t byte = rig->good[at] ^ mask;

	check(pwrite(rig->fd, &byte, 1, at) == 1);
	judge(rig, "flip", at);
}

static void every_97th_byte(struct rig *rig)
{
	for (size_t at = 0; at < rig->bytes; at += 97)
		flip(rig, at, at % 2 ? 1u << random() % 8 : 0xff);
	report(rig, "every 97th byte");
}

/* The pages with no checksum of any kind: all bits of both. */
static void meta_bits(struct rig *rig)
{
	for (size_t bit = 0; bit < 2 * (16 + 136) * 8; bit++)
		flip(rig, bit / 8 % 152 + bit / 8 / 152 * PAGE, 1u << bit % 8);
	report(rig, "bits of the meta pages");
}

/* Bringing the state before the last transaction back would give ids a second time. */
static void transaction_numbers(struct rig *rig)
{
	rig->full = true;
	for (size_t bit = 0; bit < 2 * 64; bit++)
		flip(rig, bit / 64 * PAGE + 16 + 128 + bit % 64 / 8, 1u << bit % 8);
	rig->full = false;
	report(rig, "transaction numbers");
}

/* Their keys send a search to the wrong page, where it finds nothing. */
static void branches(struct rig *rig)
{
	for (size_t page = 2; page < rig->bytes / PAGE; page++) {
		const uint8_t *p = rig->good + page * PAGE;

		if (p[10] != 1 || p[11] != 0 || p[8] || p[15] > 15)
			continue; /* no branch page */
		for (size_t i = p[14] | p[15] << 8; i < PAGE; i++)
			flip(rig, page * PAGE + i, 1u << random() % 8);
	}
	report(rig, "branches");
}

/* The page of the tables: roots, depths and counters, which have no checksum. */
static void tables(struct rig *rig)
{
	for (size_t meta = 0; meta < 2; meta++) {
		uint64_t root;

		memcpy(&root, rig->good + meta * PAGE + 128, sizeof root);
		check(root < rig->bytes / PAGE);
		for (size_t i = 0; i < PAGE; i++)
			if (i < 40 || i > PAGE - 400)
				flip(rig, root * PAGE + i, 1u << random() % 8);
	}
	report(rig, "tables");
}

/* Headers and pointers of all pages, where LMDB would go astray. */
static void page_headers(struct rig *rig)
{
	for (size_t page = 2; page < rig->bytes / PAGE; page++)
		for (size_t i = 0; i < 24; i += 1 + page % 2)
			flip(rig, page * PAGE + i, 1u << random() % 8);
	report(rig, "page headers");
}

static void pages(struct rig *rig)
{
	static const uint8_t zeros[PAGE];
	size_t n = rig->bytes / PAGE;

	for (size_t i = 0; i < n; i++) {
		check(pwrite(rig->fd, zeros, PAGE, i * PAGE) == PAGE);
		judge(rig, "zeros", i * PAGE);
		check(pwrite(rig->fd, rig->good + random() % n * PAGE, PAGE, i * PAGE) == PAGE);
		judge(rig, "copy", i * PAGE);
		check(ftruncate(rig->fd, i * PAGE + i % 3 * 1000) == 0);
		judge(rig, "cut", i * PAGE);
	}
	report(rig, "pages zeroed, copied, cut off");
}

static void test(const char *dir)
{
	struct rig rig = {.dir = dir};

	fill(&rig);
	check(rig_check(dir, NULL) == 0);
	load(&rig);
	printf("%zu pages\n", rig.bytes / PAGE);
	use_in_child(&rig);
	restore(&rig);
	every_97th_byte(&rig);
	meta_bits(&rig);
	transaction_numbers(&rig);
	branches(&rig);
	tables(&rig);
	page_headers(&rig);
	pages(&rig);
	free(rig.good);
	close(rig.fd);
}

int main(void)
{
#ifdef __SANITIZE_THREAD__
	return 77; /* one thread, minutes of forks: nothing to see */
#endif
	return scratch_run_in_memory(test);
}
