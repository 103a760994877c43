/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/broker_wire.c - see fs/broker_wire.h. */
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "fs/broker_wire.h"

union control { /* room for the descriptors, aligned */
	char room[CMSG_SPACE(BROKER_FILES_MAX * sizeof(int))];
	struct cmsghdr head;
};

static void put_descriptors(struct msghdr *m, union control *control, const int *fds, size_t n)
{
	struct cmsghdr *c;

	if (n == 0)
		return;
	memset(control, 0, sizeof *control);
	m->msg_control = control->room;
	m->msg_controllen = CMSG_SPACE(n * sizeof *fds);
	c = CMSG_FIRSTHDR(m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof *fds);
	memcpy(CMSG_DATA(c), fds, n * sizeof *fds);
}

int broker_send(int socket, const void *head, size_t head_len, const void *value, size_t value_len,
		const int *fds, size_t n)
{
	struct iovec parts[2] = {{(void *)(uintptr_t)head, head_len},
				 {(void *)(uintptr_t)value, value_len}};
	struct msghdr m = {.msg_iov = parts, .msg_iovlen = value_len ? 2 : 1};
	union control control;
	ssize_t sent;

	if (n > BROKER_FILES_MAX || value_len > BROKER_VALUE_MAX)
		return -E2BIG;
	put_descriptors(&m, &control, fds, n);
	do {
		sent = sendmsg(socket, &m, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

static void take_descriptors(struct msghdr *m, int ret_fds[BROKER_FILES_MAX], size_t *ret_n)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return;
	*ret_n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(ret_fds, CMSG_DATA(c), *ret_n * sizeof(int));
}

long broker_receive(int socket, void *head, size_t head_len, void *value, size_t room,
		    int ret_fds[BROKER_FILES_MAX], size_t *ret_n)
{
	struct iovec parts[2] = {{head, head_len}, {value, room}};
	union control control;
	struct msghdr m = {.msg_iov = parts,
			   .msg_iovlen = 2,
			   .msg_control = control.room,
			   .msg_controllen = sizeof control.room};
	ssize_t got;

	*ret_n = 0;
	do {
		got = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (got < 0) /* reset: it died with an answer unread */
		return errno == ECONNRESET ? -EPIPE : -errno;
	take_descriptors(&m, ret_fds, ret_n);
	if (got == 0)
		return -EPIPE;
	if ((size_t)got < head_len || (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return -EPROTO;
	return got - (long)head_len;
}
