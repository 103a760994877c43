/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/datastore.c - see base/datastore.h. */
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "base/datastore.h"
#include "base/identity.h"
#include "base/why.h"

#define LOCK_WAIT_MS  2000 /* for what a dead worker has left to die, too */
#define FIRST_WAIT_MS 300  /* for a mount that was killed a moment ago */

bool datastore_filesystem_is_local(int fd, const char **ret_name)
{
	static const struct {
		uint32_t magic;
		const char *name;
	} remote[] = {
		{NFS_SUPER_MAGIC, "NFS"},   {SMB_SUPER_MAGIC, "SMB"},
		{CIFS_SUPER_MAGIC, "CIFS"}, {SMB2_SUPER_MAGIC, "SMB"},
		{FUSE_SUPER_MAGIC, "FUSE"}, {AFS_SUPER_MAGIC, "AFS"},
		{CEPH_SUPER_MAGIC, "Ceph"}, {V9FS_MAGIC, "9p"},
		{CODA_SUPER_MAGIC, "Coda"}, {0x0bd00bd0, "Lustre"},
		{0x47504653, "GPFS"},	    {0x786f4256, "VirtualBox shared folder"},
	};
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return true; /* whoever uses it next meets the error */
	for (size_t i = 0; i < ARRAY_SIZE(remote); i++)
		if ((uint32_t)fs.f_type == remote[i].magic) {
			if (ret_name)
				*ret_name = remote[i].name;
			return false;
		}
	return true;
}

/* The path the kernel knows an open directory by. */
static int path_of(int fd, char **ret)
{
	char link[32], path[4096];
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof path - 1);
	if (n < 0)
		return -errno;
	path[n] = 0;
	*ret = strdup(path);
	return *ret ? 0 : -ENOMEM;
}

/* Nobody but us may be able to put things into a directory that decides what we serve. */
static int private_check(int fd, const char *path, char **ret_why)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid())
		return why_set(-EPERM, ret_why, "%s belongs to user %u, not to us: not touching it",
			       path, st.st_uid);
	if ((st.st_mode & 07777) != 0700 && fchmod(fd, 0700) < 0)
		return -errno;
	return 0;
}

/* Open the directory @name of @dir_fd, 0700 and ours, made when it is missing. */
static int private_open(int dir_fd, const char *name, const char *path, int *ret_fd, char **ret_why)
{
	_cleanup_(closep) int fd = -1;
	int r;

	if (mkdirat(dir_fd, name, 0700) == 0) {
		if (fsync(dir_fd) < 0)
			return -errno;
	} else if (errno != EEXIST) {
		r = -errno;
		return why_set(r, ret_why, "cannot make the directory %s: %s", path, strerror(-r));
	}

	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		r = -errno;
		return why_set(r, ret_why, "%s is not a directory of weir's: %s", path,
			       strerror(-r));
	}
	r = private_check(fd, path, ret_why);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int sub_open(struct datastore *ds, const char *name, int *ret_fd, char **ret_why)
{
	_cleanup_(freep) char *path = NULL;

	if (asprintf(&path, "%s/" WEIR_DIRECTORY "/%s", ds->path, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	return private_open(ds->weir_fd, name, path, ret_fd, ret_why);
}

static int root_open(struct datastore *ds, const char *path, char **ret_why)
{
	const char *kind = "";
	int r;

	ds->root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ds->root_fd < 0) {
		r = -errno;
		return why_set(r, ret_why, "cannot open the datastore directory %s: %s", path,
			       strerror(-r));
	}
	ds->mount_fd = fcntl(ds->root_fd, F_DUPFD_CLOEXEC, 3);
	if (ds->mount_fd < 0)
		return -errno;
	r = path_of(ds->root_fd, &ds->path);
	if (r < 0)
		return r;

	r = handle_get(ds->root_fd, "", &ds->who.root, &ds->mount_id);
	if (r == -EOPNOTSUPP || r == -EOVERFLOW) {
		datastore_filesystem_is_local(ds->root_fd, &kind);
		return why_set(
			-EOPNOTSUPP, ret_why,
			"the %s%sfilesystem of %s has no file handles that weir could keep: use "
			"a datastore on ext4, xfs or btrfs",
			kind, *kind ? " " : "", ds->path);
	}
	if (r < 0)
		return why_set(r, ret_why, "cannot take a file handle of %s: %s", ds->path,
			       strerror(-r));
	return identity_fs_uuid(ds->root_fd, ds->who.fs_uuid);
}

static int weir_open(struct datastore *ds, char **ret_why)
{
	_cleanup_(freep) char *path = NULL;
	struct stat root, weir;
	int r;

	if (asprintf(&path, "%s/" WEIR_DIRECTORY, ds->path) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	r = private_open(ds->root_fd, WEIR_DIRECTORY, path, &ds->weir_fd, ret_why);
	if (r < 0)
		return r;

	if (fstat(ds->root_fd, &root) < 0 || fstat(ds->weir_fd, &weir) < 0)
		return -errno;
	if (root.st_dev != weir.st_dev)
		return why_set(-EPERM, ret_why,
			       "%s must be on the same filesystem as its datastore", path);
	return 0;
}

/* Who wrote the lock file; 0: nobody that is alive. */
static pid_t lock_holder(int lock_fd)
{
	char text[32];
	ssize_t n;
	long pid;

	n = pread(lock_fd, text, sizeof text - 1, 0);
	if (n <= 0)
		return 0;
	text[n] = 0;
	pid = strtol(text, NULL, 10);
	if (pid <= 0 || (kill((pid_t)pid, 0) < 0 && errno == ESRCH))
		return 0;
	return (pid_t)pid;
}

/* A datastore that became read-only is still served: an existing lock file will do. */
static int lock_file(struct datastore *ds)
{
	int fd = openat(ds->weir_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 && errno == EROFS)
		fd = openat(ds->weir_fd, "lock", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd;
}

static bool lock_file_is_ours(struct datastore *ds, unsigned flags)
{
	for (int left = flags & DATASTORE_TAKE_OVER ? LOCK_WAIT_MS : FIRST_WAIT_MS;; left--) {
		if (flock(ds->lock_fd, LOCK_EX | LOCK_NB) == 0)
			return true;
		if (errno != EWOULDBLOCK || left <= 0)
			return false;
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
}

static int lock_take(struct datastore *ds, unsigned flags, char **ret_why)
{
	pid_t pid;

	ds->lock_fd = lock_file(ds);
	if (ds->lock_fd < 0)
		return why_set(-errno, ret_why, "cannot open %s/" WEIR_DIRECTORY "/lock: %m",
			       ds->path);

	if (lock_file_is_ours(ds, flags)) {
		datastore_lock_note_pid(ds); /* a hint: a full disk must not keep us from serving */
		return 0;
	}
	if (errno != EWOULDBLOCK)
		return why_set(-errno, ret_why, "cannot lock %s: %m", ds->path);

	pid = lock_holder(ds->lock_fd);
	if (pid > 0)
		return why_set(-EBUSY, ret_why,
			       "%s is in use by process %d (mounted, or being checked)", ds->path,
			       (int)pid);
	return why_set(-EBUSY, ret_why,
		       "%s is in use by another process (mounted, or being checked)", ds->path);
}

int datastore_lock_note_pid(struct datastore *ds)
{
	char text[32];
	int n = snprintf(text, sizeof text, "%d\n", (int)getpid());

	if (ftruncate(ds->lock_fd, 0) < 0 || pwrite(ds->lock_fd, text, (size_t)n, 0) < 0)
		return -errno;
	return 0;
}

static int state_open_elsewhere(struct datastore *ds, const char *dir, char **ret_why)
{
	int r;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
		r = -errno;
		return why_set(r, ret_why, "cannot make the state directory %s: %s", dir,
			       strerror(-r));
	}
	ds->state_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ds->state_fd < 0) {
		r = -errno;
		return why_set(r, ret_why, "cannot open the state directory %s: %s", dir,
			       strerror(-r));
	}
	return private_check(ds->state_fd, dir, ret_why);
}

static int state_open(struct datastore *ds, const char *dir, char **ret_why)
{
	const char *kind;
	int r;

	r = dir ? state_open_elsewhere(ds, dir, ret_why)
		: sub_open(ds, "state", &ds->state_fd, ret_why);
	if (r < 0)
		return r;
	r = path_of(ds->state_fd, &ds->state_path);
	if (r < 0)
		return r;

	if (!datastore_filesystem_is_local(ds->state_fd, &kind))
		return why_set(-EREMOTE, ret_why,
			       "the state directory %s is on %s: weir's catalog needs a local "
			       "filesystem; name one with -o state=DIR",
			       ds->state_path, kind);
	return 0;
}

/* What the identity file says; errors are states only for a check. */
static int identity_take(struct datastore *ds, unsigned flags, char **ret_why)
{
	bool lenient = flags & DATASTORE_FOR_CHECK;
	struct identity id;
	int r;

	r = identity_read(ds->weir_fd, &id);
	if (r == -ENOENT) {
		ds->state = DATASTORE_NEW;
		return 0;
	}
	if (r == -EPROTO)
		return why_set(r, ret_why, "%s was written by a newer weir: use that one",
			       ds->path);
	if (r == -EUCLEAN) {
		ds->state = DATASTORE_DAMAGED;
		return lenient ? 0
			       : why_set(r, ret_why,
					 "%s/" WEIR_DIRECTORY
					 "/datastore is damaged: run `weir check --rebuild %s`",
					 ds->path, ds->path);
	}
	if (r < 0)
		return why_set(r, ret_why, "cannot read %s/" WEIR_DIRECTORY "/datastore: %s",
			       ds->path, strerror(-r));

	ds->incarnation = id.incarnation;
	ds->state = id.state;
	if (memcmp(id.fs_uuid, ds->who.fs_uuid, sizeof id.fs_uuid) == 0)
		return 0;
	ds->state = DATASTORE_FOREIGN;
	return lenient ? 0
		       : why_set(-EXDEV, ret_why,
				 "%s was copied here from another filesystem, where its catalog "
				 "and "
				 "disk headers name other files: run `weir check --rebuild %s`",
				 ds->path, ds->path);
}

static int open_all(struct datastore *ds, const char *path, const char *state_dir, unsigned flags,
		    char **ret_why)
{
	int r;

	r = root_open(ds, path, ret_why);
	if (r < 0)
		return r;
	r = weir_open(ds, ret_why);
	if (r < 0)
		return r;
	r = lock_take(ds, flags, ret_why);
	if (r < 0)
		return r;
	r = sub_open(ds, "disks", &ds->disks_fd, ret_why);
	if (r < 0)
		return r;
	r = sub_open(ds, "orphans", &ds->orphans_fd, ret_why);
	if (r < 0)
		return r;
	r = state_open(ds, state_dir, ret_why);
	if (r < 0)
		return r;
	return identity_take(ds, flags, ret_why);
}

int datastore_open(const char *path, const char *state_dir, unsigned flags, struct datastore **ret,
		   char **ret_why)
{
	_cleanup_(datastore_closep) struct datastore *ds = NULL;
	_cleanup_(freep) char *why = NULL;
	int r;

	ds = calloc(1, sizeof *ds);
	if (!ds)
		return -ENOMEM;
	ds->root_fd = ds->mount_fd = ds->weir_fd = ds->lock_fd = -1;
	ds->state_fd = ds->disks_fd = ds->orphans_fd = -1;

	r = open_all(ds, path, state_dir, flags, &why);
	if (r < 0) {
		if (!why)
			why_set(r, &why, "cannot open the datastore %s: %s", path, strerror(-r));
		if (ret_why) {
			free(*ret_why);
			*ret_why = TAKE_PTR(why);
		}
		return r;
	}
	*ret = TAKE_PTR(ds);
	return 0;
}

void datastore_close(struct datastore *ds)
{
	if (!ds)
		return;
	closep(&ds->orphans_fd);
	closep(&ds->disks_fd);
	closep(&ds->state_fd);
	closep(&ds->weir_fd);
	closep(&ds->mount_fd);
	closep(&ds->root_fd);
	closep(&ds->lock_fd); /* last: nobody else may start before we are done */
	free(ds->state_path);
	free(ds->path);
	free(ds);
}
