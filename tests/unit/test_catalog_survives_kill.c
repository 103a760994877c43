/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Killed at any moment: no id is given twice, a header is the old one or the new one.
 *
 * A child reserves, puts nodes and changes a header without end; it tells what it did through a
 * pipe, what it is about to do to the header first.  It is killed 200 times.  After each kill
 * the catalog must be good and hold all that was told, and the header must be one of two.
 */
#include <fcntl.h>
#include <poll.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/header.h"
#include "tests/unit/catalog_rig.h"

#define KILLS 200

enum kind { RESERVED, PUT, HEADER_BEGIN, HEADER_DONE };

struct told {
	uint32_t kind;
	uint32_t pad;
	uint64_t first, n;
};

struct rig {
	const char *dir;
	int disks;
	struct disk_id id;
	uint64_t next;		   /* ids below were given */
	uint64_t old, new;	   /* policy_version before and after the change in flight */
	uint64_t put_first, put_n; /* of the last put */
	unsigned reserves, puts, headers;
};

static void tell(int fd, enum kind kind, uint64_t first, uint64_t n)
{
	struct told t = {.kind = kind, .first = first, .n = n};

	if (write(fd, &t, sizeof t) != sizeof t)
		_exit(1);
}

__attribute__((noreturn)) static void work(const struct rig *rig, int fd)
{
	struct catalog *c = rig_open(rig->dir);
	struct disk_header h;

	check(header_read(rig->disks, &rig->id, &h) == 0);
	for (;;) {
		enum { N = 20 };
		struct catalog_node n[N];
		uint64_t first;

		check(catalog_reserve(c, N, &first) == 0);
		tell(fd, RESERVED, first, N);
		for (int i = 0; i < N; i++)
			n[i] = rig_node(first + i, 1 + (first + i) % 1000); /* takes handles over */
		check(catalog_put_nodes(c, n, N) == 0);
		tell(fd, PUT, first, N);
		h.policy_version++;
		tell(fd, HEADER_BEGIN, h.policy_version, 0);
		check(header_write(rig->disks, &h) == 0);
		tell(fd, HEADER_DONE, h.policy_version, 0);
	}
}

static void hear(struct rig *rig, const struct told *t)
{
	switch (t->kind) {
	case RESERVED:
		check(t->first >= rig->next);
		rig->next = t->first + t->n;
		rig->reserves++;
		break;
	case PUT:
		rig->put_first = t->first;
		rig->put_n = t->n;
		rig->puts++;
		break;
	case HEADER_BEGIN:
		check(t->first == rig->new + 1);
		rig->new = t->first;
		break;
	case HEADER_DONE:
		rig->old = rig->new = t->first;
		rig->headers++;
		break;
	}
}

static void check_after(struct rig *rig)
{
	struct disk_header h;
	struct catalog *c;
	uint64_t id;

	check(rig_check(rig->dir, NULL) == 0);
	c = rig_open(rig->dir);
	/* The put is there; one that came later and was not told has later ids. */
	for (uint64_t i = 0; i < rig->put_n; i++) {
		struct handle handle = rig_handle(1 + (rig->put_first + i) % 1000);

		check(catalog_find_handle(c, &handle, &id) == 0 && id >= rig->put_first + i);
	}
	check(catalog_reserve(c, 1, &id) == 0 && id >= rig->next);
	rig->next = id + 1;
	catalog_close(c);

	check(header_read(rig->disks, &rig->id, &h) == 0);
	check(h.policy_version == rig->old || h.policy_version == rig->new);
	rig->old = rig->new = h.policy_version;
}

static void one_kill(struct rig *rig)
{
	struct timespec wait = {.tv_nsec = random() % 15000000};
	struct told t;
	int fds[2];
	pid_t pid;

	check(pipe2(fds, O_CLOEXEC) == 0);
	pid = fork();
	check(pid >= 0);
	if (pid == 0)
		work(rig, fds[1]);
	close(fds[1]);
	nanosleep(&wait, NULL);
	check(kill(pid, SIGKILL) == 0);
	check(waitpid(pid, NULL, 0) == pid);
	while (read(fds[0], &t, sizeof t) == sizeof t)
		hear(rig, &t);
	close(fds[0]);
	check_after(rig);
}

static void test(const char *dir)
{
	struct disk_header h = {.policy = "gold"};
	struct rig rig = {.dir = dir};

	rig.disks = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	disk_id_new(&h.id);
	rig.id = h.id;
	check(rig.disks >= 0 && header_create(rig.disks, &h) == 0);
	catalog_close(rig_create(dir));
	srandom(time(NULL));
	for (int i = 0; i < KILLS; i++)
		one_kill(&rig);
	printf("%d kills, %u reserves, %u puts, %u header changes\n", KILLS, rig.reserves, rig.puts,
	       rig.headers);
	check(rig.reserves > 0);
	close(rig.disks);
}

int main(void)
{
	return scratch_run(test);
}
