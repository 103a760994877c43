/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/privilege.c - see fs/privilege.h: capabilities, securebits and the order of steps. */
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "fs/privilege.h"

/* What for: */
const int privilege_capabilities[] = {
	CAP_CHOWN,	     /* chown through the mount */
	CAP_DAC_OVERRIDE,    /* files of all users; the kernel has checked the caller */
	CAP_DAC_READ_SEARCH, /* open_by_handle_at; linkat of a descriptor */
	CAP_FOWNER,	     /* chmod, utimes, ACLs and user xattrs of other people's files */
	CAP_FSETID,	     /* chmod keeps a set-gid bit of a foreign group */
	CAP_SETGID,	     /* new files belong to the caller: setfsgid */
	CAP_SETUID,	     /* setfsuid */
	CAP_IPC_LOCK,	     /* request buffers stay in memory (fs/session.c) */
	CAP_MKNOD,	     /* mknod through the mount */
	CAP_LEASE,	     /* a lease on another user's disk tells whether it is open */
};
const size_t privilege_capability_count = ARRAY_SIZE(privilege_capabilities);

static bool is_kept(int cap)
{
	for (size_t i = 0; i < privilege_capability_count; i++)
		if (privilege_capabilities[i] == cap)
			return true;
	return false;
}

static int drop_bounding_set(void)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (!is_kept(cap) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -errno;
	return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ? -errno : 0;
}

/* Threads take them over: setfsuid then leaves the capabilities alone (fs/caller.h).  That uid 0
 * means nothing to execve is for the day when somebody finds a way to one. */
static int set_securebits(void)
{
	unsigned long bits = SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED |
			     SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
			     SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

	return prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0 ? -errno : 0;
}

static int set_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {0};

	for (size_t i = 0; i < privilege_capability_count; i++) {
		int cap = privilege_capabilities[i];

		sets[CAP_TO_INDEX(cap)].effective |= CAP_TO_MASK(cap);
		sets[CAP_TO_INDEX(cap)].permitted |= CAP_TO_MASK(cap);
	}
	return syscall(SYS_capset, &header, sets) < 0 ? -errno : 0;
}

/* CAP_SETPCAP goes last, with all others. */
static int drop_capabilities(void)
{
	int r = drop_bounding_set();

	if (r == 0)
		r = set_securebits();
	return r < 0 ? r : set_capabilities();
}

static int seal(void)
{
	if (setrlimit(RLIMIT_CORE, &(struct rlimit){0}) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

int privilege_drop(const struct options *o, const char *const *policies)
{
	int r = 0;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (!PRIVILEGE_SANITIZED)
		r = privilege_names(o, policies);
	if (r == 0)
		r = drop_capabilities();
	if (r < 0 || PRIVILEGE_SANITIZED)
		return r;
	r = seal();
	return r < 0 ? r : privilege_calls();
}
