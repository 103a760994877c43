/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policies/compliance.c - the one word that says whether an object is what its policy wants.
 *
 * A table from the worst news to the best: the first row whose facts hold gives the word.
 * COMPLIANCE_CONVERTING waits for a stage that converts.
 */
#include "base/cleanup.h"
#include "policies/policy.h"

enum fact {
	COVERED = 1,	/* of a kind that takes a policy */
	ASSIGNED = 2,	/* has one */
	READABLE = 4,	/* and its file can be read */
	PENDING = 8,	/* not in force yet */
	MATCHES = 16,	/* the stages in use, if any, are those of the policy */
	UP_TO_DATE = 32 /* the file is as it was when it was applied */
};

struct rule {
	unsigned mask, facts; /* holds when (facts of the object & mask) == facts */
	enum compliance word;
	const char *why;
};

static const struct rule rules[] = {
	{COVERED, 0, COMPLIANCE_NOT_APPLICABLE, "an object of this kind takes no policy"},
	{ASSIGNED, 0, COMPLIANCE_NOT_APPLICABLE,
	 "no policy is attached here or to a directory above"},
	{MATCHES, 0, COMPLIANCE_NON_COMPLIANT,
	 "the stages in use are not those of the policy; see the events"},
	{READABLE, 0, COMPLIANCE_UNKNOWN,
	 "the policy's file is missing or wrong; see weir policy check"},
	{PENDING, PENDING, COMPLIANCE_PENDING,
	 "attached, but the file is open past weir; close it, and the policy comes into force"},
	{UP_TO_DATE, 0, COMPLIANCE_OUT_OF_DATE,
	 "the policy's file has changed; weir policy apply brings this up to it"},
	{0, 0, COMPLIANCE_COMPLIANT, "the policy is in force as its file says"},
};

static unsigned facts_of(const struct compliance_facts *f)
{
	bool same = f->applied_version == f->file_version && f->applied_digest_same;
	/* While a policy is pending, another stack or none is what one expects to see. */
	bool matches = !f->in_use || f->stack_matches || f->pending;

	return (f->covered ? COVERED : 0) | (f->has_policy ? ASSIGNED : 0) |
	       (f->policy_readable ? READABLE : 0) | (f->pending ? PENDING : 0) |
	       (matches ? MATCHES : 0) | (same ? UP_TO_DATE : 0);
}

enum compliance compliance_decide(const struct compliance_facts *f, const char **ret_why)
{
	unsigned facts = facts_of(f);
	const struct rule *rule = rules;

	while ((facts & rule->mask) != rule->facts)
		rule++; /* the last one always holds */

	*ret_why = rule->why;
	return rule->word;
}

const char *compliance_name(enum compliance c)
{
	static const char *const names[] = {
		[COMPLIANCE_COMPLIANT] = "compliant",
		[COMPLIANCE_NON_COMPLIANT] = "non-compliant",
		[COMPLIANCE_OUT_OF_DATE] = "out-of-date",
		[COMPLIANCE_PENDING] = "pending",
		[COMPLIANCE_CONVERTING] = "converting",
		[COMPLIANCE_NOT_APPLICABLE] = "not-applicable",
		[COMPLIANCE_UNKNOWN] = "unknown",
	};

	return (unsigned)c < ARRAY_SIZE(names) ? names[c] : "unknown";
}
