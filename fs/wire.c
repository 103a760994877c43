/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/wire.c - see fs/wire.h. */
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "fs/wire.h"

/* Room for more descriptors than anybody may send: those beyond the first are closed. */
#define MAX_DESCRIPTORS 8

union ancillary {
	struct cmsghdr align;
	char room[CMSG_SPACE(MAX_DESCRIPTORS * sizeof(int))];
};

static void attach(struct msghdr *message, union ancillary *beside, int fd)
{
	struct cmsghdr *head;

	memset(beside, 0, sizeof *beside);
	message->msg_control = beside->room;
	message->msg_controllen = CMSG_SPACE(sizeof fd);
	head = CMSG_FIRSTHDR(message);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(head), &fd, sizeof fd);
}

int wire_send(int socket, const struct wire_message *m, int fd)
{
	struct iovec part = {.iov_base = (void *)m, .iov_len = sizeof *m};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	union ancillary beside;
	ssize_t n;

	if (fd >= 0)
		attach(&message, &beside, fd);
	do
		n = sendmsg(socket, &message, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	return 0; /* a packet goes whole or not at all */
}

/* Keep the first descriptor of @message, close all others: they are ours now. */
static int take_descriptors(struct msghdr *message)
{
	int kept = -1;

	for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head;
	     head = CMSG_NXTHDR(message, head)) {
		size_t n;

		if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
			continue;
		n = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
			if (kept < 0)
				kept = fd;
			else
				close(fd);
		}
	}
	return kept;
}

int wire_receive(int socket, struct wire_message *ret, int *ret_fd)
{
	struct wire_message m;
	struct iovec part = {.iov_base = &m, .iov_len = sizeof m};
	union ancillary beside;
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1,
				 .msg_control = beside.room, .msg_controllen = sizeof beside};
	_cleanup_(closep) int fd = -1;
	ssize_t n;

	do
		n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	if (n == 0)
		return -EPIPE;
	fd = take_descriptors(&message);
	if ((size_t)n != sizeof m || message.msg_flags & MSG_TRUNC || m.version != WIRE_VERSION)
		return -EPROTO;
	*ret = m;
	*ret_fd = TAKE_FD(fd);
	return 0;
}
