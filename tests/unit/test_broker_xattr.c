/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/test_broker_xattr.c - the broker touches two namespaces of files beneath the datastore
 * and nothing else, whatever it is asked. */
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "tests/unit/broker_rig.h"

static int make(const char *dir, const char *name, int flags)
{
	int d = open(dir, O_PATH | O_CLOEXEC), fd = openat(d, name, O_CREAT | O_RDWR, 0600);

	check(fd >= 0);
	close(fd);
	fd = openat(d, name, flags | O_CLOEXEC | O_NOFOLLOW);
	check(fd >= 0);
	close(d);
	return fd;
}

static void beneath(struct broker_client *b, int fd)
{
	char value[64], names[256];

	check(broker_getxattr(b, fd, "trusted.a", value, sizeof value) == -ENODATA);
	check(broker_setxattr(b, fd, "trusted.a", "one", 3, XATTR_CREATE) == 0);
	check(broker_setxattr(b, fd, "trusted.a", "one", 3, XATTR_CREATE) == -EEXIST);
	check(broker_getxattr(b, fd, "trusted.a", value, sizeof value) == 3);
	check(!memcmp(value, "one", 3));
	check(broker_getxattr(b, fd, "trusted.a", NULL, 0) == 3);
	check(broker_getxattr(b, fd, "trusted.a", value, 2) == -ERANGE);
	check(broker_setxattr(b, fd, "security.b", "two", 3, 0) == 0);
	check(broker_listxattr(b, fd, names, sizeof names) == sizeof "trusted.a\0security.b");
	check(broker_removexattr(b, fd, "trusted.a") == 0);
	check(broker_removexattr(b, fd, "trusted.a") == -ENODATA);
	check(broker_removexattr(b, fd, "security.b") == 0);
}

static void other_names(struct broker_client *b, int fd)
{
	static char large[BROKER_VALUE_MAX + 1];
	char name[300] = "trusted.";

	check(broker_setxattr(b, fd, "user.a", "x", 1, 0) == -EPERM);
	check(broker_setxattr(b, fd, "system.posix_acl_access", "x", 1, 0) == -EPERM);
	check(broker_getxattr(b, fd, "user.a", NULL, 0) == -EPERM);
	check(broker_removexattr(b, fd, "user.a") == -EPERM);
	check(broker_setxattr(b, fd, "trusted.a", large, sizeof large, 0) == -E2BIG);
	memset(name + 8, 'x', 290);
	check(broker_setxattr(b, fd, name, "x", 1, 0) == -ERANGE);
}

static void elsewhere(struct broker_client *b, const char *dir)
{
	char path[4096], beside[4200];
	int ends[2], fd;

	snprintf(beside, sizeof beside, "%s-beside", dir); /* the name begins the same */
	check(mkdir(beside, 0700) == 0);
	fd = make(beside, "file", O_RDONLY);
	check(broker_setxattr(b, fd, "trusted.a", "x", 1, 0) == -EACCES);
	check(fgetxattr(fd, "trusted.a", path, 1) < 0 && errno == ENODATA);
	close(fd);
	fd = make(beside, "file", O_PATH);
	check(broker_setxattr(b, fd, "trusted.a", "x", 1, 0) == -EACCES);
	check(broker_getxattr(b, fd, "trusted.a", NULL, 0) == -EACCES);
	check(broker_listxattr(b, fd, path, sizeof path) == -EACCES);
	close(fd);
	check(pipe2(ends, O_CLOEXEC) == 0);
	check(broker_setxattr(b, ends[0], "trusted.a", "x", 1, 0) == -EACCES);
	close(ends[0]);
	close(ends[1]);
	snprintf(path, sizeof path, "%s/link", dir); /* a symlink is the link, not its target */
	check(symlink(beside, path) == 0);
	fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	check(broker_getxattr(b, fd, "trusted.a", NULL, 0) == -ENODATA);
	close(fd);
	scratch_remove(beside);
}

static void ask(int socket, struct broker_question *q, const int *fds, size_t n, int expected)
{
	struct broker_answer a;
	char value[64];
	int got[BROKER_FILES_MAX];
	size_t got_n;

	q->version = q->version ? q->version : BROKER_VERSION;
	check(broker_send(socket, q, sizeof *q, NULL, 0, fds, n) == 0);
	check(broker_receive(socket, &a, sizeof a, value, sizeof value, got, &got_n) >= 0);
	if (a.result != expected)
		fprintf(stderr, "kind %u: %d, not %d\n", q->kind, a.result, expected);
	check(a.result == expected && a.serial == q->serial);
}

/* Questions no client of ours would ask. */
static void nonsense(const char *dir)
{
	struct broker_rig rig;
	int socket = rig_start(&rig, dir), root = open(dir, O_RDONLY | O_CLOEXEC);
	int file = make(dir, "file", O_RDONLY), three[] = {file, file, file};
	struct broker_question q = {.kind = BROKER_XATTR_GET, .serial = 1, .name = "trusted.a"};

	ask(socket, &q, &file, 1, -EACCES); /* nobody said hello */
	q.kind = BROKER_HELLO;
	ask(socket, &q, NULL, 0, -EINVAL);
	ask(socket, &q, &root, 1, 0);
	ask(socket, &q, (int[]){open("/", O_PATH)}, 1, -EALREADY);
	q.kind = 99;
	ask(socket, &q, NULL, 0, -EINVAL);
	q.kind = BROKER_XATTR_GET;
	ask(socket, &q, NULL, 0, -EINVAL);
	ask(socket, &q, three, 2, -EINVAL);
	q.value_len = 7; /* which do not follow */
	ask(socket, &q, &file, 1, -EINVAL);
	q.value_len = 0;
	memset(q.name, 'x', sizeof q.name);
	ask(socket, &q, &file, 1, -EINVAL);
	q.kind = BROKER_RUN;
	memset(q.name, 0, sizeof q.name);
	q.program = BROKER_RECOGNISE;
	ask(socket, &q, three, 2, -EINVAL);
	ask(socket, &q, three, 3, -EINVAL); /* the third is no pipe */
	q.version = 2;
	ask(socket, &q, NULL, 0, -EPROTO);
	check(send(socket, "short", 5, MSG_NOSIGNAL) == 5); /* no answer; and it lives on */
	q.version = 0;
	q.kind = BROKER_HELLO;
	ask(socket, &q, &root, 1, -EALREADY);
	close(socket);
	check(waitpid(rig.pid, NULL, 0) == rig.pid);
	close(root);
	close(file);
}

static void test(const char *dir)
{
	struct broker_rig rig;
	int fd;

	rig_open(&rig, dir);
	fd = make(dir, "file", O_RDONLY);
	if (fsetxattr(fd, "trusted.weir.probe", "", 0, 0) < 0)
		exit(77); /* not root, or a filesystem without them: skipped */
	fremovexattr(fd, "trusted.weir.probe");
	beneath(rig.client, fd);
	close(fd);
	fd = make(dir, "file", O_PATH);
	beneath(rig.client, fd);
	other_names(rig.client, fd);
	close(fd);
	elsewhere(rig.client, dir);
	rig_close(&rig);
	nonsense(dir);
}

int main(void)
{
	return scratch_run(test);
}
