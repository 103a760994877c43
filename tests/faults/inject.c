/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/faults/inject.c - make a system call or an allocation of weir-worker fail on demand.
 *
 * Preloaded (LD_PRELOAD) into everything a test starts; does nothing except in a process named
 * weir-worker.  $WEIR_INJECT names a file of one struct control, which the test maps as well
 * (tests/faults/inject.py): it arms a fault while the worker runs, and reads what became of it.
 *
 * A fault is armed for calls of some classes, on one filesystem or on any; the @countdown-th such
 * call fails with @error, or with @every all from that one on.  Only calls on regular files,
 * directories and links count: the FUSE device, pipes and sockets are left alone.
 *
 * Invariant  a call that fails has not been made: nothing has happened below.
 * Threads    any; one atomic counter decides.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	READS = 1,   /* attributes and bytes */
	CHANGES = 2, /* what ENOSPC, EDQUOT and EROFS may answer */
	OPENS = 4,   /* what needs a descriptor */
	MEMORY = 8,  /* malloc and its like */
	STARTS = 16, /* threads and processes */
	SYNCS = 32,
};

/* As tests/faults/inject.py has it. */
struct control {
	_Atomic int64_t countdown; /* calls until the fault; 0, and not every: disarmed */
	uint64_t device;	   /* st_dev of the filesystem; 0: any */
	uint32_t classes;
	int32_t error;
	uint32_t every;
	_Atomic uint32_t fired; /* how many calls were failed */
	_Atomic uint64_t calls; /* that counted */
	uint64_t caller;	/* of the first: offset in its file, for addr2line */
	char name[32];		/* of the first */
	char file[216];		/* the program or library that called */
};

static struct control *control;
static _Thread_local bool inside; /* dlsym allocates */

static void *real(const char *name)
{
	void *p;

	inside = true;
	p = dlsym(RTLD_NEXT, name);
	inside = false;
	return p;
}

/* Found once; a race finds the same. */
#define REAL(name) \
	static __typeof__(&name) found; \
	if (!found) \
		found = (__typeof__(&name))real(#name)

__attribute__((constructor)) static void attach(void)
{
	const char *path = getenv("WEIR_INJECT");
	void *p;
	int fd;

	if (!path || strcmp(program_invocation_short_name, "weir-worker"))
		return;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	p = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p != MAP_FAILED)
		control = p;
}

static void note(const char *name, void *caller)
{
	Dl_info info;

	snprintf(control->name, sizeof control->name, "%s", name);
	if (!dladdr(caller, &info))
		return;
	control->caller = (uint64_t)caller - (uint64_t)info.dli_fbase;
	snprintf(control->file, sizeof control->file, "%s", info.dli_fname);
}

static bool counts_down(const char *name, void *caller)
{
	int64_t left;

	atomic_fetch_add(&control->calls, 1);
	left = atomic_fetch_sub(&control->countdown, 1);
	if (left > 1 || (left < 1 && !control->every))
		return false;
	if (atomic_fetch_add(&control->fired, 1) == 0) {
		inside = true;
		note(name, caller);
		inside = false;
	}
	errno = control->error;
	return true;
}

static bool armed(unsigned class)
{
	return control && !inside && (atomic_load(&control->countdown) || control->every) &&
	       (control->classes & class);
}

static bool on_our_files(int fd)
{
	struct stat st;

	if (fd == AT_FDCWD)
		return control->device == 0;
	if (syscall(SYS_fstat, fd, &st) < 0)
		return false;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode))
		return false;
	return control->device == 0 || st.st_dev == control->device;
}

/* "/proc/self/fd/N" stands for the file behind it. */
static int fd_of_path(const char *path)
{
	static const char own[] = "/proc/self/fd/";

	return strncmp(path, own, sizeof own - 1) ? AT_FDCWD : atoi(path + sizeof own - 1);
}

static bool fails(unsigned class, const char *name, int fd, void *caller)
{
	int saved = errno;

	if (!armed(class))
		return false;
	if (on_our_files(fd) && counts_down(name, caller))
		return true;
	errno = saved;
	return false;
}

static bool fails_anywhere(unsigned class, const char *name, void *caller)
{
	return armed(class) && counts_down(name, caller);
}

#define CALLER __builtin_return_address(0)

/* One line a call: its class, the descriptor that says where it works, and the call itself. */
#define WRAP(class, type, name, fd, parameters, arguments) \
	type name parameters \
	{ \
		REAL(name); \
		if (fails(class, #name, fd, CALLER)) \
			return (type)-1; \
		return found arguments; \
	}

WRAP(READS, ssize_t, pread64, fd, (int fd, void *p, size_t n, off_t at), (fd, p, n, at))
WRAP(READS, ssize_t, pread, fd, (int fd, void *p, size_t n, off_t at), (fd, p, n, at))
WRAP(READS, off_t, lseek64, fd, (int fd, off_t at, int whence), (fd, at, whence))
WRAP(READS, int, fstat64, fd, (int fd, struct stat64 *st), (fd, st))
WRAP(READS, int, fstatat64, fd, (int fd, const char *name, struct stat64 *st, int flags),
     (fd, name, st, flags))
WRAP(READS, int, fstatvfs64, fd, (int fd, struct statvfs64 *st), (fd, st))
WRAP(READS, ssize_t, readlinkat, fd, (int fd, const char *name, char *p, size_t n),
     (fd, name, p, n))
WRAP(READS, int, name_to_handle_at, fd,
     (int fd, const char *name, struct file_handle *h, int *mount, int flags),
     (fd, name, h, mount, flags))
WRAP(READS, ssize_t, fgetxattr, fd, (int fd, const char *name, void *p, size_t n),
     (fd, name, p, n))
WRAP(READS, ssize_t, getxattr, fd_of_path(path),
     (const char *path, const char *name, void *p, size_t n), (path, name, p, n))
WRAP(READS, ssize_t, listxattr, fd_of_path(path), (const char *path, char *p, size_t n),
     (path, p, n))

WRAP(CHANGES, ssize_t, pwrite64, fd, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
WRAP(CHANGES, ssize_t, pwrite, fd, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
WRAP(CHANGES, ssize_t, pwritev64v2, fd,
     (int fd, const struct iovec *v, int n, off_t at, int flags), (fd, v, n, at, flags))
WRAP(CHANGES, ssize_t, writev, fd, (int fd, const struct iovec *v, int n), (fd, v, n))
WRAP(CHANGES, int, ftruncate64, fd, (int fd, off_t size), (fd, size))
WRAP(CHANGES, int, fallocate64, fd, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n))
WRAP(CHANGES, int, renameat, dir2, (int dir, const char *from, int dir2, const char *to),
     (dir, from, dir2, to))
WRAP(CHANGES, int, renameat2, dir2,
     (int dir, const char *from, int dir2, const char *to, unsigned flags),
     (dir, from, dir2, to, flags))
WRAP(CHANGES, int, linkat, dir2,
     (int dir, const char *from, int dir2, const char *to, int flags),
     (dir, from, dir2, to, flags))
WRAP(CHANGES, int, unlinkat, fd, (int fd, const char *name, int flags), (fd, name, flags))
WRAP(CHANGES, int, mkdirat, fd, (int fd, const char *name, mode_t mode), (fd, name, mode))
WRAP(CHANGES, int, mknodat, fd, (int fd, const char *name, mode_t mode, dev_t dev),
     (fd, name, mode, dev))
WRAP(CHANGES, int, symlinkat, fd, (const char *to, int fd, const char *name), (to, fd, name))
WRAP(CHANGES, int, utimensat, fd,
     (int fd, const char *name, const struct timespec times[2], int flags),
     (fd, name, times, flags))
WRAP(CHANGES, int, fchownat, fd, (int fd, const char *name, uid_t uid, gid_t gid, int flags),
     (fd, name, uid, gid, flags))
WRAP(CHANGES, int, chmod, fd_of_path(path), (const char *path, mode_t mode), (path, mode))
WRAP(CHANGES, int, fsetxattr, fd,
     (int fd, const char *name, const void *p, size_t n, int flags), (fd, name, p, n, flags))
WRAP(CHANGES, int, setxattr, fd_of_path(path),
     (const char *path, const char *name, const void *p, size_t n, int flags),
     (path, name, p, n, flags))
WRAP(CHANGES, int, fremovexattr, fd, (int fd, const char *name), (fd, name))
WRAP(CHANGES, int, removexattr, fd_of_path(path), (const char *path, const char *name),
     (path, name))
WRAP(CHANGES, ssize_t, copy_file_range, to,
     (int from, off64_t *a, int to, off64_t *b, size_t n, unsigned flags),
     (from, a, to, b, n, flags))

WRAP(SYNCS, int, fsync, fd, (int fd), (fd))
WRAP(SYNCS, int, fdatasync, fd, (int fd), (fd))

WRAP(OPENS, int, open_by_handle_at, fd, (int fd, struct file_handle *h, int flags),
     (fd, h, flags))

static mode_t mode_of(int flags, va_list ap)
{
	return flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;
}

/* One that makes a file also counts among the changes. */
static unsigned class_of_open(int flags)
{
	return flags & (O_CREAT | __O_TMPFILE) ? OPENS | CHANGES : OPENS;
}

#define WRAP_OPENAT(name) \
	int name(int fd, const char *path, int flags, ...) \
	{ \
		va_list ap; \
		mode_t mode; \
		REAL(name); \
		va_start(ap, flags); \
		mode = mode_of(flags, ap); \
		va_end(ap); \
		if (fails(class_of_open(flags), #name, *path == '/' ? AT_FDCWD : fd, CALLER)) \
			return -1; \
		return found(fd, path, flags, mode); \
	}

WRAP_OPENAT(openat64)
WRAP_OPENAT(openat)

/* openat2 and getdents64, which libc has no names for. */
long syscall(long number, ...)
{
	static long (*found)(long, ...);
	long a[6];
	va_list ap;

	if (!found)
		found = real("syscall");
	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_openat2 && fails(OPENS, "openat2", (int)a[0], CALLER))
		return -1;
	if (number == SYS_getdents64 && fails(READS, "getdents64", (int)a[0], CALLER))
		return -1;
	return found(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int pipe2(int fds[2], int flags)
{
	REAL(pipe2);
	return fails_anywhere(OPENS, "pipe2", CALLER) ? -1 : found(fds, flags);
}

int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		const posix_spawnattr_t *attributes, char *const argv[], char *const environment[])
{
	REAL(posix_spawn);
	if (fails_anywhere(STARTS, "posix_spawn", CALLER))
		return errno;
	return found(pid, path, actions, attributes, argv, environment);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
		   void *data)
{
	REAL(pthread_create);
	if (fails_anywhere(STARTS, "pthread_create", CALLER))
		return errno;
	return found(thread, attributes, run, data);
}

/* ---- memory: libc's own names, because dlsym allocates ------------------------------------ */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
	return fails_anywhere(MEMORY, "malloc", CALLER) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return fails_anywhere(MEMORY, "calloc", CALLER) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	return fails_anywhere(MEMORY, "realloc", CALLER) ? NULL : __libc_realloc(p, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return fails_anywhere(MEMORY, "aligned_alloc", CALLER) ? NULL
							       : __libc_memalign(alignment, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
	if (fails_anywhere(MEMORY, "posix_memalign", CALLER))
		return ENOMEM;
	*ret = __libc_memalign(alignment, size);
	return *ret ? 0 : ENOMEM;
}
