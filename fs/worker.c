/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/worker.c - weir-worker: the process that serves one mounted datastore.
 *
 *     weir-worker [-f] [-d] [-o OPTIONS] DATASTORE MOUNTPOINT
 *
 * Without -f it goes to the background once the mount is usable, and exits 0 then; what goes
 * wrong before is said on stderr.  SIGTERM and SIGINT unmount (lazily: open files are served to
 * their last close); SIGHUP applies changed policy files, like `weir policy apply`.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>

#include "base/log.h"
#include "fs/assign.h"
#include "fs/disk.h"
#include "fs/events.h"
#include "fs/fs.h"
#include "fs/gate.h"
#include "fs/listing.h"
#include "fs/mount.h"
#include "fs/open.h"
#include "fs/orphan.h"
#include "fs/recognise.h"

#define BACKGROUND_THREADS 2
#define IDLE_DESCRIPTORS   512

/* ---- the device number of the last mount -------------------------------------------------- */

/* Numbers mean something within one boot only. */
static void boot_id(char ret[64])
{
	_cleanup_(closep) int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, ret, 63);

	ret[n > 0 ? n : 0] = 0;
	ret[strcspn(ret, "\n")] = 0;
}

static dev_t remembered_device(struct datastore *store)
{
	char text[128] = "", boot[64], saved_boot[64];
	unsigned major_, minor_;
	_cleanup_(closep) int fd = openat(store->state_fd, "device", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
		return 0;
	boot_id(boot);
	if (sscanf(text, "%63s %u %u", saved_boot, &major_, &minor_) != 3)
		return 0;
	return strcmp(boot, saved_boot) ? 0 : makedev(major_, minor_);
}

static void remember_device(struct datastore *store, dev_t device)
{
	char text[128], boot[64];
	_cleanup_(closep) int fd =
		openat(store->state_fd, "device", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int n;

	boot_id(boot);
	n = snprintf(text, sizeof text, "%s %u %u\n", boot, major(device), minor(device));
	if (fd < 0 || write(fd, text, (size_t)n) != n)
		log_warning("cannot remember the device number: %s, ignoring", strerror(errno));
}

/* ---- start ------------------------------------------------------------------------------- */

/* As many descriptors as allowed; a share of them is kept open idly. */
static size_t raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 64;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	return MIN((size_t)limit.rlim_cur / 4, (size_t)IDLE_DESCRIPTORS);
}

/* The reserve that a filesystem keeps for root, and root's freedom from quotas, are not for those
 * whose files we write. */
static void drop_resource_capability(void)
{
	cap_t caps = cap_get_proc();
	cap_value_t which = CAP_SYS_RESOURCE;

	if (!caps || cap_set_flag(caps, CAP_EFFECTIVE, 1, &which, CAP_CLEAR) < 0 ||
	    cap_set_flag(caps, CAP_PERMITTED, 1, &which, CAP_CLEAR) < 0 || cap_set_proc(caps) < 0)
		log_warning("cannot drop CAP_SYS_RESOURCE: %s, ignoring", strerror(errno));
	if (caps)
		cap_free(caps);
}

static int say(const char *what, char *why, int r)
{
	fprintf(stderr, "weir: %s: %s\n", what, why ? why : strerror(-r));
	free(why);
	return r;
}

static int open_store(struct fs *fs)
{
	char *why = NULL;
	int r;

	r = datastore_open(fs->options.datastore, fs->options.state, 0, &fs->store, &why);
	if (r < 0)
		return say(fs->options.datastore, why, r);
	r = datastore_catalog_open(fs->store, &fs->catalog, &why);
	if (r < 0)
		return say(fs->store->path, why, r);
	return 0;
}

static int build(struct fs *fs)
{
	struct stat st;
	int r;

	if (fstat(fs->store->root_fd, &st) < 0)
		return -errno;
	fs->device = st.st_dev;
	fs->no_selinux = access("/sys/fs/selinux/enforce", F_OK) < 0;
	r = fdcache_new(fs->store->mount_fd, raise_descriptors(), &fs->fds);
	if (r == 0)
		r = slate_new(&fs->slate);
	if (r == 0)
		r = nodes_new(fs->catalog, fs->slate, &fs->store->who.root, st.st_ino, &fs->nodes);
	if (r == 0)
		r = pool_new(BACKGROUND_THREADS, "weir-background", &fs->pool);
	if (r == 0) /* a quarter of the threads is kept for what is no I/O of a disk */
		r = gate_new(fs->options.threads - MAX(fs->options.threads / 4, 1u), &fs->gate);
	if (r == 0)
		r = events_new(&fs->events);
	if (r == 0)
		r = opens_new(&fs->opens);
	if (r == 0)
		r = listings_new(&fs->listings);
	if (r == 0)
		r = recogniser_new(&fs->recogniser);
	if (r == 0)
		r = assignments_new(fs, &fs->assignments);
	return r;
}

static int mount_it(struct fs *fs)
{
	dev_t device;
	int fd, r;

	r = mount_datastore(&fs->options, fs->store->path, remembered_device(fs->store), &fd,
			    &device);
	if (r < 0)
		return say(fs->options.mountpoint, NULL, r);
	remember_device(fs->store, device);
	fs->mount_device = device;
	r = session_new(fs, fd, fs->options.threads, &fs->session);
	if (r < 0) {
		fs->session = NULL;
		unmount_datastore(fs->options.mountpoint, fs->mount_device, true);
		return say("no agreement with the kernel", NULL, r);
	}
	return 0;
}

static int start(struct fs *fs)
{
	int r;

	r = open_store(fs);
	if (r < 0)
		return r;
	orphans_clean(fs);
	r = build(fs);
	if (r < 0)
		return say(fs->store->path, NULL, r);
	return mount_it(fs);
}

/* ---- end --------------------------------------------------------------------------------- */

/* The kernel has gone without releasing them: an aborted connection. */
static void close_disks(struct fs *fs)
{
	uint64_t ids[64];
	size_t n;

	while ((n = open_list(fs, ids, ARRAY_SIZE(ids)))) {
		for (size_t i = 0; i < n; i++) {
			_node_ at = {.fs = fs};

			if (nodes_get(fs->nodes, ids[i], &at.node) < 0)
				return;
			while (open_glance(fs, at.node).opens)
				open_release(fs, at.node, 0);
		}
	}
}

static void stop(struct fs *fs)
{
	if (fs->session && fs->nodes)
		close_disks(fs);
	if (fs->pool)
		pool_wait_idle(fs->pool);
	session_free(fs->session);
	pool_free(fs->pool);
	assignments_free(fs->assignments);
	recogniser_free(fs->recogniser);
	nodes_free(fs->nodes);
	listings_free(fs->listings);
	opens_free(fs->opens);
	gate_free(fs->gate);
	events_free(fs->events);
	slate_free(fs->slate);
	fdcache_free(fs->fds);
	catalog_close(fs->catalog);
	datastore_close(fs->store);
	options_done(&fs->options);
}

/* ---- signals ----------------------------------------------------------------------------- */

static void block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN); /* somebody opened a file while we held a lease on it */
}

struct signals {
	struct fs *fs;
	pthread_t thread;
	bool started;
	_Atomic bool ending; /* the next signal is ours: go */
};

static void *handle_signals(void *data)
{
	struct signals *s = data;
	struct fs *fs = s->fs;
	sigset_t set;
	int signal_number, r;

	block_signals(&set);
	for (;;) {
		sigwait(&set, &signal_number);
		if (s->ending)
			return NULL;
		if (signal_number == SIGHUP) {
			assign_apply_all(fs);
			continue;
		}
		r = unmount_datastore(fs->options.mountpoint, fs->mount_device, true);
		if (r < 0)
			log_warning("cannot unmount %s: %s", fs->options.mountpoint, strerror(-r));
	}
}

static void signals_start(struct signals *s, struct fs *fs)
{
	s->fs = fs;
	s->started = pthread_create(&s->thread, NULL, handle_signals, s) == 0;
}

/* What it works on goes away next.  Waits for a change of policies that is under way. */
static void signals_end(struct signals *s)
{
	if (!s->started)
		return;
	s->ending = true;
	pthread_kill(s->thread, SIGTERM);
	pthread_join(s->thread, NULL);
}

/* ---- to the background -------------------------------------------------------------------- */

/* The parent waits here for the child's word.  Returns the descriptor to give it on. */
static int fork_away(void)
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
		return ends[1];
	}
	close(ends[1]);
	if (read(ends[0], &word, 1) == 1)
		status = 0;
	_exit(status);
}

static void let_parent_go(int fd)
{
	_cleanup_(closep) int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	log_to_syslog("weir");
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	if (write(fd, "", 1) != 1)
		log_warning("nobody waited for the mount, ignoring");
	close(fd);
	if (chdir("/") < 0)
		log_warning("cannot leave the directory: %s, ignoring", strerror(errno));
}

static int serve(struct fs *fs, int parent)
{
	struct signals signals = {0};
	int r;

	r = start(fs);
	if (r < 0)
		return r;
	log_notice("%s is mounted on %s%s", fs->store->path, fs->options.mountpoint,
		   session_abilities(fs->session)->passthrough ? "" : ", without passthrough");
	event_emit(fs, "mounted", NULL, NULL, "the datastore is mounted");
	if (parent >= 0)
		let_parent_go(parent);
	signals_start(&signals, fs);
	r = session_run(fs->session);
	signals_end(&signals);
	if (r < 0)
		log_error("the session ended: %s", strerror(-r));
	else
		log_notice("%s is unmounted", fs->store->path);
	return r;
}

int main(int argc, char **argv)
{
	struct fs fs = {0};
	sigset_t set;
	int parent = -1, r;

	r = options_parse(argc, argv, &fs.options);
	if (r < 0)
		return 2;
	if (fs.options.debug)
		log_set_level(LOG_LEVEL_DEBUG);
	block_signals(&set);
	if (!fs.options.foreground)
		parent = fork_away();
	drop_resource_capability();
	r = serve(&fs, parent);
	stop(&fs);
	return r < 0 ? 1 : 0;
}
