/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/worker.c - weir-worker: the process that serves one mounted datastore.
 *
 *     weir-worker [-f] [-d] [-o OPTIONS] DATASTORE MOUNTPOINT
 *     weir-worker --takes-slate VERSION
 *
 * Started by the holder (fs/holder.c), which keeps the mount while workers come and go; what it is
 * given lies in the descriptors of fs/wire.h.  The first worker mounts; each later one goes on
 * where the one before it stopped.  What goes wrong before the first is ready is said on stderr.
 * The second form says by its exit code whether it could go on from a slate of that version.
 *
 * SIGUSR1: hand over to the next worker.  SIGHUP: apply changed policy files, like `weir policy
 * apply`.  SIGTERM and SIGINT are the holder's; without one SIGTERM is like SIGUSR1.
 */
#include <execinfo.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "base/log.h"
#include "fs/assign.h"
#include "fs/backing_xattr.h"
#include "fs/broker.h"
#include "fs/disk.h"
#include "fs/events.h"
#include "fs/fault.h"
#include "fs/fs.h"
#include "fs/gate.h"
#include "fs/held.h"
#include "fs/listing.h"
#include "fs/open.h"
#include "fs/privilege.h"
#include "fs/recognise.h"
#include "fs/quarantine.h"
#include "fs/reconnect.h"
#include "fs/resume.h"
#include "fs/status_mount.h"
#include "fs/watchdog.h"
#include "fs/wire.h"

#define BACKGROUND_THREADS 2
#define UNMOUNTED	   1 /* while nobody served */
#define IDLE_DESCRIPTORS   512
#define FAULT_REPORTS	   (1 << 20) /* bytes of them are kept */

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

/* A later worker has no terminal. */
static int say(struct fs *fs, const char *what, char *why, int r)
{
	if (fs->held && held_ledger(fs->held)->device)
		log_error("%s: %s", what, why ? why : strerror(-r));
	else
		fprintf(stderr, "weir: %s: %s\n", what, why ? why : strerror(-r));
	free(why);
	return r;
}

/* The worker before us did not end by a fault of its own, which may have come from the catalog. */
static bool last_was_sound(const struct fs *fs)
{
	int status = held_ledger(fs->held)->last_status;

	return fs->resumed && ((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
			       (WIFEXITED(status) && WEXITSTATUS(status) == WIRE_EXIT_HANDED_OVER));
}

static int copy_policy_directories(struct fs *fs)
{
	const char *directories[PATHS_POLICY_DIRS_MAX];

	paths_policy_dirs(fs->options.policies, directories);
	for (size_t i = 0; directories[i]; i++) {
		fs->policy_directories[i] = strdup(directories[i]);
		if (!fs->policy_directories[i])
			return -ENOMEM;
	}
	return 0;
}

/* What lies elsewhere is looked at now; from then on there are only our own places. */
static int enter(struct fs *fs)
{
	int r = copy_policy_directories(fs);
	void *call;

	backtrace(&call, 1); /* loads the unwinder (fs/fault.c), which is a file of the host */
	close_range(WIRE_BROKER + 1, ~0u, 0); /* what whoever started the holder left open */
	fs->no_selinux = access("/sys/fs/selinux/enforce", F_OK) < 0;
	fs->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	log_connect("weir");
	return r < 0 ? r : privilege_enter(&fs->options, fs->policy_directories);
}

/* What cannot be answered without it had better be asked again of the next worker, who gets a
 * broker with it.  Without a holder there is no next one. */
static void broker_is_lost(void *data)
{
	struct fs *fs = data;

	if (fs->session && !held_alone(fs->held))
		_exit(WIRE_EXIT_FAILED);
}

static int open_broker(struct fs *fs)
{
	int r = broker_client_new(WIRE_BROKER, fs->store->root_fd, &fs->broker);

	if (r == 0)
		broker_client_on_loss(fs->broker, broker_is_lost, fs);

	if (r == 0)
		backing_marks(fs);
	return r;
}

/* The datastore is open, and nothing of what others put there was looked at. */
static int confine(struct fs *fs)
{
	int r = open_broker(fs);

	if (r < 0)
		return say(fs, "weir-broker", NULL, r);
	r = privilege_drop(&fs->options, assign_directories(fs));
	return r < 0 ? say(fs, "cannot give up privileges", NULL, r) : 0;
}

static int open_store(struct fs *fs)
{
	char *why = NULL;
	int r;

	r = datastore_open(fs->options.datastore, fs->options.state,
			   fs->resumed ? DATASTORE_TAKE_OVER : 0, &fs->store, &why);
	if (r < 0)
		return say(fs, fs->options.datastore, why, r);
	r = confine(fs);
	if (r < 0)
		return r;
	if (last_was_sound(fs))
		r = datastore_catalog_reopen(fs->store, &fs->catalog, &why);
	else
		r = datastore_catalog_open(fs->store, &fs->catalog, &why);
	if (r < 0)
		return say(fs, fs->store->path, why, r);
	return 0;
}

static int build(struct fs *fs)
{
	struct stat st;
	int r;

	if (fstat(fs->store->root_fd, &st) < 0)
		return -errno;
	fs->device = st.st_dev;
	r = fdcache_new(fs->store->mount_fd, raise_descriptors(), &fs->fds);
	if (r == 0)
		fdcache_find_with(fs->fds, reconnect_find, fs);
	if (r == 0)
		r = nodes_new(fs->catalog, fs->slate, &fs->store->who.root, st.st_ino, fs->resumed,
			      &fs->nodes);
	if (r == 0)
		r = pool_new(BACKGROUND_THREADS, "weir-background", &fs->pool);
	if (r == 0) /* a quarter of the threads is kept for what is no I/O of a disk */
		r = gate_new(fs->options.threads - MAX(fs->options.threads / 4, 1u), &fs->gate);
	if (r == 0)
		r = disk_list_new(&fs->disks);
	if (r == 0)
		r = events_new(fs->slate, &fs->events);
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

static uint64_t realtime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Before all else: an older or newer worker may know what to do with it. */
static int take_slate(struct fs *fs)
{
	bool written = false;
	int r = slate_new(WIRE_SLATE, &fs->slate, &written);

	if (r < 0) {
		log_error("cannot go on from the state of the worker before: %s",
			  r == -EPROTO ? "another version wrote it" : strerror(-r));
		return r;
	}
	fs->resumed = held_ledger(fs->held)->device != 0;
	return blames_new(fs->slate, realtime_ns(), &fs->blames); /* before slots are taken */
}

static int mount_it(struct fs *fs)
{
	dev_t wanted = remembered_device(fs->store), got = held_ledger(fs->held)->device;
	int r = 0;

	if (!fs->resumed)
		r = held_mount(fs->held, wanted, &got);
	if (r < 0)
		return say(fs, fs->options.mountpoint, NULL, r);
	fs->mount_device = got;
	if (!fs->resumed)
		remember_device(fs->store, got);
	r = session_new(fs, WIRE_DEVICE, fs->options.threads, &fs->session);
	if (r < 0)
		fs->session = NULL;
	if (r == -ENODEV && fs->resumed)
		return UNMOUNTED;
	if (r < 0)
		say(fs, "no agreement with the kernel", NULL, r);
	return r;
}

/* Of a worker that dies: opened now, while it can be.  It is not let grow for ever. */
static int open_fault_report(struct fs *fs)
{
	int fd = openat(fs->store->state_fd, "faults", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC,
			0600);
	struct stat st;

	if (fd < 0)
		log_warning("traces of faults cannot be kept: %s, ignoring", strerror(errno));
	else if (fstat(fd, &st) == 0 && st.st_size > FAULT_REPORTS && ftruncate(fd, 0) < 0)
		log_warning("old traces of faults cannot be removed: %s, ignoring",
			    strerror(errno));
	return fd;
}

static int start(struct fs *fs)
{
	int r;

	r = enter(fs);
	if (r < 0)
		return say(fs, "cannot get a file tree of its own", NULL, r);
	r = open_store(fs);
	if (r < 0)
		return r;
	fault_catch(open_fault_report(fs));
	r = build(fs);
	if (r < 0)
		return say(fs, fs->store->path, NULL, r);
	r = mount_it(fs);
	if (r)
		return r;
	quarantine_tell(fs);
	r = resume_restore(fs);
	if (r < 0)
		return say(fs, "cannot restore what was open", NULL, r);
	r = watchdog_new(fs, &fs->watchdog);
	return r < 0 ? say(fs, "watchdog", NULL, r) : 0;
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
	watchdog_free(fs->watchdog);
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
	disk_list_free(fs->disks);
	blames_free(fs->blames);
	slate_free(fs->slate);
	fdcache_free(fs->fds);
	broker_client_free(fs->broker);
	catalog_close(fs->catalog);
	datastore_close(fs->store);
	held_free(fs->held);
	for (size_t i = 0; i < PATHS_POLICY_DIRS_MAX; i++)
		free(fs->policy_directories[i]);
	options_done(&fs->options);
}

/* ---- signals ----------------------------------------------------------------------------- */

static void block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGUSR1);
	sigaddset(set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN); /* of the terminal: the holder unmounts */
	signal(SIGIO, SIG_IGN);	 /* somebody opened a file while we held a lease on it */
}

struct signals {
	struct fs *fs;
	pthread_t thread;
	bool started;
	bool alone;	     /* the holder is gone */
	_Atomic bool ending; /* the next signal is ours: go */
};

static void handle_signal(struct signals *s, uint32_t number)
{
	if (s->ending || (number == SIGTERM && !s->alone))
		return; /* SIGTERM to all processes of the mount is for the holder */
	if (number == SIGHUP)
		assign_apply_all(s->fs);
	else
		session_hand_over(s->fs->session);
}

static void holder_is_gone(struct fs *fs)
{
	log_error("weir-holder is gone: %s is served as before, but if this process dies, too, it "
		  "is lost; run `weir upgrade %s' to get a new one",
		  fs->options.mountpoint, fs->options.mountpoint);
	event_emit(fs, "holder-gone", NULL, NULL, "the holder has died; run `weir upgrade'");
}

/* Signals, and the end of the holder, which shows as the end of its socket. */
static void *watch(void *data)
{
	struct signals *s = data;
	sigset_t set;
	struct signalfd_siginfo info;
	struct pollfd p[2] = {{.events = POLLIN}, {.fd = held_control(s->fs->held)}};

	block_signals(&set);
	p[0].fd = signalfd(-1, &set, SFD_CLOEXEC);
	while (!s->ending && p[0].fd >= 0) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		if (p[1].revents & (POLLHUP | POLLERR)) {
			holder_is_gone(s->fs);
			s->alone = true;
			p[1].fd = -1;
		}
		if ((p[0].revents & POLLIN) && read(p[0].fd, &info, sizeof info) == sizeof info)
			handle_signal(s, info.ssi_signo);
	}
	closep(&p[0].fd);
	return NULL;
}

static void signals_start(struct signals *s, struct fs *fs)
{
	s->fs = fs;
	s->started = pthread_create(&s->thread, NULL, watch, s) == 0;
}

/* What it works on goes away next.  Waits for a change of policies that is under way. */
static void signals_end(struct signals *s)
{
	if (!s->started)
		return;
	s->ending = true;
	kill(getpid(), SIGUSR1);
	pthread_join(s->thread, NULL);
}

/* ---- ready ------------------------------------------------------------------------------- */

/* Whoever started us waits for the end of our output. */
static void leave_terminal(const struct fs *fs)
{
	if (fs->options.foreground)
		return;
	log_to_syslog("weir");
	dup2(fs->null_fd, STDIN_FILENO);
	dup2(fs->null_fd, STDOUT_FILENO);
	dup2(fs->null_fd, STDERR_FILENO);
	if (chdir("/") < 0)
		log_warning("cannot leave the directory: %s, ignoring", strerror(errno));
}

static void say_mounted(struct fs *fs)
{
	log_notice("%s is mounted on %s%s", fs->store->path, fs->options.mountpoint,
		   session_abilities(fs->session)->passthrough ? "" : ", without passthrough");
	event_emit(fs, "mounted", NULL, NULL, "the datastore is mounted");
}

static void say_resumed(struct fs *fs)
{
	const struct ledger *l = held_ledger(fs->held);
	char why[128];

	status_of_end(l->last_status, why, sizeof why);
	log_notice("worker %u goes on with %s: the one before %s", l->starts,
		   fs->options.mountpoint, why);
	event_emit(fs, "worker-restarted", NULL, NULL, "the worker before %s; this is start %u",
		   why, l->starts);
}

/* Kernel 6.9 has the notification, 6.12 the repair of what it left undone for requests that were
 * interrupted while they waited to be sent again. */
static void warn_of_kernel(struct fs *fs)
{
	unsigned major_ = 0, minor_ = 0;
	struct utsname u;

	if (!session_abilities(fs->session)->resend) {
		log_warning("this kernel cannot send requests again (it takes Linux 6.9): if the "
			    "worker dies, the mount is lost");
		return;
	}
	if (uname(&u) == 0 && sscanf(u.release, "%u.%u", &major_, &minor_) == 2 &&
	    (major_ < 6 || (major_ == 6 && minor_ < 12)))
		log_warning("Linux %s can send requests again, but 6.12 or newer does it better",
			    u.release);
}

static int ready(struct fs *fs)
{
	int r;

	if (!fs->resumed)
		warn_of_kernel(fs);
	if (fs->resumed)
		say_resumed(fs);
	else
		say_mounted(fs);
	leave_terminal(fs);
	r = held_ready(fs->held, session_abilities(fs->session)->resend ? 0 : -EOPNOTSUPP);
	if (r < 0)
		log_error("the holder does not hear us: %s", strerror(-r));
	return 0;
}

static int serve(struct fs *fs)
{
	struct signals signals = {0};
	int r;

	r = start(fs);
	if (r == UNMOUNTED)
		return 0;
	if (r < 0)
		return r;
	ready(fs);
	signals_start(&signals, fs);
	r = session_run(fs->session);
	if (r == SESSION_HANDED_OVER) {
		log_notice("the next worker takes over %s", fs->options.mountpoint);
		_exit(WIRE_EXIT_HANDED_OVER); /* the slate has all that it needs */
	}
	signals_end(&signals);
	if (r < 0)
		log_error("the session ended: %s", strerror(-r));
	else
		log_notice("%s is unmounted", fs->store->path);
	return r;
}

static int hold(struct fs *fs)
{
	int r = held_new(&fs->held);

	if (r < 0)
		return say(fs, "weir-worker is started by `weir mount'", NULL, r);
	if (held_ledger(fs->held)->device && !fs->options.foreground)
		log_to_syslog("weir"); /* nobody reads our stderr any more */
	return take_slate(fs);
}

int main(int argc, char **argv)
{
	struct fs fs = {.null_fd = -1};
	sigset_t set;
	int r;

	prctl(PR_SET_NAME, "weir-worker"); /* started by descriptor it has another name */
	if (argc == 3 && !strcmp(argv[1], "--takes-slate"))
		return strtoul(argv[2], NULL, 10) == slate_version() ? 0 : 1;
	r = options_parse(argc, argv, &fs.options);
	if (r < 0)
		return 2;
	if (fs.options.debug)
		log_set_level(LOG_LEVEL_DEBUG);
	block_signals(&set);
	r = hold(&fs);
	if (r < 0)
		return r == -EPROTO || r == -EUCLEAN ? WIRE_EXIT_SLATE : WIRE_EXIT_FAILED;
	r = serve(&fs);
	if (r < 0 && held_ledger(fs.held)->device)
		_exit(WIRE_EXIT_FAILED); /* files are open: the slate is the next worker's */
	stop(&fs);
	return r < 0 ? WIRE_EXIT_FAILED : WIRE_EXIT_UNMOUNTED;
}
