/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/broker_duties.h - what the broker can do; fs/broker.c is the loop that does it.
 *
 * Only the broker's own files include this.  One thread, so no locks.
 */
#ifndef FS_BROKER_DUTIES_H
#define FS_BROKER_DUTIES_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct broker_question;

/* ---- xattrs (fs/broker_xattr.c) ----------------------------------------------------------- */

/* True: @fd lies beneath @datastore, an absolute path as /proc shows it.  What the kernel cannot
 * name (a disconnected dentry), and what is no file, does not. */
bool broker_is_beneath(int fd, const char *datastore);

/* Do what @q asks with the file @fd, which was found beneath the datastore.  @value holds the value
 * to set and takes the value read, at most BROKER_VALUE_MAX bytes.  Bytes of answer, or a negative
 * errno; -EPERM: a name outside trusted.* and security.*. */
long broker_xattr(const struct broker_question *q, int fd, char *value);

/* ---- who holds a file (fs/broker_file_users.c) ------------------------------------------------
 */

#define BROKER_FILE_USERS_MAX 16

/* Lines "PID COMMAND\n" into @text; how many bytes.  Looks at descriptors and mappings of all
 * processes but @not. Asks no filesystem (AT_STATX_DONT_SYNC): it does not hang with one. */
size_t broker_find_users(dev_t device, dev_t backing, ino_t ino, pid_t not, char *text,
			   size_t room);

/* ---- running programs (fs/broker_run.c) --------------------------------------------------- */

#define BROKER_COMMANDS_MAX 32

struct broker_command {
	pid_t pid; /* of its process group, too */
	int pidfd;
	int status; /* our end of the pipe its end is told by; -1: nobody asks */
	int64_t until_ms;
	bool timed_out;
};

struct broker_commands {
	struct broker_command running[BROKER_COMMANDS_MAX];
	size_t n;
};

/* Start @path with descriptors 0 and 1 as given and 2 nowhere, all other descriptors closed, the
 * environment PATH and LANG=C, the directory /, in a process group of its own, and with default
 * signals.  It is killed with its group at @limit_ms, and what it left behind in its group when it
 * has ended.  @status (-1: none) is closed when it has ended.
 *
 * -EAGAIN  too many are running; or what the system said */
int broker_command_start(struct broker_commands *c, const char *path, int in, int out, int status,
			 uint32_t limit_ms);

/* Watch a child that was forked for another duty in the same way: it is killed at @limit_ms. */
int broker_command_watch(struct broker_commands *c, pid_t pid, int status, uint32_t limit_ms);

/* What to poll for: fills @ret (BROKER_COMMANDS_MAX) and returns how many; *ret_ms is the time to
 * the next limit, -1 for none. */
size_t broker_commands_wait(const struct broker_commands *c, struct pollfd *ret, int *ret_ms);

/* Kill what is over its limit, reap and report what has ended. */
void broker_commands_tend(struct broker_commands *c);
void broker_commands_kill(struct broker_commands *c); /* all of them; reaps them */

#endif
