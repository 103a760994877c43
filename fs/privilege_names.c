/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/privilege_names.c - see fs/privilege.h: Landlock.
 *
 * Beneath the datastore and the state directory everything but executing and the ioctls of devices,
 * beneath /proc and the policies reading, elsewhere nothing.  That also holds for files opened by
 * handle, and for descriptors opened again through /proc/self/fd.  No TCP; no abstract sockets and
 * no signals to processes that are not confined like this one, where the kernel knows that.
 *
 * Landlock does not cover chmod, chown, utimes and xattrs: for those it counts that there is
 * nothing else in the file tree (fs/privilege_tree.c).
 */
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "fs/options.h"
#include "fs/privilege.h"

/* As the kernel has it by now; Debian 12's headers know the first member only.  A member that an
 * older kernel does not know must be zero, and the size may be larger than it knows then. */
struct ruleset {
	uint64_t files;
	uint64_t network; /* version 4: TCP bind, connect */
	uint64_t scoped;  /* version 6: abstract UNIX sockets, signals */
};

#define RIGHT_IOCTL_DEV (1ull << 15) /* version 5 */
#define READING		(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)

/* The rights to handle, by version; a right's number never changes. */
static uint64_t rights_of(long version)
{
	if (version >= 5)
		return (1ull << 16) - 1;
	if (version >= 3)
		return (1ull << 15) - 1; /* and truncate */
	if (version == 2)
		return (1ull << 14) - 1; /* and refer */
	return (1ull << 13) - 1;
}

static struct ruleset everything(long version)
{
	return (struct ruleset){
		.files = rights_of(version),
		.network = version >= 4 ? 3 : 0,
		.scoped = version >= 6 ? 3 : 0,
	};
}

static int allow(int rules, const char *path, uint64_t rights)
{
	_cleanup_(closep) int fd = open(path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr beneath = {.allowed_access = rights, .parent_fd = fd};

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0)
		return -errno;
	return 0;
}

static int allow_places(int rules, uint64_t files, const struct options *o,
			const char *const *policies)
{
	uint64_t ours = files & ~(LANDLOCK_ACCESS_FS_EXECUTE | RIGHT_IOCTL_DEV);
	int r = allow(rules, o->datastore, ours);

	if (r == 0 && o->state)
		r = allow(rules, o->state, ours);
	if (r == 0)
		r = allow(rules, "/proc", READING);
	for (; r == 0 && *policies; policies++)
		r = allow(rules, *policies, READING);
	return r;
}

/* Version 1 cannot allow renames and links between directories, which clients need. */
static bool is_usable(long version)
{
	if (version >= 2)
		return true;
	log_warning("this kernel has no Landlock (or an old one, or it is switched off): weir's "
		    "worker is confined by its file tree, capabilities and system calls only");
	return false;
}

int privilege_names(const struct options *o, const char *const *policies)
{
	_cleanup_(closep) int rules = -1;
	struct ruleset handled;
	long version;
	int r;

	version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 0 && errno != ENOSYS && errno != EOPNOTSUPP)
		return -errno;
	if (!is_usable(version))
		return 0;
	handled = everything(version);
	rules = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0);
	if (rules < 0)
		return -errno;
	r = allow_places(rules, handled.files, o, policies);
	if (r < 0)
		return r;
	return syscall(SYS_landlock_restrict_self, rules, 0) < 0 ? -errno : 0;
}
