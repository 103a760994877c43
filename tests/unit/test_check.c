/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/test_check.c - headers, marks and rows: what is mended, what is only named, and that
 * nothing is ever removed. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"
#include "ctl/check.h"
#include "scratch.h"

static const char *store;

static int file_open(const char *name)
{
	char path[4200];
	int fd;

	snprintf(path, sizeof path, "%s/%s", store, name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	check(fd >= 0);
	return fd;
}

static void file_remove(const char *name)
{
	char path[4200];

	snprintf(path, sizeof path, "%s/%s", store, name);
	check(unlink(path) == 0);
}

/* A disk as fs/ makes one: mark, header. */
static struct disk_header disk_make(struct datastore *ds, const char *name, const char *policy)
{
	_cleanup_(closep) int fd = file_open(name);
	struct disk_header h = {.policy_version = 3};
	int mount_id;

	disk_id_new(&h.id);
	check(handle_get(fd, "", &h.handle, &mount_id) == 0);
	snprintf(h.policy, sizeof h.policy, "%s", policy);
	check(disk_mark_write(NULL, fd, &h.id) == 0);
	check(header_create(ds->disks_fd, &h) == 0);
	return h;
}

static void mark(const char *name, const struct disk_id *id)
{
	_cleanup_(closep) int fd = file_open(name);

	check(disk_mark_write(NULL, fd, id) == 0);
}

static unsigned damage_and_mended(struct datastore *ds, bool rebuild, unsigned *ret_mended)
{
	_cleanup_(check_done) struct check c = {.ds = ds, .rebuild = rebuild};

	check(check_walk(&c, NULL) == 0);
	check(check_headers(&c) == 0);
	if (ret_mended)
		*ret_mended = c.mended;
	return c.damage;
}

static void test_copies_are_named(struct datastore *ds)
{
	struct disk_header h = disk_make(ds, "a.img", "gold");

	check(damage_and_mended(ds, true, NULL) == 0);
	mark("copy.img", &h.id);
	check(damage_and_mended(ds, true, NULL) == 1);
	file_remove("copy.img");
	check(damage_and_mended(ds, false, NULL) == 0);
}

static void test_restored_file_is_bound_again(struct datastore *ds)
{
	struct disk_header h = disk_make(ds, "b.img", "gold"), again;
	unsigned mended;

	/* Another inode with the same mark, as a backup's restore makes it. */
	mark("b.new", &h.id);
	file_remove("b.img");
	check(damage_and_mended(ds, false, &mended) == 1 && mended == 0);
	check(damage_and_mended(ds, true, &mended) == 0 && mended == 1);
	check(header_read(ds->disks_fd, &h.id, &again) == 0);
	check(!handle_equal(&h.handle, &again.handle) && strcmp(again.policy, "gold") == 0);
	check(damage_and_mended(ds, true, &mended) == 0 && mended == 0);

	/* Two candidates: nobody can know. */
	mark("b.1", &h.id);
	mark("b.2", &h.id);
	file_remove("b.new");
	check(damage_and_mended(ds, true, &mended) == 2 && mended == 0);
	file_remove("b.1");
	file_remove("b.2");
	check(damage_and_mended(ds, true, &mended) == 0); /* removed behind our back: no damage */
	check(header_read(ds->disks_fd, &h.id, &again) == 0);
}

static void test_lost_marks_and_headers(struct datastore *ds)
{
	struct disk_header h = disk_make(ds, "c.img", "gold");
	_cleanup_(closep) int fd = file_open("c.img");

	check(disk_mark_remove(NULL, fd) == 0);
	check(damage_and_mended(ds, true, NULL) == 1);
	check(disk_mark_write(NULL, fd, &h.id) == 0);
	check(header_remove(ds->disks_fd, &h.id) == 0);
	check(damage_and_mended(ds, true, NULL) == 1);
	check(disk_mark_remove(NULL, fd) == 0);
	check(damage_and_mended(ds, true, NULL) == 0);
}

static int count(const struct catalog_disk *d, void *data)
{
	check(strcmp(d->policy, "gold") == 0 && d->policy_version == 3);
	++*(unsigned *)data;
	return 0;
}

static void test_rows_follow_headers(struct datastore *ds)
{
	_cleanup_(check_done) struct check c = {.ds = ds};
	struct catalog_disk wrong = {.policy = "old"};
	struct catalog *catalog = NULL;
	unsigned rows = 0;

	check(datastore_catalog_rebuild(ds, 0, &catalog, NULL) == 0);
	check(check_walk(&c, NULL) == 0 && check_headers(&c) == 0);
	check(c.n_headers == 2); /* a.img and the one whose file is gone */

	wrong.id = c.headers[0].id;
	wrong.handle = c.headers[0].handle;
	check(catalog_put_disk(catalog, &wrong) == 0);
	disk_id_new(&wrong.id);
	check(catalog_put_disk(catalog, &wrong) == 0);

	check(check_rows(&c, catalog) == 0 && c.mended == 3);
	check(catalog_each_disk(catalog, count, &rows) == 0 && rows == 2);
	c.mended = 0;
	check(check_rows(&c, catalog) == 0 && c.mended == 0);
	catalog_close(catalog);
}

/* What recognition saw is taken over: a guest is not believed a second time. */
static void test_facts_survive_a_rebuilding(struct datastore *ds)
{
	_cleanup_(check_done) struct check c = {.ds = ds, .rebuild = true};
	_cleanup_(closep) int fd = file_open("plain.img");
	_cleanup_(freep) char *facts = NULL;
	struct catalog *catalog = NULL;
	struct handle h;
	int mount_id;

	check(handle_get(fd, "", &h, &mount_id) == 0);
	check(datastore_catalog_rebuild(ds, 0, &catalog, NULL) == 0);
	check(catalog_put_facts(catalog, &h, "{\"type\":\"raw\"}") == 0);
	check(check_walk(&c, catalog) == 0 && check_headers(&c) == 0);
	catalog_close(catalog);

	check(datastore_catalog_rebuild(ds, 0, &catalog, NULL) == 0);
	check(check_fill(&c, catalog) == 0);
	check(catalog_find_facts(catalog, &h, &facts) == 0);
	check(strcmp(facts, "{\"type\":\"raw\"}") == 0);
	catalog_close(catalog);
}

static void test(const char *dir)
{
	struct datastore *ds = NULL;

	store = dir;
	check(datastore_open(store, NULL, 0, &ds, NULL) == 0);
	test_copies_are_named(ds);
	test_restored_file_is_bound_again(ds);
	test_lost_marks_and_headers(ds);
	test_rows_follow_headers(ds);
	test_facts_survive_a_rebuilding(ds);
	datastore_close(ds);
}

int main(void)
{
	return scratch_run(test);
}
