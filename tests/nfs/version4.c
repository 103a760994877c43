/* SPDX-License-Identifier: GPL-2.0-or-later */
/* version4.c - make QEMU's nfs:// speak NFSv4.
 *
 * libnfs can, but QEMU passes no version on (7.2: "Unknown NFS parameter name: version"), and the
 * default is v3.  The tests preload this into qemu-img and qemu-io: every context libnfs makes is
 * set to version 4 at once, and the stat call that libnfs 4.0 has for v3 only is answered by the
 * newer one.  What stays broken there with v4: writes of more than about 2 KiB (not encoded), reads
 * of more than 1 MiB (the reply is refused) and ftruncate, so qemu-img cannot create.  For tests only.
 */
#include <dlfcn.h>
#include <nfsc/libnfs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct request {
	nfs_cb cb;
	void *private_data;
};

struct nfs_context *nfs_init_context(void)
{
	struct nfs_context *(*real)(void) = dlsym(RTLD_NEXT, "nfs_init_context");
	struct nfs_context *nfs = real ? real() : NULL;

	if (nfs && nfs_set_version(nfs, 4) != 0)
		abort();

	return nfs;
}

static void to_stat(const struct nfs_stat_64 *from, struct stat *to)
{
	memset(to, 0, sizeof *to);
	to->st_mode = from->nfs_mode;
	to->st_size = from->nfs_size;
	to->st_blocks = from->nfs_blocks;
	to->st_ino = from->nfs_ino;
}

int nfs_fstat(struct nfs_context *nfs, struct nfsfh *file, struct stat *ret_stat)
{
	struct nfs_stat_64 found;
	int r;

	r = nfs_fstat64(nfs, file, &found);
	if (r < 0)
		return r;

	to_stat(&found, ret_stat);
	return 0;
}

static void answer(int status, struct nfs_context *nfs, void *data, void *private_data)
{
	struct request *request = private_data;
	struct stat found;

	if (status >= 0) {
		to_stat(data, &found);
		data = &found;
	}
	request->cb(status, nfs, data, request->private_data);
	free(request);
}

int nfs_fstat_async(struct nfs_context *nfs, struct nfsfh *file, nfs_cb cb, void *private_data)
{
	struct request *request = malloc(sizeof *request);

	if (!request)
		return -1;

	*request = (struct request) { .cb = cb, .private_data = private_data };
	return nfs_fstat64_async(nfs, file, answer, request);
}
