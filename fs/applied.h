/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/applied.h - policies in use: the text as it was attached, its stages, and what disks share.
 *
 * A policy file may change or vanish at any time; what a disk runs is the copy that was taken
 * when the policy was attached: DATASTORE/.weir/policies/DIGEST/NAME.yaml, never changed.  All
 * disks under one policy name share that name's pools (a pool of IOPS, say), also while some of
 * them are at an older version; the pools follow the version that was loaded last.
 *
 * Invariant  an applied policy and its parts live as long as somebody holds a reference; every
 *            stack that was built from the parts does.
 * Threads    any; one lock inside, not held over system calls.
 */
#ifndef FS_APPLIED_H
#define FS_APPLIED_H

#include "base/stack.h"
#include "policies/policy.h"

struct applied { /* read only */
	struct policy *policy;
	struct stack_part *parts; /* with pools */
	size_t n_parts;
	/* applied.c's own */
	_Atomic unsigned references;
	struct applied_set *set;
	struct pools *pools;
};

struct applied_set;

/* @weir_fd is .weir (borrowed); makes its directory "policies". */
int applied_set_new(int weir_fd, struct applied_set **ret);
void applied_set_free(struct applied_set *s); /* all references must be gone */

/* Read NAME.yaml in the first of @dirs that has it, keep a copy durably, and return it loaded. */
int applied_take(struct applied_set *s, const char *const *dirs, const char *name,
		 struct applied **ret, char **ret_why);

/* The copy with @digest, as a disk header names it.  -ENOENT: the copy is lost. */
int applied_load(struct applied_set *s, const char *name, const uint8_t digest[32],
		 struct applied **ret, char **ret_why);

struct applied *applied_ref(struct applied *a);
void applied_unref(struct applied *a); /* accepts NULL */

static inline void applied_unrefp(struct applied **a)
{
	applied_unref(*a);
}

#endif
