/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/holder_setup.c - what the holder is before it serves: limits, capabilities, the background,
 * and the memory that outlives workers.
 *
 * CAP_SYS_RESOURCE goes, and from the bounding set, too, so nobody that we start has it again:
 * the reserve that a filesystem keeps for root, and root's freedom from quotas, are not for those
 * whose files are written; and passthrough writes run with the credentials of who registered the
 * file, which is us.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "fs/holder.h"

/* ---- limits and capabilities -------------------------------------------------------------- */

void setup_oom_score(int score)
{
	_cleanup_(closep) int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	char text[16];
	int n = snprintf(text, sizeof text, "%d", score);

	if (fd < 0 || write(fd, text, (size_t)n) != n)
		log_debug("cannot set oom_score_adj to %d: %s, ignoring", score, strerror(errno));
}

/* The worker inherits them: a descriptor per open disk, and buffers that must not be paged out. */
void setup_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	limit = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
	if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		log_debug("cannot lift the limit of locked memory: %s, ignoring", strerror(errno));
	setup_oom_score(-1000);
}

void setup_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};
	const uint32_t gone = ~CAP_TO_MASK(CAP_SYS_RESOURCE);

	prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE, 0, 0, 0); /* EPERM: we do not have it anyway */
	if (syscall(SYS_capget, &head, data) == 0) {
		data[0].effective &= gone;
		data[0].permitted &= gone;
		data[0].inheritable &= gone;
		if (syscall(SYS_capset, &head, data) == 0)
			return;
	}
	log_warning("cannot drop CAP_SYS_RESOURCE: %s, ignoring", strerror(errno));
}

/* ---- the background ----------------------------------------------------------------------- */

/* The parent waits here for the child's word. */
int setup_background(int *ret_parent)
{
	int ends[2], status = 1;
	char word;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		close(ends[0]);
		setsid();
		*ret_parent = ends[1];
		return 0;
	}
	close(ends[1]);
	if (read(ends[0], &word, 1) == 1)
		status = 0;
	_exit(status);
}

void setup_no_terminal(void)
{
	_cleanup_(closep) int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(null, STDERR_FILENO) < 0)
		log_warning("cannot leave the terminal: %s, ignoring", strerror(errno));
}

void setup_parent_goes(struct holder *h)
{
	_cleanup_(closep) int parent = TAKE_FD(h->parent);

	if (parent < 0)
		return;
	log_to_syslog("weir");
	setup_no_terminal();
	if (write(parent, "", 1) != 1)
		log_warning("nobody waited for the mount, ignoring");
}

/* ---- slate and ledger --------------------------------------------------------------------- */

/* A new open file of the same memory: its lock and its mode are its own. */
static int reopen(int fd, int flags)
{
	char path[40];
	int r;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	r = open(path, flags | O_CLOEXEC);
	return r < 0 ? -errno : r;
}

int setup_ledger(struct holder *h, int fd)
{
	_cleanup_(closep) int given = fd;
	struct stat st;

	h->ledger_fd = reopen(given, O_RDWR);
	h->ledger_reader = reopen(given, O_RDONLY);
	if (h->ledger_fd < 0 || h->ledger_reader < 0)
		return MIN(h->ledger_fd, h->ledger_reader);
	if (flock(h->ledger_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno; /* its holder lives */
	if (fstat(h->ledger_fd, &st) < 0)
		return -errno;
	if (st.st_size != sizeof *h->ledger)
		return -EPROTO;
	h->ledger = mmap(NULL, sizeof *h->ledger, PROT_READ | PROT_WRITE, MAP_SHARED,
			 h->ledger_fd, 0);
	if (h->ledger == MAP_FAILED) {
		h->ledger = NULL;
		return -errno;
	}
	return 0;
}

bool setup_ledger_is_ours(const struct holder *h, dev_t device)
{
	const struct ledger *l = h->ledger;

	return l->magic == LEDGER_MAGIC && l->version == LEDGER_VERSION &&
	       l->slots == LEDGER_SLOTS && l->device && l->device == device;
}

int setup_memory(struct holder *h)
{
	_cleanup_(closep) int fd = -1;
	int r;

	h->slate = memfd_create("weir-slate", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	fd = memfd_create("weir-ledger", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (h->slate < 0 || fd < 0 || ftruncate(fd, sizeof *h->ledger) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return -errno;
	r = setup_ledger(h, TAKE_FD(fd));
	if (r < 0)
		return r;
	h->ledger->version = LEDGER_VERSION;
	h->ledger->slots = LEDGER_SLOTS;
	h->ledger->magic = LEDGER_MAGIC;
	return 0;
}
