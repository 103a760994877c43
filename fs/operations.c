/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/operations.c - the table of callbacks.
 *
 * Not in it, and why: flush (there is nothing to do at close(2), and without it the kernel saves
 * the call), getlk/setlk/flock (the kernel keeps locks itself; implementing them breaks NFS's
 * lock manager), access (default_permissions), bmap, ioctl, poll (ENOTTY, always ready).
 */
#include "fs/callbacks.h"

const struct fuse_lowlevel_ops fs_operations = {
	.lookup = fs_lookup,
	.forget = fs_forget,
	.forget_multi = fs_forget_multi,
	.getattr = fs_getattr,
	.setattr = fs_setattr,
	.readlink = fs_readlink,
	.statfs = fs_statfs,
	.mkdir = fs_mkdir,
	.mknod = fs_mknod,
	.symlink = fs_symlink,
	.link = fs_link,
	.create = fs_create,
	.unlink = fs_unlink,
	.rmdir = fs_rmdir,
	.rename = fs_rename,
	.opendir = fs_opendir,
	.readdir = fs_readdir,
	.readdirplus = fs_readdirplus,
	.releasedir = fs_releasedir,
	.fsyncdir = fs_fsyncdir,
	.open = fs_open,
	.release = fs_release,
	.read = fs_read,
	.write = fs_write,
	.fsync = fs_fsync,
	.fallocate = fs_fallocate,
	.lseek = fs_lseek,
	.copy_file_range = fs_copy_file_range,
	.setxattr = fs_setxattr,
	.getxattr = fs_getxattr,
	.listxattr = fs_listxattr,
	.removexattr = fs_removexattr,
};
