/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/privilege/confined.c - confine this process as weir-worker does, then try everything.
 *
 *     confined DATASTORE STATE POLICIES OUTSIDE
 *
 * OUTSIDE is a file on the datastore's filesystem but not beneath it.  One line for each attempt:
 * its name, and "done" or the name of the errno.  What each should say is in test_confinement.py.
 */
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <time.h>

#include "base/handle.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "fs/options.h"
#include "fs/privilege.h"

static const char *datastore, *state, *policies;
static char outside[4096];
static struct handle outside_handle, inside_handle;
static int store_fd, listening;

static void tell(const char *name, long r)
{
	printf("%s %s\n", name, r >= 0 ? "done" : strerrorname_np(errno));
	fflush(stdout);
	if (r > 2)
		close((int)r);
}

static void try_open(const char *name, const char *path, int flags)
{
	tell(name, open(path, flags | O_CLOEXEC));
}

static void try_in_store(const char *name, const char *path, int flags)
{
	tell(name, openat(store_fd, path, flags | O_CLOEXEC, 0600));
}

static long by_handle(int mount_fd, const struct handle *h, int flags)
{
	int fd = handle_open(mount_fd, h, flags | O_CLOEXEC);

	errno = fd < 0 ? -fd : 0;
	return fd < 0 ? -1 : fd;
}

/* ---- names and descriptors ---------------------------------------------------------------- */

static void names(void)
{
	char path[8192];

	try_open("open /etc/shadow", "/etc/shadow", O_RDONLY);
	try_open("open outside", outside, O_RDONLY);
	try_in_store("symlink to /etc/shadow", "link-shadow", O_RDONLY);
	try_in_store("symlink to outside", "link-outside", O_RDONLY);
	try_in_store("../outside", "../outside", O_RDONLY);
	try_in_store("../../../../etc/shadow", "../../../../../../etc/shadow", O_RDONLY);
	tell("chmod /etc/shadow", chmod("/etc/shadow", 0644));
	tell("chown /etc/passwd", chown("/etc/passwd", 1, 1));
	tell("truncate outside", truncate(outside, 0));
	tell("rename out", renameat(store_fd, "file", store_fd, "../stolen"));
	tell("link in", linkat(store_fd, "../outside", store_fd, "stolen", 0));
	tell("make beside", openat(store_fd, "../new", O_CREAT | O_WRONLY, 0600));
	snprintf(path, sizeof path, "%s/gold.yaml", policies);
	try_open("read a policy", path, O_RDONLY);
	try_open("write a policy", path, O_WRONLY);
	tell("chmod a policy", chmod(path, 0666));
	snprintf(path, sizeof path, "%s/new", state);
	try_open("write in the state directory", path, O_CREAT | O_WRONLY);
	try_in_store("write in the datastore", "new", O_CREAT | O_WRONLY);
	tell("rename across directories", renameat(store_fd, "new", store_fd, "d/new"));
}

static void handles(int policy_fd, int state_fd)
{
	char link[32];
	int fd;

	tell("inside by handle", by_handle(store_fd, &inside_handle, O_RDWR));
	tell("outside by handle", by_handle(store_fd, &outside_handle, O_RDONLY));
	tell("outside by handle, state's mount", by_handle(state_fd, &outside_handle, O_RDONLY));
	tell("outside by handle, policies' mount", by_handle(policy_fd, &outside_handle, O_RDONLY));
	fd = handle_open(store_fd, &outside_handle, O_PATH | O_CLOEXEC);
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	try_open("outside by O_PATH and /proc", link, O_RDONLY);
	tell("chmod outside by O_PATH and /proc", chmod(link, 0640));
	close(fd);
}

static void devices(void)
{
	try_in_store("block device in the datastore", "block", O_RDONLY);
	try_in_store("character device in the datastore", "null", O_RDONLY);
	tell("make a device", mknodat(store_fd, "block2", S_IFBLK | 0600, makedev(254, 0)));
	try_in_store("device just made", "block2", O_RDWR);
	try_open("/dev/mem", "/dev/mem", O_RDONLY);
}

static void proc(void)
{
	char path[64];

	try_open("/proc/1/mem", "/proc/1/mem", O_RDONLY);
	try_open("/proc/1/environ", "/proc/1/environ", O_RDONLY);
	try_open("/proc/1/status", "/proc/1/status", O_RDONLY);
	try_open("/proc/1/root/etc/shadow", "/proc/1/root/etc/shadow", O_RDONLY);
	try_open("/proc/kcore", "/proc/kcore", O_RDONLY);
	try_open("/proc/sys", "/proc/sys/kernel/core_pattern", O_WRONLY);
	try_open("/proc/sysrq-trigger", "/proc/sysrq-trigger", O_WRONLY);
	snprintf(path, sizeof path, "/proc/%d/mem", getppid());
	try_open("parent's memory", path, O_RDWR);
}

/* ---- system calls ------------------------------------------------------------------------- */

static void processes(void)
{
	char name[] = "true", *argv[] = {name, NULL}, *env[] = {NULL};
	struct rlimit limit = {1, 1};

	tell("execve", execve("/proc/self/exe", argv, env));
	tell("execveat", syscall(SYS_execveat, store_fd, "program", argv, env, 0));
	tell("ptrace", ptrace(PTRACE_ATTACH, getppid(), 0, 0));
	tell("kill parent", kill(getppid(), SIGUSR1));
	tell("prlimit parent", prlimit(getppid(), RLIMIT_NOFILE, &limit, NULL));
	tell("process_vm_readv", syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
	tell("pidfd_open", syscall(SYS_pidfd_open, getppid(), 0));
	tell("setns", setns(listening, 0));
	tell("unshare user", unshare(CLONE_NEWUSER));
	tell("unshare mount", unshare(CLONE_NEWNS));
	tell("unshare fs", unshare(CLONE_FS));
	tell("clone user", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
	tell("clone3", syscall(SYS_clone3, NULL, 0));
	tell("setuid", setuid(1));
	tell("capset", syscall(SYS_capset, NULL, NULL));
	tell("dumpable", prctl(PR_SET_DUMPABLE, 1));
	tell("securebits", prctl(PR_SET_SECUREBITS, 0));
	tell("executable memory", (long)mmap(NULL, 4096, PROT_READ | PROT_EXEC,
					     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void kernel(void)
{
	tell("mount", mount("none", "/", "tmpfs", 0, NULL));
	tell("umount", umount2("/proc", MNT_DETACH));
	tell("fsopen", fsopen("tmpfs", 0));
	tell("open_tree", open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE));
	tell("chroot", chroot("/"));
	tell("pivot_root", syscall(SYS_pivot_root, ".", "."));
	tell("bpf", syscall(SYS_bpf, 0, NULL, 0));
	tell("keyctl", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0));
	tell("kexec", syscall(SYS_kexec_load, 0, 0, NULL, 0));
	tell("module", syscall(SYS_init_module, NULL, 0, ""));
	tell("io_uring", syscall(SYS_io_uring_setup, 1, NULL));
	tell("userfaultfd", syscall(SYS_userfaultfd, 0));
	tell("perf", syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0));
	tell("reboot", syscall(SYS_reboot, 0, 0, 0, 0));
	tell("seccomp", syscall(SYS_seccomp, 0, 0, NULL));
	tell("swapon", syscall(SYS_swapon, "/x", 0));
	tell("sethostname", sethostname("x", 1));
	tell("clock_settime", clock_settime(CLOCK_REALTIME, &(struct timespec){0}));
}

static void sockets(void)
{
	struct sockaddr_un there = {.sun_family = AF_UNIX, .sun_path = "/run/weir-no"};

	tell("socket inet", socket(AF_INET, SOCK_STREAM, 0));
	tell("socket unix", socket(AF_UNIX, SOCK_STREAM, 0));
	tell("socket netlink", socket(AF_NETLINK, SOCK_RAW, 0));
	tell("connect", connect(listening, (void *)&there, sizeof there));
}

static void xattrs(void)
{
	int fd = openat(store_fd, "file", O_RDONLY | O_CLOEXEC);

	tell("set user xattr", fsetxattr(fd, "user.a", "x", 1, 0));
	tell("set trusted xattr", fsetxattr(fd, "trusted.a", "x", 1, 0));
	tell("set file capabilities", fsetxattr(fd, "security.capability", "\1\0\0\2\1\0\0\0\0\0\0\0"
						"\0\0\0\0\0\0\0\0", 20, 0));
	tell("set security xattr", fsetxattr(fd, "security.a", "x", 1, 0));
	close(fd);
}

/* What a worker needs all day. */
static void needs(void)
{
	int fd;

	setfsgid(65534);
	setfsuid(65534);
	fd = openat(store_fd, "as-nobody", O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	tell("create as somebody", fd < 0 ? -1 : 0);
	tell("capabilities stay", by_handle(store_fd, &inside_handle, O_RDWR));
	setfsuid(0);
	setfsgid(0);
	tell("chown", fchown(fd, 7, 7));
	tell("chmod", fchmod(fd, 02755));
	tell("lease", fcntl(fd, F_SETLEASE, F_WRLCK));
	tell("mlock", mlock((void *)((uintptr_t)&datastore & ~4095ul), 4096));
	tell("fallocate", fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 4096));
	close(fd);
}

static void forget_names(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	sync();
	if (fd < 0 || write(fd, "3", 1) != 1)
		fprintf(stderr, "cannot drop caches\n");
	close(fd);
}

int main(int argc, char **argv)
{
	char *directories[] = {strdup(argv[3]), NULL};
	struct options o = {.datastore = strdup(argv[1]), .state = strdup(argv[2]),
			    .mountpoint = strdup("/nowhere")};
	char path[4200];
	int mount_id, r;

	if (argc != 5)
		return 2;
	snprintf(outside, sizeof outside, "%s", argv[4]);
	snprintf(path, sizeof path, "%s/file", argv[1]);
	if (handle_get(AT_FDCWD, outside, &outside_handle, &mount_id) < 0 ||
	    handle_get(AT_FDCWD, path, &inside_handle, &mount_id) < 0)
		return 3;
	listening = socket(AF_UNIX, SOCK_STREAM, 0);
	forget_names();
	log_connect("weir-test");
	r = privilege_enter(&o, directories);
	if (r < 0) {
		fprintf(stderr, "enter: %s\n", strerror(-r));
		return 1;
	}
	datastore = o.datastore;
	state = o.state;
	policies = directories[0];
	store_fd = open(datastore, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = privilege_drop(&o, (const char *const *)directories);
	if (r < 0) {
		fprintf(stderr, "drop: %s\n", strerror(-r));
		return 1;
	}
	handles(open(policies, O_RDONLY | O_CLOEXEC), open(state, O_RDONLY | O_CLOEXEC));
	names();
	devices();
	proc();
	needs();
	xattrs();
	sockets();
	kernel();
	processes();
	return 0;
}
