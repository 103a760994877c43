/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/holder_command.c - what the administrator asks for: /run/weir/MAJOR:MINOR.
 *
 * A SEQPACKET socket named by the mount's device number, for root only: mode 0600, and who
 * connects is asked of the kernel.  One packet is the question, one the answer; one client at a
 * time, the next ones wait in the socket's queue.
 *
 *     status      one line of NAME=VALUE
 *     upgrade     "ok TEXT" or "failed TEXT" when it is done
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "fs/holder.h"

#define CLIENT_NS (2000 * MS_IN_NS) /* to say what it wants */
#define PAUSE_NS  (200 * MS_IN_NS)  /* when no more descriptors are to be had */

static int listen_at(struct holder *h)
{
	_cleanup_(closep) int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat st;
	mode_t mask;
	int r;

	snprintf(address.sun_path, sizeof address.sun_path, RUN_DIRECTORY "/%u:%u",
		 major(h->ledger->device), minor(h->ledger->device));
	if (s < 0 || (mkdir(RUN_DIRECTORY, 0755) < 0 && errno != EEXIST))
		return -errno;
	unlink(address.sun_path); /* of a mount that is gone: the number is ours now */
	mask = umask(0177);
	r = bind(s, (void *)&address, sizeof address) < 0 || listen(s, 8) < 0 ? -errno : 0;
	umask(mask);
	if (r < 0 || stat(address.sun_path, &st) < 0)
		return r < 0 ? r : -errno;
	h->socket_inode = st.st_ino;
	strcpy(h->socket_path, address.sun_path);
	h->listening = TAKE_FD(s);
	return 0;
}

void command_listen(struct holder *h)
{
	int r;

	if (h->listening >= 0)
		return;
	r = listen_at(h);
	if (r < 0)
		log_warning("no commands can be taken for %s: " RUN_DIRECTORY ": %s, ignoring",
			    h->options.mountpoint, strerror(-r));
}

/* Another mount may have our number, and a socket there, the moment ours is gone. */
void command_close(struct holder *h)
{
	struct stat st;

	if (h->listening >= 0 && stat(h->socket_path, &st) == 0 && st.st_ino == h->socket_inode)
		unlink(h->socket_path);
	closep(&h->listening);
	closep(&h->client);
	h->listening = h->client = -1;
}

void command_accept(struct holder *h)
{
	struct ucred who = {.uid = (uid_t)-1};
	socklen_t size = sizeof who;
	_cleanup_(closep) int fd = accept4(h->listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		/* Who waits stays in the queue, so the poll would not: nobody is asked for a while.
		 */
		if (errno != EAGAIN && errno != ECONNABORTED)
			h->client_due = now_ns() + PAUSE_NS;
		return;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0 || who.uid != 0) {
		log_warning("user %d asked the holder of %s for something, which is root's",
			    (int)who.uid, h->options.mountpoint);
		return;
	}
	h->client = TAKE_FD(fd);
	h->client_due = now_ns() + CLIENT_NS;
}

void command_hang_up(struct holder *h)
{
	closep(&h->client);
	h->client = -1;
	h->client_due = 0;
}

void command_answer(struct holder *h, const char *format, ...)
{
	char text[1000];
	va_list ap;

	if (h->client < 0)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	if (send(h->client, text, strlen(text), MSG_NOSIGNAL) < 0)
		log_debug("who asked has not waited: %s, ignoring", strerror(errno));
	command_hang_up(h);
}

static void answer_status(struct holder *h)
{
	static const char *const states[] = {"waiting", "starting", "serving", "draining"};
	const struct ledger *l = h->ledger;

	command_answer(h,
		       "state=%s holder=%d worker=%d broker=%d starts=%u upgrades=%u "
		       "last_status=%d pause_us=%llu back_off_ms=%u resume=%s store=%u",
		       states[h->state], l->holder, l->worker, l->broker, l->starts, l->upgrades,
		       l->last_status, (unsigned long long)l->last_pause_ns / 1000,
		       l->back_off_ms, h->classic ? "off" : "on", l->store);
}

void command_read(struct holder *h)
{
	char text[64] = "";
	ssize_t n = recv(h->client, text, sizeof text - 1, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	h->client_due = 0;
	if (n <= 0)
		command_hang_up(h);
	else if (!strcmp(text, "status"))
		answer_status(h);
	else if (!strcmp(text, "upgrade"))
		upgrade_begin(h);
	else
		command_answer(h, "failed there is no such command");
}
