/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/holder/stub.c - a worker (and broker) that behaves as badly as a test wants.
 *
 * It serves an empty directory.  The last 16 bytes of its own file are the word for what it does;
 * the word belongs to the file and not to a path, so a program that was replaced keeps its own:
 *
 *     serve       all is well                    exit1       fails before it is ready
 *     hang        never ready                    crash       a fault before it is ready
 *     latecrash   a fault 50 ms after READY      classic     the kernel cannot resend
 *     probefail, probehang, noslate              the answer to --takes-slate
 *     deaf        does not obey SIGUSR1          rude        breaks the protocol when ready
 *     once        the first start serves, later ones exit 1
 *     greedy      wants to have its ledger as a backing file; fails when it gets it
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs/ledger.h"
#include "fs/wire.h"

#define NOTIFY_RESEND 7

static char word[17];
static const struct ledger *ledger;
static char message[1 << 17];

static int is(const char *w)
{
	return !strcmp(word, w);
}

static void read_word(void)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || lseek(fd, -16, SEEK_END) < 0 || read(fd, word, 16) != 16)
		exit(3);
	close(fd);
}

static void handed_over(int sig)
{
	_exit(WIRE_EXIT_HANDED_OVER);
}

static void answer(const struct fuse_in_header *in, int error, const void *data, size_t size)
{
	struct fuse_out_header out = {.len = (uint32_t)(sizeof out + size), .error = error,
				      .unique = in->unique};
	struct iovec parts[2] = {{&out, sizeof out}, {(void *)data, size}};

	if (writev(WIRE_DEVICE, parts, 2) < 0 && errno != ENOENT)
		perror("answer");
}

static void answer_init(const struct fuse_in_header *in)
{
	struct fuse_init_out out = {.major = 7, .minor = 31, .max_write = 65536};

	answer(in, 0, &out, sizeof out);
}

static void answer_attr(const struct fuse_in_header *in)
{
	struct fuse_attr_out out = {.attr = {.ino = 1, .mode = S_IFDIR | 0755, .nlink = 2}};

	answer(in, 0, &out, sizeof out);
}

static void serve_one(void)
{
	const struct fuse_in_header *in = (const void *)message;
	struct fuse_statfs_out statfs = {.st = {.namelen = 255, .bsize = 4096}};
	struct fuse_open_out open_out = {.fh = 1};

	if (in->opcode == FUSE_INIT)
		answer_init(in);
	else if (in->opcode == FUSE_GETATTR)
		answer_attr(in);
	else if (in->opcode == FUSE_STATFS)
		answer(in, 0, &statfs, sizeof statfs);
	else if (in->opcode == FUSE_OPENDIR)
		answer(in, 0, &open_out, sizeof open_out);
	else if (in->opcode == FUSE_READDIR || in->opcode == FUSE_RELEASEDIR)
		answer(in, 0, NULL, 0);
	else if (in->opcode == FUSE_LOOKUP)
		answer(in, -ENOENT, NULL, 0);
	else if (in->opcode != FUSE_FORGET && in->opcode != FUSE_BATCH_FORGET &&
		 in->opcode != FUSE_INTERRUPT)
		answer(in, -ENOSYS, NULL, 0);
}

static void serve(void)
{
	for (;;) {
		if (read(WIRE_DEVICE, message, sizeof message) >= 0)
			serve_one();
		else if (errno == ENODEV)
			exit(0);
		else if (errno != EINTR && errno != ENOENT && errno != EAGAIN)
			exit(4);
	}
}

static void tell(uint32_t kind, int result)
{
	struct wire_message m = {.version = WIRE_VERSION, .kind = kind, .result = result};

	wire_send(WIRE_CONTROL, &m, -1);
}

static void make_slate(void)
{
	struct {
		uint64_t magic;
		uint32_t version;
	} head = {1, 42};

	if (pwrite(WIRE_SLATE, &head, sizeof head, 0) < 0)
		exit(5);
}

static void mount_it(void)
{
	struct wire_message m;
	int fd;

	tell(WIRE_MOUNT, 0);
	if (wire_receive(WIRE_CONTROL, &m, &fd) < 0 || m.result < 0 || !ledger->device) {
		fprintf(stderr, "stub: not mounted: %s\n", strerror(-m.result));
		exit(1);
	}
}

static void want_ledger(void)
{
	struct wire_message m = {.version = WIRE_VERSION, .kind = WIRE_BACKING_OPEN};
	int fd;

	wire_send(WIRE_CONTROL, &m, WIRE_LEDGER);
	if (wire_receive(WIRE_CONTROL, &m, &fd) < 0 || m.result != -EXDEV)
		exit(7);
}

static void resend(void)
{
	struct fuse_out_header out = {.len = sizeof out, .error = NOTIFY_RESEND};

	if (write(WIRE_DEVICE, &out, sizeof out) < 0)
		perror("resend");
}

/* What a worker does before it serves. */
static void start(void)
{
	if (is("exit1") || (is("once") && ledger->starts > 1)) {
		fprintf(stderr, "stub: I do not want to\n");
		exit(1);
	}
	if (is("crash"))
		abort();
	while (is("hang"))
		pause();
	if (ledger->device)
		resend();
	else
		mount_it();
	make_slate();
	if (is("greedy"))
		want_ledger();
	if (ledger->starts == 1) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 1);
		dup2(null, 2);
		close(null);
	}
	tell(WIRE_READY, is("classic") ? -EOPNOTSUPP : 0);
	if (is("rude"))
		tell(77, 0);
}

static void probe(void)
{
	while (is("probehang"))
		pause();
	exit(is("probefail") ? 1 : is("noslate") ? WIRE_EXIT_SLATE : 0);
}

static void crash(int sig)
{
	abort();
}

int main(int argc, char **argv)
{
	char byte;

	if (!strcmp(argv[0], "weir-broker")) {
		prctl(PR_SET_NAME, "weir-broker");
		while (read(3, &byte, 1) > 0)
			;
		return 0;
	}
	prctl(PR_SET_NAME, "weir-worker");
	read_word();
	if (argc > 1 && !strcmp(argv[1], "--takes-slate"))
		probe();
	signal(SIGUSR1, is("deaf") ? SIG_IGN : handed_over);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGALRM, crash);
	ledger = mmap(NULL, sizeof *ledger, PROT_READ, MAP_SHARED, WIRE_LEDGER, 0);
	if (ledger == MAP_FAILED || ledger->magic != LEDGER_MAGIC)
		return 6;
	start();
	if (is("latecrash"))
		ualarm(50000, 0);
	serve();
}
