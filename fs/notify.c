/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/notify.c - see fs/notify.h. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "fs/notify.h"

#define FIRST_GIVEN 3 /* SD_LISTEN_FDS_START */
#define MOST_GIVEN  64

/* Of the process, as the environment is. */
static struct sockaddr_un address;
static socklen_t address_length; /* 0: nobody to tell */

bool notify_start(void)
{
	const char *name = getenv("NOTIFY_SOCKET");
	size_t n = name ? strlen(name) : 0;

	if (n > 1 && n < sizeof address.sun_path && (*name == '/' || *name == '@')) {
		address.sun_family = AF_UNIX;
		memcpy(address.sun_path, name, n);
		if (*name == '@')
			address.sun_path[0] = 0;
		address_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	}
	unsetenv("NOTIFY_SOCKET");
	return address_length > 0;
}

static int tell(const char *text, int fd)
{
	_cleanup_(closep) int s = -1;
	struct iovec part = {.iov_base = (void *)text, .iov_len = strlen(text)};
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof fd)];
	} beside = {0};
	struct msghdr m = {.msg_name = &address, .msg_namelen = address_length,
			   .msg_iov = &part, .msg_iovlen = 1};
	int r;

	if (!address_length)
		return -ENOTCONN;
	if (fd >= 0) {
		beside.head = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
					       .cmsg_len = CMSG_LEN(sizeof fd)};
		memcpy(CMSG_DATA(&beside.head), &fd, sizeof fd);
		m.msg_control = &beside;
		m.msg_controllen = sizeof beside;
	}
	s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r = s < 0 || sendmsg(s, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
	if (r < 0)
		log_warning("cannot tell systemd \"%s\": %s, ignoring", text, strerror(-r));
	return r;
}

void notify_state(const char *text)
{
	tell(text, -1);
}

int notify_store(const char *name, int fd)
{
	char text[100];

	snprintf(text, sizeof text, "FDSTORE=1\nFDNAME=%s", name);
	return tell(text, fd);
}

void notify_store_remove(const char *name)
{
	char text[100];

	snprintf(text, sizeof text, "FDSTOREREMOVE=1\nFDNAME=%s", name);
	tell(text, -1);
}

static int number(const char *variable)
{
	const char *text = getenv(variable);

	return text ? atoi(text) : 0;
}

/* Descriptor @fd was stored under @name: keep it if that is one we know, once. */
static size_t keep(const char *name, int fd, const char *const names[], size_t n, int ret_fds[])
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(name, names[i]) || ret_fds[i] >= 0)
			continue;
		ret_fds[i] = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_GIVEN + MOST_GIVEN);
		close(fd);
		return ret_fds[i] >= 0;
	}
	close(fd);
	return 0;
}

size_t notify_take(const char *const names[], size_t n, int ret_fds[])
{
	_cleanup_(freep) char *list = strdup(getenv("LISTEN_FDNAMES") ?: "");
	int given = number("LISTEN_PID") == getpid() ? number("LISTEN_FDS") : 0;
	char *rest = list, *name;
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		ret_fds[i] = -1;
	for (int i = 0; list && i < MIN(given, MOST_GIVEN); i++) {
		name = strsep(&rest, ":");
		found += keep(name ?: "", FIRST_GIVEN + i, names, n, ret_fds);
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return found;
}
