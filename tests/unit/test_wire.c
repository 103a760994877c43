/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages between holder and worker: whole or refused, and no descriptor is left behind. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/wire.h"
#include "tests/unit/check.h"

static int descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	check(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void pair(int ends[2])
{
	check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
}

static void whole(void)
{
	struct wire_message m = {.version = WIRE_VERSION, .kind = WIRE_MOUNT, .device = 1ull << 40},
			    got = {0};
	int ends[2], fd = 7;

	pair(ends);
	check(wire_send(ends[0], &m, -1) == 0);
	check(wire_receive(ends[1], &got, &fd) == 0);
	check(fd == -1 && !memcmp(&m, &got, sizeof m));
	close(ends[0]);
	check(wire_receive(ends[1], &got, &fd) == -EPIPE);
	check(wire_send(ends[1], &m, -1) == -EPIPE);
	close(ends[1]);
}

static void with_descriptor(void)
{
	struct wire_message m = {.version = WIRE_VERSION, .kind = WIRE_BACKING_OPEN, .slot = 3}, got;
	struct stat a, b;
	int ends[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC), fd;

	pair(ends);
	check(wire_send(ends[0], &m, null) == 0);
	check(wire_receive(ends[1], &got, &fd) == 0);
	check(fd >= 0 && fd != null && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	check(fstat(fd, &a) == 0 && fstat(null, &b) == 0 && a.st_rdev == b.st_rdev);
	close(fd);
	close(null);
	close(ends[0]);
	close(ends[1]);
}

/* @n descriptors beside @size bytes. */
static void send_raw(int socket, const void *bytes, size_t size, int n)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(16 * sizeof(int))];
	} beside;
	struct iovec part = {(void *)bytes, size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	memset(&beside, 0, sizeof beside);
	if (n) {
		int fds[16];

		for (int i = 0; i < n; i++)
			fds[i] = STDIN_FILENO;
		message.msg_control = beside.room;
		message.msg_controllen = CMSG_SPACE((size_t)n * sizeof(int));
		beside.align.cmsg_level = SOL_SOCKET;
		beside.align.cmsg_type = SCM_RIGHTS;
		beside.align.cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
		memcpy(CMSG_DATA(&beside.align), fds, (size_t)n * sizeof(int));
	}
	check(sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)size);
}

static void refused(void)
{
	struct wire_message m = {.version = WIRE_VERSION + 1, .kind = WIRE_READY}, got;
	char large[sizeof m + 1] = {WIRE_VERSION};
	int ends[2], fd = -1, before;

	pair(ends);
	before = descriptors();
	send_raw(ends[0], &m, sizeof m, 1);
	check(wire_receive(ends[1], &got, &fd) == -EPROTO);
	m.version = WIRE_VERSION;
	send_raw(ends[0], &m, sizeof m - 1, 1);
	check(wire_receive(ends[1], &got, &fd) == -EPROTO);
	memcpy(large, &m, sizeof m);
	send_raw(ends[0], large, sizeof large, 1);
	check(wire_receive(ends[1], &got, &fd) == -EPROTO);
	check(descriptors() == before);

	for (int n = 2; n <= 16; n++) {
		send_raw(ends[0], &m, sizeof m, n);
		check(wire_receive(ends[1], &got, &fd) == 0 && fd >= 0);
		close(fd);
		check(descriptors() == before);
	}
	check(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
	check(wire_receive(ends[1], &got, &fd) == -EAGAIN);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	whole();
	with_descriptor();
	refused();
	return 0;
}
