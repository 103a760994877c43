/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/options.h - what `-o` says.  docs: weir(1). */
#ifndef FS_OPTIONS_H
#define FS_OPTIONS_H

#include <stdbool.h>
#include <sys/types.h>

struct options { /* strings are malloc'ed */
	bool foreground;
	bool debug;
	bool resolved;	     /* -r: both paths are absolute, and are not looked at */
	bool no_passthrough; /* passthrough=off */
	bool no_cache;	     /* cache=none: the daemon's way without the page cache */
	bool no_resume;	     /* resume=off: a worker that dies takes the mount along */
	bool no_acl;	     /* acl=off: ACLs are neither shown nor obeyed */
	bool trusted_xattr;  /* policy-xattr=trusted */
	bool have_group;
	gid_t policy_group;
	unsigned revalidate; /* seconds for which the kernel trusts names and attributes */
	unsigned threads;
	unsigned disk_threads; /* in service per disk */
	unsigned watchdog; /* seconds after which a request is reported; 0: never */
	unsigned long mount_flags; /* MS_RDONLY, MS_NOSUID, ... */
	char *state;	     /* NULL: in the datastore */
	char *policies;	     /* NULL: the usual directories */
	char *datastore, *mountpoint;
	char *list;	     /* the words behind -o, as they were; NULL: none */
};

/* Parse `[-r] [-f] [-d] [-o OPTIONS] DATASTORE MOUNTPOINT`, of the holder and of the worker, which
 * gets -r from the holder: it must not touch the mount point, where nobody answers while it starts.
 * -EINVAL: said on stderr what is wrong. */
int options_parse(int argc, char **argv, struct options *ret);
void options_done(struct options *o);

#endif
