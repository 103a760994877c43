/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policies/policy.h - named, versioned policies, read from YAML files.
 *
 * A policy says which stages a disk's bytes pass and with which settings.  Files are
 * NAME.yaml in a policy directory; the schema of each stage's section is the stage's own
 * (base/stack.h).  docs/policies.md describes the file for people.
 *
 * A loaded policy never changes: a file that changed is loaded as a new object.  Pure: nothing
 * here knows of files under policy, mounts or locks.
 *
 * Threads    any; objects are reference-counted and immutable.
 * Refuses    with -EINVAL and a sentence "FILE:LINE: KEY: what is wrong; what to do".
 */
#ifndef POLICIES_POLICY_H
#define POLICIES_POLICY_H

#include "base/stack.h"

#define POLICY_NAME_MAX 63 /* bytes: letters, digits, "-", "_", "."; not starting with "." or "-" */

struct policy;

bool policy_name_ok(const char *name);

/* Load NAME.yaml from the first of @dirs (ended by NULL) that has it.  *ret_why is malloc'ed, NULL
 * on success and without memory.
 *
 * -ENOENT   no such policy: *ret_why names the directories and the policies there are
 * -EINVAL   a bad name or file: of the first directory that has it, not the next one's good file
 * -ENOMEM, or what open or read returned */
int policy_load(const char *const *dirs, const char *name, struct policy **ret, char **ret_why);
int policy_load_file(const char *path, struct policy **ret, char **ret_why);

struct policy *policy_ref(struct policy *p);
void policy_unref(struct policy *p); /* accepts NULL */
static inline void policy_unrefp(struct policy **p)
{
	policy_unref(*p);
}

const char *policy_name(const struct policy *p);
uint64_t policy_version(const struct policy *p);
const char *policy_description(const struct policy *p);
bool policy_forbids_passthrough(const struct policy *p); /* passthrough: never */
const uint8_t *policy_digest(const struct policy *p);    /* 32 bytes, of the file's text */

/* The chosen stages in rank order; settings live as long as the policy, pools are NULL. */
size_t policy_parts(const struct policy *p, const struct stack_part **ret);

/* The policy's settings as JSON: "expected" of a status.  A new reference.
 * {"name", "version", "description", "passthrough": "allow|never", "stages": {"limit": {...}}} */
json_t *policy_json(const struct policy *p);

/* All names found in @dirs, sorted, each once; ended by NULL, malloc'ed with its strings. */
int policy_list(const char *const *dirs, char ***ret);
void policy_list_free(char **list);

/* The compliance words of DESIGN section 7. */
enum compliance {
	COMPLIANCE_COMPLIANT,
	COMPLIANCE_NON_COMPLIANT,
	COMPLIANCE_OUT_OF_DATE,
	COMPLIANCE_PENDING,
	COMPLIANCE_CONVERTING,
	COMPLIANCE_NOT_APPLICABLE,
	COMPLIANCE_UNKNOWN,
};
const char *compliance_name(enum compliance c);

/* Facts from which compliance is decided. */
struct compliance_facts {
	bool has_policy;        /* attached here or inherited */
	bool policy_readable;   /* its file loads today */
	bool pending;           /* a lease is missing */
	bool covered;           /* the object is of a kind that a policy can cover */
	uint64_t applied_version, file_version;
	bool applied_digest_same;
	bool stack_matches;     /* stages in use are those of the applied policy */
	bool in_use;            /* a stack is built */
};
/* *ret_why is static text. */
enum compliance compliance_decide(const struct compliance_facts *f, const char **ret_why);

#endif
