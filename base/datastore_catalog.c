/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/datastore_catalog.c - which catalog a datastore may be served with, and making one.
 *
 * The rules of incarnations are in base/datastore.h; this file is where they are kept.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>

#include "base/datastore.h"
#include "base/identity.h"
#include "base/why.h"

static void close_catalogp(struct catalog **c)
{
	catalog_close(*c);
}

static int identity_save(struct datastore *ds, uint32_t incarnation, enum datastore_state state)
{
	struct identity id = {.incarnation = incarnation, .state = state};
	int r;

	memcpy(id.fs_uuid, ds->who.fs_uuid, sizeof id.fs_uuid);
	r = identity_write(ds->weir_fd, &id);
	if (r < 0)
		return r;
	ds->incarnation = incarnation;
	ds->state = state;
	return 0;
}

/* One more than any known; a random one in the lower half of the range when none is known, so
 * that what follows can still go up. */
static int next_incarnation(uint32_t known, uint32_t *ret)
{
	uint32_t random;

	if (known >= CATALOG_INCARNATION_MAX)
		return -EOVERFLOW;
	if (known > 0) {
		*ret = known + 1;
		return 0;
	}
	if (getrandom(&random, sizeof random, 0) != sizeof random)
		return -EIO;
	*ret = 1 + random % (CATALOG_INCARNATION_MAX / 2);
	return 0;
}

/* The incarnation is durable before the catalog that has it exists. */
static int catalog_make(struct datastore *ds, uint32_t known, enum datastore_state state,
			struct catalog **ret, char **ret_why)
{
	uint32_t incarnation;
	int r;

	r = next_incarnation(known, &incarnation);
	if (r < 0)
		return why_set(r, ret_why, "%s has no incarnations left", ds->path);
	r = identity_save(ds, incarnation, state);
	if (r < 0)
		return why_set(r, ret_why, "cannot write %s/" WEIR_DIRECTORY "/datastore: %s",
			       ds->path, strerror(-r));

	r = catalog_create(ds->state_path, &ds->who, incarnation);
	if (r < 0)
		return why_set(r, ret_why, "cannot make a catalog in %s: %s", ds->state_path,
			       strerror(-r));
	r = catalog_open(ds->state_path, &ds->who, ret);
	if (r < 0)
		return why_set(r, ret_why, "cannot open the new catalog in %s: %s", ds->state_path,
			       strerror(-r));
	return 0;
}

static bool directory_is_empty(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	bool empty = true;

	if (!dir) {
		closep(&copy);
		return false;
	}
	for (struct dirent *e; empty && (e = readdir(dir));)
		empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
	closedir(dir);
	return empty;
}

static int catalog_is_absent(struct datastore *ds, struct catalog **ret, char **ret_why)
{
	_cleanup_(close_catalogp) struct catalog *c = NULL;
	int r;

	if (ds->state == DATASTORE_READY)
		return why_set(
			-ENOENT, ret_why,
			"there is no catalog in %s: if the state directory is another one, name "
			"it with -o state=DIR; if the catalog is lost, unmount it, then run `weir "
			"check --rebuild %s` (NFS clients will have to look their files up again)",
			ds->state_path, ds->path);
	if (!directory_is_empty(ds->disks_fd))
		return why_set(-ENOENT, ret_why,
			       "%s has disk headers but no catalog: unmount it, then run `weir "
			       "check --rebuild %s`",
			       ds->path, ds->path);

	r = catalog_make(ds, ds->incarnation, DATASTORE_FIRST_USE, &c, ret_why);
	if (r < 0)
		return r;
	r = datastore_catalog_ready(ds);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(c);
	return 0;
}

/* A catalog that is whole: is it the newest one of this datastore? */
static int catalog_is_whole(struct datastore *ds, struct catalog **ret, char **ret_why)
{
	_cleanup_(close_catalogp) struct catalog *c = NULL;
	int r;

	r = catalog_open(ds->state_path, &ds->who, &c);
	if (r < 0)
		return why_set(r, ret_why, "cannot open the catalog in %s: %s", ds->state_path,
			       strerror(-r));

	if (ds->state == DATASTORE_NEW)
		return why_set(-ESTALE, ret_why,
			       "%s/" WEIR_DIRECTORY
			       "/datastore is lost, but there is a catalog in %s: "
			       "unmount it, then run `weir check --rebuild %s`",
			       ds->path, ds->state_path, ds->path);
	if (catalog_incarnation(c) != ds->incarnation)
		return why_set(
			-ESTALE, ret_why,
			"the catalog in %s is number %u, the datastore's newest is number %u: "
			"name the right state directory with -o state=DIR, or unmount it, then "
			"run `weir check --rebuild %s`",
			ds->state_path, catalog_incarnation(c), ds->incarnation, ds->path);
	if (ds->state == DATASTORE_FIRST_USE) {
		r = datastore_catalog_ready(ds);
		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(c);
	return 0;
}

int datastore_catalog_open(struct datastore *ds, struct catalog **ret, char **ret_why)
{
	_cleanup_(freep) char *why = NULL;
	int r;

	if (ds->state == DATASTORE_REBUILDING)
		return why_set(
			-EUCLEAN, ret_why,
			"the rebuilding of %s's catalog was interrupted: unmount it, then run "
			"`weir check --rebuild %s`",
			ds->path, ds->path);

	r = catalog_check_in_child(ds->state_path, &ds->who, &why);
	if (r == 0)
		return catalog_is_whole(ds, ret, ret_why);
	if (r == -ENOENT)
		return catalog_is_absent(ds, ret, ret_why);
	if (r == -EPROTO)
		return why_set(r, ret_why,
			       "the catalog in %s was written by a newer weir: use that one",
			       ds->state_path);
	if (r == -EXDEV)
		return why_set(
			r, ret_why,
			"the catalog in %s belongs to another datastore: name the right state "
			"directory with -o state=DIR or, when %s is a copy, unmount it, then run "
			"`weir check --rebuild %s`",
			ds->state_path, ds->path, ds->path);
	if (r == -EUCLEAN)
		return why_set(r, ret_why,
			       "the catalog in %s is damaged (%s): unmount it, then run `weir "
			       "check --rebuild %s`",
			       ds->state_path, why ? why : "unreadable", ds->path);
	return why_set(r, ret_why, "cannot check the catalog in %s: %s", ds->state_path,
		       why ? why : strerror(-r));
}

int datastore_catalog_reopen(struct datastore *ds, struct catalog **ret, char **ret_why)
{
	return catalog_is_whole(ds, ret, ret_why);
}

int datastore_catalog_rebuild(struct datastore *ds, uint32_t at_least, struct catalog **ret,
			      char **ret_why)
{
	return catalog_make(ds, MAX(ds->incarnation, at_least), DATASTORE_REBUILDING, ret, ret_why);
}

int datastore_catalog_ready(struct datastore *ds)
{
	return identity_save(ds, ds->incarnation, DATASTORE_READY);
}
