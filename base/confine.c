/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/confine.c - see base/confine.h.
 *
 * Raw system calls stand where Debian 12's C library has no wrapper (Landlock, capset): a library
 * for each would be more code in the process than the three calls.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/confine.h"

#define NOBODY 65534

static int set_limit(__rlimit_resource_t resource, rlim_t soft, rlim_t hard)
{
	struct rlimit limit = {.rlim_cur = soft, .rlim_max = hard};

	return setrlimit(resource, &limit) < 0 ? -errno : 0;
}

int confine_resources(const struct confine_limits *limits)
{
	int r;

	r = set_limit(RLIMIT_CPU, limits->cpu_seconds, limits->cpu_seconds + 1);
	if (r < 0)
		return r;
	r = set_limit(RLIMIT_AS, limits->address_space, limits->address_space);
	if (r < 0)
		return r;
	r = set_limit(RLIMIT_NOFILE, 0, 0);
	if (r < 0)
		return r;
	r = set_limit(RLIMIT_NPROC, 0, 0);
	if (r < 0)
		return r;
	return set_limit(RLIMIT_CORE, 0, 0);
}

/* The bounding set can be emptied only while CAP_SETPCAP is there; without it the other sets
 * are emptied all the same, and no_new_privs keeps the bounding set from mattering. */
static void empty_bounding_set(void)
{
	int cap;

	for (cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return;
}

/* A daemon that gave up CAP_SETUID and CAP_SETGID leaves its helper uid 0 without a way out of
 * it: then the empty capability sets, Landlock and the filter have to do. */
static int become_nobody(void)
{
	if (geteuid() != 0 && getuid() != 0)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return errno == EPERM ? 0 : -errno;
	return 0;
}

static int empty_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -errno;
	return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

int confine_privileges(void)
{
	int r;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	empty_bounding_set();
	r = become_nobody();
	if (r < 0)
		return r;
	r = empty_capabilities();
	if (r < 0)
		return r;
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

/* The rights to handle, by version of the interface; later versions know more than Debian 12's
 * headers have names for, but a right's number never changes. */
static uint64_t landlock_rights(long version)
{
	if (version >= 5)
		return (1ull << 16) - 1; /* and device ioctl */
	if (version >= 3)
		return (1ull << 15) - 1; /* and truncate */
	if (version == 2)
		return (1ull << 14) - 1; /* and refer */
	return (1ull << 13) - 1;
}

int confine_names(void)
{
	struct landlock_ruleset_attr rules = {0};
	_cleanup_(closep) int fd = -1;
	long version;

	version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	/* Not built in, switched off, or hidden by the filter of a container. */
	if (version < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM ? 0 : -errno;

	rules.handled_access_fs = landlock_rights(version);
	fd = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0);
	if (fd < 0)
		return -errno;
	return syscall(SYS_landlock_restrict_self, fd, 0) < 0 ? -errno : 0;
}

struct allowed_call {
	int number;
	unsigned n; /* of conditions; all must hold */
	struct scmp_arg_cmp arg[2];
};

static int allow(scmp_filter_ctx filter)
{
	static const int free_calls[] = {
		SCMP_SYS(brk),	     SCMP_SYS(munmap),	     SCMP_SYS(mremap),	   SCMP_SYS(futex),
		SCMP_SYS(getrandom), SCMP_SYS(rt_sigreturn), SCMP_SYS(exit_group), SCMP_SYS(exit),
	};
	const struct allowed_call calls[] = {
		{SCMP_SYS(pread64), 1, {SCMP_A0_32(SCMP_CMP_EQ, 0)}},
		{SCMP_SYS(write), 1, {SCMP_A0_32(SCMP_CMP_EQ, 1)}},
		{SCMP_SYS(write), 1, {SCMP_A0_32(SCMP_CMP_EQ, 2)}},
		{SCMP_SYS(mmap),
		 2,
		 {SCMP_A2_32(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
		  SCMP_A3_32(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS)}},
		{SCMP_SYS(mprotect), 1, {SCMP_A2_32(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)}},
		{SCMP_SYS(madvise), 1, {SCMP_A2_32(SCMP_CMP_EQ, MADV_DONTNEED)}},
	};
	size_t i;
	int r;

	for (i = 0; i < ARRAY_SIZE(free_calls); i++) {
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, free_calls[i], 0);
		if (r < 0)
			return r;
	}
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, calls[i].number, calls[i].n,
					   calls[i].arg);
		if (r < 0)
			return r;
	}
	return 0;
}

int confine_calls_of_reader(void)
{
	scmp_filter_ctx filter;
	int r;

	filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!filter)
		return -ENOMEM;

	r = allow(filter);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}

int confine_reader(const struct confine_limits *limits)
{
	int r;

	if (close_range(3, ~0u, 0) < 0)
		return -errno;
	r = confine_privileges();
	if (r < 0)
		return r;
	r = confine_names(); /* opens one descriptor for a moment: before the limits */
	if (r < 0)
		return r;
	r = confine_resources(limits);
	if (r < 0)
		return r;
	return confine_calls_of_reader();
}
