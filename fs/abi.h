/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/abi.h - parts of the kernel's FUSE interface that Debian 12's headers (6.1) do not name.
 *
 * Source: include/uapi/linux/fuse.h of Linux 6.9 and later, protocol 7.40.  Values are fixed by the
 * kernel's ABI.  Everything older comes from <linux/fuse.h>.
 */
#ifndef FS_ABI_H
#define FS_ABI_H

#include <linux/fuse.h>
#include <sys/ioctl.h>

/* INIT flags above bit 31: they travel in flags2, and only with FUSE_INIT_EXT. */
#define WEIR_FUSE_DIRECT_IO_ALLOW_MMAP (1ull << 36) /* mmap(MAP_SHARED) of FOPEN_DIRECT_IO files */
#define WEIR_FUSE_PASSTHROUGH          (1ull << 37)
#define WEIR_FUSE_HAS_RESEND           (1ull << 39) /* the notification below works */

#define WEIR_NOTIFY_RESEND 7 /* enum fuse_notify_code: unanswered requests come again */

#define WEIR_FOPEN_PARALLEL_DIRECT_WRITES (1u << 6)
#define WEIR_FOPEN_PASSTHROUGH            (1u << 7)

/* struct fuse_init_out with the fields that the older headers call unused. */
struct weir_init_out {
	uint32_t major, minor;
	uint32_t max_readahead;
	uint32_t flags;
	uint16_t max_background, congestion_threshold;
	uint32_t max_write;
	uint32_t time_gran;
	uint16_t max_pages, map_alignment;
	uint32_t flags2;
	uint32_t max_stack_depth; /* 1: the backing filesystem may not itself be stacked */
	uint32_t unused[6];
};

/* struct fuse_open_out: the older padding is the backing id. */
struct weir_open_out {
	uint64_t fh;
	uint32_t open_flags;
	int32_t backing_id;
};

struct weir_backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};

#define WEIR_DEV_IOC_BACKING_OPEN  _IOW(229, 1, struct weir_backing_map)
#define WEIR_DEV_IOC_BACKING_CLOSE _IOW(229, 2, uint32_t)

#endif
