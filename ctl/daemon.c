/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/daemon.c - see ctl/daemon.h, and fs/holder_command.c for the other end. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/datastore.h"
#include "ctl/daemon.h"

#define RUN_DIRECTORY "/run/weir"

/* The file may be an old one: then its number is most likely nobody's, or not a worker's. */
int daemon_worker(const char *datastore, pid_t *ret)
{
	_cleanup_(freep) char *path = NULL;
	_cleanup_(closep) int fd = -1;
	char text[32], comm[32] = "";
	ssize_t n;
	int pid;

	if (asprintf(&path, "%s/" WEIR_DIRECTORY "/lock", datastore) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (n <= 0)
		return -ESRCH;
	text[n] = 0;
	pid = atoi(text);
	closep(&fd);

	snprintf(text, sizeof text, "/proc/%d/comm", pid);
	fd = open(text, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, comm, sizeof comm - 1) <= 0 || strncmp(comm, "weir-", 5) != 0)
		return -ESRCH;
	*ret = pid;
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	return fd < 0 ? -errno : TAKE_FD(fd);
}

int daemon_connect(const struct weir_mount *m)
{
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (fd < 0)
		return -errno;
	snprintf(address.sun_path, sizeof address.sun_path, RUN_DIRECTORY "/%u:%u", m->major,
		 m->minor);
	if (connect(fd, (void *)&address, sizeof address) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int daemon_holder(int connection)
{
	struct ucred who;
	socklen_t size = sizeof who;
	int fd;

	if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
		return -errno;
	fd = (int)syscall(SYS_pidfd_open, who.pid, 0);
	return fd < 0 ? -errno : fd;
}

int daemon_ask(int connection, const char *what, int timeout_ms, char *ret, size_t size)
{
	struct pollfd p = {.fd = connection, .events = POLLIN};
	ssize_t n;

	if (send(connection, what, strlen(what), MSG_NOSIGNAL) < 0)
		return -errno;
	if (poll(&p, 1, timeout_ms) <= 0)
		return -ETIME;
	n = recv(connection, ret, size - 1, 0);
	if (n <= 0)
		return n < 0 ? -errno : -EPIPE;
	ret[n] = 0;
	return 0;
}
