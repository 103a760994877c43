/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every combination of facts has one word, and the words have their order of importance. */
#include <string.h>

#include "base/cleanup.h"
#include "policies/policy.h"
#include "tests/unit/check.h"

static struct compliance_facts good(void)
{
	return (struct compliance_facts){
		.has_policy = true,
		.policy_readable = true,
		.covered = true,
		.applied_version = 3,
		.file_version = 3,
		.applied_digest_same = true,
		.stack_matches = true,
		.in_use = true,
	};
}

static const struct {
	const char *change; /* letters below */
	const char *word;
} cases[] = {
	{"", "compliant"},
	{"u", "compliant"},  /* not in use */
	{"um", "compliant"}, /* no stack, so none that differs */
	{"c", "not-applicable"},
	{"h", "not-applicable"},
	{"chrpvdm", "not-applicable"},
	{"r", "unknown"},
	{"rp", "unknown"},
	{"p", "pending"},
	{"pm", "pending"}, /* the old stack is still there: that is what pending means */
	{"pv", "pending"},
	{"m", "non-compliant"},
	{"mr", "non-compliant"},
	{"mvd", "non-compliant"},
	{"v", "out-of-date"},
	{"d", "out-of-date"}, /* edited without a new version */
	{"vdu", "out-of-date"},
};

static void change(struct compliance_facts *f, const char *letters)
{
	for (; *letters; letters++)
		switch (*letters) {
		case 'u':
			f->in_use = false;
			break;
		case 'c':
			f->covered = false;
			break;
		case 'h':
			f->has_policy = false;
			break;
		case 'r':
			f->policy_readable = false;
			break;
		case 'p':
			f->pending = true;
			break;
		case 'm':
			f->stack_matches = false;
			break;
		case 'v':
			f->file_version = 4;
			break;
		case 'd':
			f->applied_digest_same = false;
			break;
		}
}

int main(void)
{
	const char *why;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct compliance_facts f = good();
		const char *word;

		change(&f, cases[i].change);
		why = NULL;
		word = compliance_name(compliance_decide(&f, &why));
		if (strcmp(word, cases[i].word) != 0)
			fprintf(stderr, "\"%s\": %s, want %s\n", cases[i].change, word,
				cases[i].word);
		check(strcmp(word, cases[i].word) == 0);
		check(why && *why);
	}

	/* No combination falls through the table. */
	for (unsigned bits = 0; bits < 256; bits++) {
		struct compliance_facts f = {
			.has_policy = bits & 1,
			.policy_readable = bits & 2,
			.pending = bits & 4,
			.covered = bits & 8,
			.applied_digest_same = bits & 16,
			.stack_matches = bits & 32,
			.in_use = bits & 64,
			.file_version = bits & 128 ? 1 : 0,
		};

		compliance_decide(&f, &why);
		check(why);
	}
	return 0;
}
