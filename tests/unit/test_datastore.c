/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/test_datastore.c - one user at a time, and an incarnation that never repeats. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/datastore.h"
#include "base/identity.h"
#include "check.h"
#include "scratch.h"

static const char *dir;
static char *why;

static struct datastore *open_again(unsigned flags)
{
	struct datastore *ds = NULL;

	check(datastore_open(dir, NULL, flags, &ds, &why) == 0);
	return ds;
}

static void in_weir(const char *name, char *ret, size_t size)
{
	check(snprintf(ret, size, "%s/.weir/%s", dir, name) > 0);
}

static uint32_t first_use(void)
{
	_cleanup_(datastore_closep) struct datastore *ds = open_again(0);
	struct catalog *c = NULL;
	struct stat st;
	char path[128];
	uint32_t n;

	check(ds->state == DATASTORE_NEW);
	in_weir("state", path, sizeof path);
	check(strcmp(ds->state_path, path) == 0);
	check(stat(path, &st) == 0 && (st.st_mode & 07777) == 0700);

	check(datastore_catalog_open(ds, &c, &why) == 0);
	check(ds->state == DATASTORE_READY);
	check(ds->incarnation == catalog_incarnation(c));
	n = ds->incarnation;
	catalog_close(c);
	return n;
}

static void test_second_user_is_refused(void)
{
	_cleanup_(datastore_closep) struct datastore *first = open_again(0);
	struct datastore *other = NULL;
	char pid[16];

	check(datastore_open(dir, NULL, 0, &other, &why) == -EBUSY);
	snprintf(pid, sizeof pid, "%d", (int)getpid());
	check(strstr(why, pid));
	check(first && !other);
}

static void test_same_again(uint32_t n)
{
	_cleanup_(datastore_closep) struct datastore *ds = open_again(0);
	struct catalog *c = NULL;

	check(ds->state == DATASTORE_READY);
	check(datastore_catalog_open(ds, &c, &why) == 0);
	check(catalog_incarnation(c) == n);
	catalog_close(c);
}

/* Between the identity file and the catalog of the first use: go on, with another number. */
static void test_killed_at_first_use(uint32_t n)
{
	_cleanup_(datastore_closep) struct datastore *ds = open_again(0);
	struct identity id = {.incarnation = n + 5, .state = DATASTORE_FIRST_USE};
	struct catalog *c = NULL;
	char state[128], aside[128];

	memcpy(id.fs_uuid, ds->who.fs_uuid, sizeof id.fs_uuid);
	check(identity_write(ds->weir_fd, &id) == 0);
	ds->state = DATASTORE_FIRST_USE;
	ds->incarnation = n + 5;
	in_weir("state", state, sizeof state);
	in_weir("elsewhere", aside, sizeof aside);
	check(rename(state, aside) == 0 && mkdir(state, 0700) == 0);

	check(datastore_catalog_open(ds, &c, &why) == 0);
	check(catalog_incarnation(c) == n + 6);
	catalog_close(c);
}

static void test_lost_old_and_rebuilt(uint32_t n)
{
	char state[128], aside[128], newer[128];
	struct datastore *ds = open_again(0);
	struct catalog *c = NULL;

	in_weir("state", state, sizeof state);
	in_weir("elsewhere", aside, sizeof aside);
	in_weir("newer", newer, sizeof newer);

	/* An older state directory in its place. */
	check(rename(state, newer) == 0 && rename(aside, state) == 0);
	check(datastore_catalog_open(ds, &c, &why) == -ESTALE && strstr(why, "-o state="));

	/* None at all. */
	check(rename(state, aside) == 0 && mkdir(state, 0700) == 0);
	check(datastore_catalog_open(ds, &c, &why) == -ENOENT && strstr(why, "weir check"));

	/* Rebuilding, interrupted, and rebuilt. */
	check(datastore_catalog_rebuild(ds, n + 20, &c, &why) == 0);
	check(catalog_incarnation(c) == n + 21);
	catalog_close(c);
	datastore_close(ds);
	ds = open_again(0);
	check(datastore_catalog_open(ds, &c, &why) == -EUCLEAN && strstr(why, "interrupted"));
	check(datastore_catalog_rebuild(ds, 0, &c, &why) == 0);
	check(catalog_incarnation(c) == n + 22);
	catalog_close(c);
	check(datastore_catalog_ready(ds) == 0);
	datastore_close(ds);
	test_same_again(n + 22);
}

static void test_strange_identity_files(void)
{
	struct datastore *ds = open_again(0);
	struct identity id;
	char path[128];
	FILE *f;

	check(identity_read(ds->weir_fd, &id) == 0);
	id.fs_uuid[3] ^= 1;
	check(identity_write(ds->weir_fd, &id) == 0);
	datastore_close(ds);
	check(datastore_open(dir, NULL, 0, &ds, &why) == -EXDEV);
	ds = open_again(DATASTORE_FOR_CHECK);
	check(ds->state == DATASTORE_FOREIGN);
	datastore_close(ds);

	in_weir("datastore", path, sizeof path);
	f = fopen(path, "w");
	check(f && fputs("weir-datastore 1\nfs", f) >= 0 && fclose(f) == 0);
	check(datastore_open(dir, NULL, 0, &ds, &why) == -EUCLEAN && strstr(why, "weir check"));
	ds = open_again(DATASTORE_FOR_CHECK);
	check(ds->state == DATASTORE_DAMAGED);
	datastore_close(ds);
}

/* Whoever may write to the datastore directory cannot lead us elsewhere. */
static void test_symlink_is_refused(void)
{
	char weir[128], aside[128];
	struct datastore *ds = NULL;

	snprintf(weir, sizeof weir, "%s/.weir", dir);
	snprintf(aside, sizeof aside, "%s/aside", dir);
	check(rename(weir, aside) == 0 && symlink("aside", weir) == 0);
	check(datastore_open(dir, NULL, 0, &ds, &why) < 0);
	check(unlink(weir) == 0 && rename(aside, weir) == 0);
}

static void test(const char *scratch)
{
	uint32_t n;

	dir = scratch;
	n = first_use();
	check(n >= 1 && n <= CATALOG_INCARNATION_MAX / 2);
	test_second_user_is_refused();
	test_same_again(n);
	test_killed_at_first_use(n);
	test_lost_old_and_rebuilt(n);
	test_strange_identity_files();
	test_symlink_is_refused();
	free(why);
}

int main(void)
{
	return scratch_run(test);
}
