/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/datastore.h - DATASTORE/.weir: opening it, locking it, and who it is.
 *
 *     DATASTORE/.weir/            0700, root's, on the datastore's own filesystem
 *         lock                    flock of the one process that serves or checks the datastore;
 *                                 holds its pid as text, for people
 *         datastore               the identity file, four lines of text:
 *                                     weir-datastore 1
 *                                     fs-uuid 32 hex digits     of the backing filesystem
 *                                     incarnation N             of the newest catalog
 *                                     catalog first-use|rebuilding|ready
 *         disks/  orphans/        see base/header.h, fs/
 *         state/                  the default state directory
 *
 * Invariant  an incarnation is durable in the identity file before a catalog with it exists, and
 *            the file's incarnation never goes down: so none is used twice, whenever we are
 *            killed.  A catalog whose incarnation is not the file's is not this datastore's
 *            newest and is never served (a state directory from a backup, or the wrong one).
 *            The first incarnation is random: a .weir that was deleted by hand and made again
 *            does not repeat the node ids of the old one either.
 * Written    to a temporary file, synced, renamed, directory synced: old or new, never half.
 * Refuses    a second user (-EBUSY); a .weir that is a symlink, on another filesystem, or
 *            somebody else's (-EPERM); a state directory on a network or FUSE filesystem
 *            (-EREMOTE: LMDB needs a local one); a .weir copied from another filesystem
 *            (-EXDEV: its handles name other files); a newer format (-EPROTO).
 * Threads    one at a time for one struct datastore.
 */
#ifndef BASE_DATASTORE_H
#define BASE_DATASTORE_H

#include "base/catalog.h"
#include "base/cleanup.h"

enum datastore_flags {
	/* For `weir check`: a damaged, foreign or missing identity file is not an error but
	 * noted in ->state. */
	DATASTORE_FOR_CHECK = 1,
	/* For a worker that goes on after one that died: what that one had forked may take a moment
	 * longer to die, so the lock is waited for. */
	DATASTORE_TAKE_OVER = 2,
};

/* What the identity file says of the catalog. */
enum datastore_state {
	DATASTORE_NEW,	      /* there is no identity file: never used, or lost */
	DATASTORE_FIRST_USE,  /* the first catalog was being made; no id was ever given out */
	DATASTORE_REBUILDING, /* `weir check` was interrupted */
	DATASTORE_READY,
	DATASTORE_DAMAGED, /* unreadable identity file; only with DATASTORE_FOR_CHECK */
	DATASTORE_FOREIGN, /* another filesystem's; only with DATASTORE_FOR_CHECK */
};

#define WEIR_DIRECTORY ".weir"

struct datastore {	  /* descriptors are its own, valid until datastore_close */
	char *path;	  /* absolute, symlinks resolved */
	char *state_path; /* likewise */
	int root_fd;	  /* O_RDONLY: the datastore directory */
	int mount_fd;	  /* O_RDONLY, for open_by_handle_at */
	int weir_fd;	  /* .weir */
	int state_fd, disks_fd, orphans_fd;
	int lock_fd;
	const struct disk_mark_calls *marks; /* base/header.h; NULL: this process may itself */
	int mount_id; /* of the backing filesystem, as handle_get gives it */
	struct catalog_identity who;
	enum datastore_state state;
	uint32_t incarnation; /* of the newest catalog; 0: none known */
};

/* Open and lock the datastore directory @path, making .weir and what is in it where missing.
 * @state_dir NULL: .weir/state; otherwise it is made (0700) when only its last part is missing.
 * *ret_why (see base/why.h) is on failure a sentence for people, malloc'ed.
 *
 * Errors as under "Refuses"; -EOPNOTSUPP: the filesystem has no file handles; or what the
 * system said. */
int datastore_open(const char *path, const char *state_dir, unsigned flags, struct datastore **ret,
		   char **ret_why);
void datastore_close(struct datastore *ds); /* accepts NULL; unlocks */
static inline void datastore_closep(struct datastore **ds)
{
	datastore_close(*ds);
}

/* The lock survives a fork (it belongs to the open file); the child that goes on says so. */
int datastore_lock_note_pid(struct datastore *ds);

/* Check the catalog in a child and open it; at the first use make it.
 *
 * -ENOENT   it is lost, or lies in another state directory
 * -EUCLEAN  it is damaged, or its rebuilding was interrupted
 * -ESTALE   it is not the newest of this datastore
 * -EPROTO, -EXDEV  too new; another datastore's
 * All of these: *ret_why says what to do. */
int datastore_catalog_open(struct datastore *ds, struct catalog **ret, char **ret_why);

/* The same without the check: for a worker that goes on after one that was killed.  LMDB is whole
 * after that, and the walk takes longer the more files there are. */
int datastore_catalog_reopen(struct datastore *ds, struct catalog **ret, char **ret_why);

/* Put a new, empty catalog with a new incarnation in place of what there is (kept aside), and
 * open it.  Until datastore_catalog_ready the datastore counts as half rebuilt and is not
 * mounted.  @at_least: an incarnation seen elsewhere (in the old catalog); 0: none. */
int datastore_catalog_rebuild(struct datastore *ds, uint32_t at_least, struct catalog **ret,
			      char **ret_why);
int datastore_catalog_ready(struct datastore *ds);

/* True when LMDB may live there. *ret_name, if not NULL, is the name of a refused kind. */
bool datastore_filesystem_is_local(int fd, const char **ret_name);

#endif
