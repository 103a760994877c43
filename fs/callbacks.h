/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/callbacks.h - what the kernel asks, one function an operation (fuse_lowlevel.h describes
 * each).
 *
 * Every callback replies exactly once, or hands the request to a disk's queue which will.
 */
#ifndef FS_CALLBACKS_H
#define FS_CALLBACKS_H

#include "fs/fs.h"

/* fs/attributes.c */
void fs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void fs_forget(fuse_req_t req, fuse_ino_t id, uint64_t count);
void fs_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void fs_getattr(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi);
void fs_setattr(fuse_req_t req, fuse_ino_t id, struct stat *attr, int to_set,
		struct fuse_file_info *fi);
void fs_readlink(fuse_req_t req, fuse_ino_t id);
void fs_statfs(fuse_req_t req, fuse_ino_t id);
int find_directory(struct fs *fs, int fd, struct node **ret, struct stat *ret_st);
int drop_set_id(int fd);

/* fs/names.c */
void fs_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void fs_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void fs_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void fs_link(fuse_req_t req, fuse_ino_t id, fuse_ino_t parent, const char *name);
void fs_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi);

/* fs/removal.c */
void fs_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void fs_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void fs_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	       const char *new_name, unsigned flags);

/* fs/listing.c */
void fs_opendir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi);
void fs_readdir(fuse_req_t req, fuse_ino_t id, size_t size, off_t off, struct fuse_file_info *fi);
void fs_readdirplus(fuse_req_t req, fuse_ino_t id, size_t size, off_t off,
		    struct fuse_file_info *fi);
void fs_releasedir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi);
void fs_fsyncdir(fuse_req_t req, fuse_ino_t id, int datasync, struct fuse_file_info *fi);

/* fs/open.c */
void fs_open(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi);
void fs_release(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi);

/* fs/io.c */
void fs_read(fuse_req_t req, fuse_ino_t id, size_t size, off_t off, struct fuse_file_info *fi);
void fs_write(fuse_req_t req, fuse_ino_t id, const char *buf, size_t size, off_t off,
	      struct fuse_file_info *fi);
void fs_fsync(fuse_req_t req, fuse_ino_t id, int datasync, struct fuse_file_info *fi);
void fs_fallocate(fuse_req_t req, fuse_ino_t id, int mode, off_t off, off_t len,
		  struct fuse_file_info *fi);
void fs_lseek(fuse_req_t req, fuse_ino_t id, off_t off, int whence, struct fuse_file_info *fi);
void fs_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t in_off, struct fuse_file_info *in_fi,
			fuse_ino_t out, off_t out_off, struct fuse_file_info *out_fi, size_t len,
			int flags);

/* fs/xattr.c */
void fs_setxattr(fuse_req_t req, fuse_ino_t id, const char *name, const char *value, size_t size,
		 int flags);
void fs_getxattr(fuse_req_t req, fuse_ino_t id, const char *name, size_t size);
void fs_listxattr(fuse_req_t req, fuse_ino_t id, size_t size);
void fs_removexattr(fuse_req_t req, fuse_ino_t id, const char *name);

#endif
