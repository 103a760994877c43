/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/holder_mount.c - see fs/holder_mount.h.
 *
 * The device number of a FUSE mount is the lowest free anonymous one.  NFS servers build handles
 * from it, so a new mount tries to get the number of the last one: while lower ones are free it
 * occupies them with superblocks that are never attached anywhere (fsopen, fsmount).
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "fs/holder_mount.h"

#define MAX_PLACEHOLDERS 256

/* A superblock of its own that nobody sees: occupies one anonymous device number. */
static int placeholder(dev_t *ret_device)
{
	_cleanup_(closep) int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
	_cleanup_(closep) int fd = -1;
	struct stat st;

	if (context < 0)
		return -errno;
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	fd = fsmount(context, FSMOUNT_CLOEXEC, 0);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	*ret_device = st.st_dev;
	return TAKE_FD(fd);
}

/* Occupy free numbers below @wanted until it is the next.  How many descriptors hold them. */
static int occupy_below(dev_t wanted, int *fds)
{
	dev_t got = 0;
	int n = 0;

	while (n < MAX_PLACEHOLDERS) {
		int fd = placeholder(&got);

		if (fd < 0)
			break;
		if (got >= wanted) { /* free it again: it is ours to take, or is taken */
			close(fd);
			break;
		}
		fds[n++] = fd;
	}
	return n;
}

/* What the backing mount forbids, this one does: nobody gains set-id files or devices by it. */
static unsigned long inherited_flags(const char *datastore)
{
	struct statvfs st;
	unsigned long flags = 0;

	if (statvfs(datastore, &st) < 0)
		return 0;
	flags |= st.f_flag & ST_RDONLY ? MS_RDONLY : 0;
	flags |= st.f_flag & ST_NODEV ? MS_NODEV : 0;
	flags |= st.f_flag & ST_NOSUID ? MS_NOSUID : 0;
	flags |= st.f_flag & ST_NOEXEC ? MS_NOEXEC : 0;
	return flags;
}

static int mount_fuse(const struct options *o, int device)
{
	char data[128];
	struct stat st;

	if (stat(o->mountpoint, &st) < 0)
		return -errno;
	snprintf(data, sizeof data,
		 "fd=%d,rootmode=%o,user_id=0,group_id=0,default_permissions,allow_other", device,
		 (unsigned)(st.st_mode & S_IFMT));
	if (mount(o->datastore, o->mountpoint, "fuse.weir",
		  o->mount_flags | inherited_flags(o->datastore), data) < 0)
		return -errno;
	return 0;
}

dev_t mount_device(const char *mountpoint)
{
	struct statx stx;

	if (statx(AT_FDCWD, mountpoint, AT_STATX_DONT_SYNC, STATX_TYPE, &stx) < 0)
		return 0;
	return makedev(stx.stx_dev_major, stx.stx_dev_minor);
}

int mount_datastore(const struct options *o, int fd, dev_t device, dev_t *ret_device)
{
	int placeholders[MAX_PLACEHOLDERS], n = 0, r;

	if (device)
		n = occupy_below(device, placeholders);
	r = mount_fuse(o, fd);
	for (int i = 0; i < n; i++)
		close(placeholders[i]);
	if (r < 0)
		return r;
	*ret_device = mount_device(o->mountpoint);
	if (device && *ret_device != device)
		log_notice("the mount has device number %u:%u, not %u:%u as before: another mount "
			   "took it (NFS exports with a fixed fsid are not affected)",
			   major(*ret_device), minor(*ret_device), major(device), minor(device));
	return 0;
}

int unmount_datastore(const char *mountpoint, dev_t device, bool lazy)
{
	if (mount_device(mountpoint) != device)
		return -EBUSY; /* somebody mounted something over us: that is not ours to take */
	return umount2(mountpoint, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) < 0 ? -errno : 0;
}
