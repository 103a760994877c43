/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/held.c - see fs/held.h. */
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "fs/held.h"
#include "fs/wire.h"

struct held {
	pthread_mutex_t lock; /* one round trip at a time; held over it, see fs/held.h */
	int control;
	const struct ledger *ledger;
};

static int map_ledger(int fd, const struct ledger **ret)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof **ret)
		return -ENOTCONN;
	p = mmap(NULL, sizeof **ret, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	*ret = p;
	if ((*ret)->magic == LEDGER_MAGIC && (*ret)->version == LEDGER_VERSION &&
	    (*ret)->slots == LEDGER_SLOTS)
		return 0;
	munmap(p, sizeof **ret);
	return -EPROTO;
}

static bool given(void)
{
	for (int fd = WIRE_CONTROL; fd <= WIRE_LEDGER; fd++)
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
			return false;
	fcntl(WIRE_BROKER, F_SETFD, FD_CLOEXEC);
	return true;
}

int held_new(struct held **ret)
{
	_cleanup_(freep) struct held *h = calloc(1, sizeof *h);
	int r;

	if (!h)
		return -ENOMEM;
	if (!given())
		return -ENOTCONN;
	r = map_ledger(WIRE_LEDGER, &h->ledger);
	if (r < 0)
		return r;
	h->control = WIRE_CONTROL;
	pthread_mutex_init(&h->lock, NULL);
	*ret = TAKE_PTR(h);
	return 0;
}

void held_free(struct held *h)
{
	if (!h)
		return;
	munmap((void *)(uintptr_t)h->ledger, sizeof *h->ledger);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

const struct ledger *held_ledger(const struct held *h)
{
	return h->ledger;
}

int held_control(const struct held *h)
{
	return h->control;
}

bool held_alone(const struct held *h)
{
	struct pollfd p = {.fd = h->control};

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR));
}

static int ask(struct held *h, struct wire_message *m, int fd)
{
	_cleanup_(closep) int unexpected = -1;
	uint32_t kind = m->kind;
	int r;

	m->version = WIRE_VERSION;
	LOCKED(&h->lock);
	r = wire_send(h->control, m, fd);
	if (r == 0)
		r = wire_receive(h->control, m, &unexpected);
	if (r == 0 && m->kind != kind)
		r = -EPROTO;
	return r < 0 ? r : m->result;
}

int held_mount(struct held *h, dev_t wanted, dev_t *ret)
{
	struct wire_message m = {.kind = WIRE_MOUNT, .device = wanted};
	int r = ask(h, &m, -1);

	if (r == 0)
		*ret = (dev_t)m.device;
	return r;
}

int held_ready(struct held *h, int r)
{
	struct wire_message m = {.version = WIRE_VERSION, .kind = WIRE_READY, .result = r};

	LOCKED(&h->lock);
	return wire_send(h->control, &m, -1);
}

int held_backing_open(struct held *h, uint32_t slot, int fd)
{
	struct wire_message m = {.kind = WIRE_BACKING_OPEN, .slot = slot};
	int r = ask(h, &m, fd);

	return r == 0 ? -EIO : r;
}

int held_backing_close(struct held *h, uint32_t slot)
{
	struct wire_message m = {.kind = WIRE_BACKING_CLOSE, .slot = slot};

	return ask(h, &m, -1);
}
