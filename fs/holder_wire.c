/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/holder_wire.c - what the worker asks for: see fs/wire.h.
 *
 * The worker may have been taken over by what it serves.  All it can get here is what these four
 * messages say: the one mount that it was started for, and, as backing files, those of the
 * datastore that it can open itself: of its filesystem, at least.
 * A worker that says something else, or does not take its answers, is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "fs/abi.h"
#include "fs/holder.h"
#include "fs/holder_mount.h"
#include "fs/notify.h"

#define MESSAGES_AT_ONCE 64 /* before signals and commands have their turn */

static int backing_close(struct holder *h, uint32_t slot)
{
	int32_t *id = &h->ledger->backing[slot];
	uint32_t which = (uint32_t)*id;

	if (!*id)
		return 0;
	if (ioctl(h->device, WEIR_DEV_IOC_BACKING_CLOSE, &which) < 0 && errno != ENOENT)
		return -errno;
	*id = 0;
	return 0;
}

static int look(int dirfd, const char *path, struct statx *ret)
{
	int r = statx(dirfd, path, AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, ret);

	return r < 0 ? -errno : 0;
}

static bool same_device(const struct statx *a, const struct statx *b)
{
	return a->stx_dev_major == b->stx_dev_major && a->stx_dev_minor == b->stx_dev_minor;
}

/* Each subvolume has a device number of its own. */
static bool both_btrfs(int fd, const char *path)
{
	struct statfs one, other;

	return fstatfs(fd, &one) == 0 && statfs(path, &other) == 0 &&
	       one.f_type == BTRFS_SUPER_MAGIC && other.f_type == BTRFS_SUPER_MAGIC;
}

/* The kernel opens it anew with our credentials, for writing, too: nothing but files of the
 * datastore's filesystem.  The ledger, which the worker may only read, is with the memfds. */
static bool may_be_backing(const struct holder *h, int fd)
{
	const char *path = h->options.datastore;
	struct statx file, datastore, memory;

	if (look(fd, "", &file) < 0 || look(h->ledger_fd, "", &memory) < 0 ||
	    look(AT_FDCWD, path, &datastore) < 0)
		return false;
	if (!S_ISREG(file.stx_mode) || same_device(&file, &memory))
		return false;
	return same_device(&file, &datastore) || both_btrfs(fd, path);
}

/* What is refused is served by the worker itself. */
static int backing_open(struct holder *h, uint32_t slot, int fd)
{
	struct weir_backing_map map = {.fd = fd};
	int id;

	if (fd < 0)
		return -EBADF;
	if (!may_be_backing(h, fd))
		return -EXDEV;
	backing_close(h, slot); /* of a worker that died between: nobody uses it */
	id = ioctl(h->device, WEIR_DEV_IOC_BACKING_OPEN, &map);
	if (id < 0)
		return -errno;
	h->ledger->backing[slot] = id;
	return id;
}

/* What goes wrong from here on is said by the worker, on stderr. */
static int mount_now(struct holder *h, struct wire_message *m)
{
	dev_t device;
	int r;

	if (h->ledger->device)
		return -EALREADY;
	r = mount_datastore(&h->options, h->device, m->device, &device);
	if (r < 0)
		return r;
	h->ledger->device = m->device = device;
	return 0;
}

static void announce(struct holder *h)
{
	h->announced = true;
	command_listen(h);
	store_fill(h);
	notify_state("READY=1");
	setup_parent_goes(h);
}

static void ready(struct holder *h, int result)
{
	char text[80];
	struct timespec t;

	if (h->state != WORKER_STARTING || !h->ledger->device)
		return;
	clock_gettime(CLOCK_REALTIME, &t);
	h->ledger->ready = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	h->state = WORKER_SERVING;
	h->ready = now_ns();
	h->due = 0;
	if (h->ended)
		h->ledger->last_pause_ns = h->ready - h->ended;
	h->classic = h->classic || h->options.no_resume || result == -EOPNOTSUPP;
	if (h->served)
		log_notice("%s is served again after %u ms", h->options.mountpoint,
			   (unsigned)(h->ledger->last_pause_ns / MS_IN_NS));
	upgrade_ready(h);
	h->served = true;
	if (!h->announced)
		announce(h);
	snprintf(text, sizeof text, "STATUS=worker %d serves; start %u", h->worker,
		 h->ledger->starts);
	notify_state(text);
}

/* The answer's result; -EPROTO: nothing that this worker may say. */
static int serve_one(struct holder *h, struct wire_message *m, int fd)
{
	if (m->kind == WIRE_MOUNT)
		return mount_now(h, m);
	if (m->slot >= LEDGER_SLOTS)
		return -EPROTO;
	if (m->kind == WIRE_BACKING_OPEN)
		return backing_open(h, m->slot, fd);
	if (m->kind == WIRE_BACKING_CLOSE)
		return backing_close(h, m->slot);
	return -EPROTO;
}

static int receive_one(struct holder *h)
{
	_cleanup_(closep) int fd = -1;
	struct wire_message m;
	int r;

	r = wire_receive(h->control, &m, &fd);
	if (r < 0)
		return r;
	if (m.kind == WIRE_READY) {
		ready(h, m.result);
		return 0;
	}
	m.result = serve_one(h, &m, fd);
	if (m.result == -EPROTO)
		return -EPROTO;
	r = wire_send(h->control, &m, -1);
	return r == -EAGAIN ? -EPROTO : r; /* it asks, and does not read */
}

void wire_serve(struct holder *h)
{
	int r = 0;

	for (int i = 0; i < MESSAGES_AT_ONCE && r == 0 && h->control >= 0; i++)
		r = receive_one(h);
	if (r == 0 || r == -EAGAIN)
		return;
	if (r != -EPIPE) { /* its end has its reason, which its exit status tells */
		log_error("the worker of %s broke the protocol: %s", h->options.mountpoint,
			  strerror(-r));
		worker_kill(h);
	}
	closep(&h->control);
	h->control = -1;
}
