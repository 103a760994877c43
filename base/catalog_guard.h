/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/catalog_guard.h - a page of the catalog that cannot be read is an error, not the end.
 *
 * LMDB reads through a mapping; when the medium fails below it, the load is a SIGBUS.  What reads
 * the mapping runs inside a guard, and the guard turns that signal into -EIO.
 *
 * Threads    each thread has its own guard; the signal comes to the thread that faulted.
 */
#ifndef BASE_CATALOG_GUARD_H
#define BASE_CATALOG_GUARD_H

/* What @run returned, or -EIO.  @run must own nothing that would be lost with its frame: after a
 * fault it does not return. */
int catalog_guard(int (*run)(void *data), void *data);

/* Handle SIGBUS from now on; others, outside of a guard, go to the handler there was before. */
void catalog_guard_install(void);

/* For whoever puts another handler of SIGBUS before ours: call this in it first.  Does not return
 * when the fault was inside a guard. */
void catalog_guard_fault(void);

#endif
