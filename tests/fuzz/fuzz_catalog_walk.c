/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/fuzz/fuzz_catalog_walk.c - libFuzzer over the walk of a damaged catalog file.
 *
 *     build-fuzz/tests/fuzz/fuzz_catalog_walk -max_total_time=30 -max_len=60
 *
 * Input: changes to a small, good file, four bytes each: page, offset (two bytes), new value.  The
 * walk must end with a verdict; the sanitizers see the rest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/catalog_internal.h"

#define PAGE 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static const struct catalog_identity who = {.root = {.type = 1, .len = 8}};
static uint8_t *good;
static size_t good_bytes;
static int fd;
static char fd_path[40];

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void fill(const char *dir)
{
	static struct catalog_node n[200];
	static char json[9000];
	struct catalog *c = NULL;
	uint64_t first;

	require(catalog_create(dir, &who, 1) == 0 && catalog_open(dir, &who, &c) == 0);
	require(catalog_reserve(c, 200, &first) == 0);
	for (uint64_t i = 0; i < 200; i++) {
		n[i] = (struct catalog_node){.id = first + i, .handle = {.type = 1, .len = 8}};
		n[i].handle.data[0] = i;
		n[i].handle.data[7] = 1;
	}
	require(catalog_put_nodes(c, n, 200) == 0);
	memset(json, 'x', sizeof json - 1);
	require(catalog_put_facts(c, &n[0].handle, json) == 0);
	catalog_close(c);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char dir[] = "/var/tmp/weir-fuzz-XXXXXX", path[100];
	struct stat st;
	int file;

	require(mkdtemp(dir) != NULL);
	fill(dir);
	snprintf(path, sizeof path, "%s/catalog/data.mdb", dir);
	file = open(path, O_RDONLY);
	require(file >= 0 && fstat(file, &st) == 0);
	good_bytes = st.st_size;
	good = malloc(good_bytes);
	require(read(file, good, good_bytes) == (ssize_t)good_bytes);
	close(file);
	unlink(path);
	snprintf(path, sizeof path, "%s/catalog/lock.mdb", dir);
	unlink(path);
	snprintf(path, sizeof path, "%s/catalog", dir);
	require(rmdir(path) == 0 && rmdir(dir) == 0);

	fd = memfd_create("catalog", 0);
	require(fd >= 0);
	snprintf(fd_path, sizeof fd_path, "/proc/self/fd/%d", fd);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct catalog_verdict v;
	bool changed = false;

	require(pwrite(fd, good, good_bytes, 0) == (ssize_t)good_bytes);
	for (size_t i = 0; i + 4 <= size; i += 4) {
		size_t at = data[i] % (good_bytes / PAGE) * PAGE +
			    (data[i + 1] | (size_t)data[i + 2] << 8) % PAGE;

		changed |= good[at] != data[i + 3];
		require(pwrite(fd, &data[i + 3], 1, at) == 1);
	}
	catalog_walk(fd_path, &who, &v);
	require(v.result == 0 || v.result == -EUCLEAN || v.result == -EPROTO || v.result == -EXDEV);
	require(changed || v.result == 0);
	require((v.result == 0) == (v.why[0] == '\0'));
	return 0;
}
