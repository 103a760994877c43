/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/caller.h - files belong to who created them.
 *
 * The kernel has checked the caller's permissions (default_permissions) before a request comes.
 * What is left is ownership: while a thread makes a file it takes the caller's fsuid, fsgid and
 * umask, so the backing filesystem itself applies set-gid directories, default ACLs and quotas.
 * Its capabilities stay (SECBIT_NO_SETUID_FIXUP): the check is not made a second time, with less
 * knowledge.
 *
 * Threads    fsuid, fsgid, umask and securebits belong to the calling thread alone, after
 *            caller_init_thread has unshared what threads share by default.
 */
#ifndef FS_CALLER_H
#define FS_CALLER_H

#include <stdbool.h>
#include <sys/types.h>

struct fuse_ctx;

void caller_init_thread(void);

/* Between the two, what is created belongs to the caller of @ctx. */
void caller_enter(const struct fuse_ctx *ctx);
void caller_leave(void);

/* True when process @pid has @gid among its groups, primary or supplementary.  A process that is
 * gone by now has none. */
bool caller_in_group(pid_t pid, gid_t gid);

#endif
