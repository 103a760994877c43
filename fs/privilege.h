/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/privilege.h - what the worker gives up before it serves (docs/threat-model.md).
 *
 * Two steps, each once, in a process with one thread:
 *     privilege_enter   before anything is opened: a file tree of its own, in which there are only
 *                       the datastore, the state directory, the policies (read-only) and /proc;
 *                       no device can be opened in it and nothing executed
 *     privilege_drop    when the datastore is open, before anything of it is looked at and before
 *                       there are threads: Landlock, capabilities, securebits, no_new_privs, not
 *                       dumpable, no core, and a filter of system calls
 *
 * Invariant  after both, nothing outside those places can be opened, by name, by symlink or by
 *            handle; nothing can be executed; no socket or namespace can be made; the
 *            capability sets and the bounding set hold the ten of privilege_capabilities and
 *            no other.
 *            No step can be undone.
 * Refuses    to go on half confined: a step that the kernel has and denies is an error.  What
 *            the kernel lacks (Landlock) is said in the log.
 * Sanitizers A build with AddressSanitizer or ThreadSanitizer gives up capabilities only: their
 *            runtimes map shadow memory, trace their own process and read its program file.
 */
#ifndef FS_PRIVILEGE_H
#define FS_PRIVILEGE_H

#include <stddef.h>

struct options;

/* What is left in all sets. */
extern const int privilege_capabilities[];
extern const size_t privilege_capability_count;

/* @policies: directories, malloc'ed, ended by NULL; a missing one stays so for this process. Paths
 * in @o and @policies are absolute; some may be replaced (fs/privilege_tree.c).  The log must have
 * its connection (log_connect). */
int privilege_enter(struct options *o, char **policies);
int privilege_drop(const struct options *o, const char *const *policies);

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PRIVILEGE_SANITIZED 1
#else
#define PRIVILEGE_SANITIZED 0
#endif

/* The steps of privilege_drop that have files of their own. */
int privilege_names(const struct options *o, const char *const *policies); /* Landlock */
int privilege_calls(void);						   /* seccomp */

#endif
