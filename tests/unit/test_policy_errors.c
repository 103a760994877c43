/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A bad policy file is refused with one sentence: file, line, key, what is wrong, what to do. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/yamlfile.h"
#include "policies/policy_text.h"
#include "tests/unit/check.h"

#define HEAD  "weir: 1\nname: gold\n"
#define LIMIT HEAD "stages:\n  limit:\n    "

static const struct {
	const char *text, *sentence; /* after "gold.yaml:" */
} cases[] = {
	/* the file as a whole */
	{"", "1: empty; write KEY: VALUE lines"},
	{"# only a comment\n", "1: empty; write KEY: VALUE lines"},
	{"- weir\n", "1: not a mapping; write KEY: VALUE lines"},
	{"weir\n", "1: not a mapping; write KEY: VALUE lines"},
	{"name: gold\n", "1: weir: missing; the file must say weir: 1"},
	{"name: gold\nweir: 2\n", "2: weir: not a format this weir knows; write 1"},
	{"weir: one\nname: gold\n", "1: weir: not a format this weir knows; write 1"},
	{"weir: 1\n", "1: name: missing; write name: gold"},
	{"weir: 1\nname: silver\n",
	 "2: name: \"silver\" is not the file's name; write gold, or rename it"},
	{"weir: 1\nname: |\n  a\n  b\n",
	 "2: name: \"a?b?\" is not the file's name; write gold, or rename it"},
	{"weir: 1\nname: [gold]\n", "2: name: takes one value; write KEY: VALUE without a list"},
	{"weir: 1\nname:\n", "2: name: has no value; write one, or leave the key out"},
	{HEAD "version: 0\n", "3: version: out of range; count from 1"},
	{HEAD "version: 1.5\n", "3: version: not a number; write a whole number such as 2000"},
	{HEAD "version: -1\n", "3: version: not a number; write a whole number such as 2000"},
	{HEAD "version: 99999999999999999999\n", "3: version: far too large; write a smaller one"},
	{HEAD "passthrough: maybe\n", "3: passthrough: not one of its words; write allow or never"},
	{HEAD "passthrough: 1\n", "3: passthrough: not one of its words; write allow or never"},
	{HEAD "colour: blue\n",
	 "3: colour: unknown key; known here: weir, name, version, description, passthrough, "
	 "stages"},
	{HEAD "stages:\n", "3: stages: holds no keys; write {} to take its defaults"},
	{HEAD "stages: none\n", "3: stages: holds no keys; write {} to take its defaults"},
	{HEAD "stages: [limit]\n", "3: stages: holds no keys; write {} to take its defaults"},
	{HEAD "stages:\n  inspect:\n",
	 "4: stages.inspect: holds no keys; write {} to take its defaults"},
	{HEAD "stages:\n  inspect: {deep: 1}\n",
	 "4: stages.inspect.deep: unknown key; none is known here"},
	{HEAD "stages:\n  inspect: {}\n  limt: {}\n",
	 "5: stages.limt: unknown key; known here: inspect, limit"},

	/* what a settings file has no use for */
	{HEAD "\tversion: 1\n", "3: a tab; indent with spaces"},
	{HEAD "stages:\n \tinspect: {}\n", "4: a tab; indent with spaces"},
	{HEAD "name: gold\n", "3: name: is there twice; keep one"},
	{HEAD "stages:\n  inspect: {}\n  inspect: {}\n",
	 "5: stages.inspect: is there twice; keep one"},
	{"weir: 1\nname: &a gold\ndescription: *a\n",
	 "2: name: anchors (&) are not allowed; write the value out"},
	{HEAD "stages: &a\n  limit: *a\n",
	 "3: stages: anchors (&) are not allowed; write the value out"},
	{HEAD "description: *a\n",
	 "3: description: aliases (*) are not allowed; write the value out"},
	{"weir: !!int 1\nname: gold\n", "1: weir: tags (!) are not allowed; leave it out"},
	{HEAD "---\nweir: 1\n", "3: a second document (---); keep one"},
	{HEAD "description: \"a\\0b\"\n",
	 "3: description: holds a control character; write plain text"},
	{HEAD "description: \"a\\e[2Jb\"\n",
	 "3: description: holds a control character; write plain text"},
	{"? [weir]\n: 1\n", "1: a key that is not one word; write KEY: VALUE"},
	{HEAD "a b: 1\n", "3: a key that is not one word; write KEY: VALUE"},
	{HEAD "x: [[[[[[[[[[1]]]]]]]]]]\n",
	 "3: x[0][0][0][0][0][0][0]: more than 8 levels deep; a settings file needs fewer"},
	{HEAD "description: \"x\n", "4: not YAML: found unexpected end of stream; see the "
				    "examples in docs/policies.md"},
	{HEAD "stages: {inspect: {}}}\n", "3: not YAML: did not find expected key; see the "
					  "examples in docs/policies.md"},
	{HEAD "description: \xff\xfe\n", "3: not YAML: invalid leading UTF-8 octet; see the "
					 "examples in docs/policies.md"},

	/* a stage's own settings */
	{HEAD "stages:\n  limit: {}\n",
	 "4: stages.limit.iops: no limit given; write iops, bandwidth or both"},
	{LIMIT "iops: many\n",
	 "5: stages.limit.iops: not a number; write a whole number such as 2000"},
	{LIMIT "iops: 2k\n",
	 "5: stages.limit.iops: not a number; write a whole number such as 2000"},
	{LIMIT "iops: 0\n", "5: stages.limit.iops: out of range; write 1 to 1000000000, or leave "
			    "it out for no limit"},
	{LIMIT "iops: 1000000001\n", "5: stages.limit.iops: out of range; write 1 to 1000000000, "
				     "or leave it out for no limit"},
	{LIMIT "iops: 0010\n",
	 "5: stages.limit.iops: not a number; write a whole number such as 2000"},
	{LIMIT "iops: {a: 1}\n",
	 "5: stages.limit.iops: takes one value; write KEY: VALUE without a list"},
	{LIMIT "bandwidth: 1.5G\n", "5: stages.limit.bandwidth: not a size; write a whole number "
				    "with K, M, G or T (powers of 1024), such as 200M"},
	{LIMIT "bandwidth: 200 MB\n", "5: stages.limit.bandwidth: not a size; write a whole "
				      "number with K, M, G or T (powers of 1024), such as 200M"},
	{LIMIT "bandwidth: 200\n",
	 "5: stages.limit.bandwidth: out of range; write 64K to 1T (bytes a second), such as "
	 "200M, or leave it out for no limit"},
	{LIMIT "bandwidth: 99999999T\n",
	 "5: stages.limit.bandwidth: far too large; write a smaller one"},
	{LIMIT "scope: vm\n", "5: stages.limit.scope: not one of its words; write disk or policy"},
	{LIMIT "iops: 5\n    shares: 0\n",
	 "6: stages.limit.shares: out of range; write 1 to 100000"},
	{LIMIT "iops: 5\n    burst: {}\n",
	 "6: stages.limit.burst: neither iops nor bandwidth; write one of them"},
	{LIMIT "iops: 5\n    burst:\n      iops: 5\n",
	 "7: stages.limit.burst.iops: not above iops; write a larger one, or leave it out"},
	{LIMIT "iops: 5\n    burst: {bandwidth: 1M}\n",
	 "6: stages.limit.burst.bandwidth: needs bandwidth beside burst; add it"},
	{LIMIT "iops: 5\n    burst: {iops: 6, seconds: 2h}\n",
	 "6: stages.limit.burst.seconds: out of range; write 1 to 3600"},
	{LIMIT "iops: 5\n    burst: {iops: 6, seconds: soon}\n",
	 "6: stages.limit.burst.seconds: not a duration; write a whole number with ms, s, m, h "
	 "or d, such as 10s"},
	{LIMIT "iops: 5\n    burst: {iops: 6, second: 2}\n",
	 "6: stages.limit.burst.second: unknown key; known here: iops, bandwidth, seconds"},
};

static void refused(const char *text, size_t len, const char *sentence)
{
	_cleanup_(policy_unrefp) struct policy *p = NULL;
	_cleanup_(freep) char *why = NULL;
	int r;

	r = policy_parse("gold.yaml", "gold", text, len, &p, &why);
	if (r != -EINVAL || !why || strncmp(why, "gold.yaml:", 10) != 0 ||
	    strcmp(why + 10, sentence) != 0) {
		fprintf(stderr, "%s\n  gave %d: %s\n  want   : gold.yaml:%s\n", text, r,
			why ? why : "(nothing)", sentence);
		exit(1);
	}
	check(!p);
}

static void whole_file_cases(void)
{
	_cleanup_(freep) char *huge = malloc(YAMLFILE_MAX_BYTES + 1), *keys = calloc(1, 20000);
	size_t n = 0;

	refused(HEAD "version: 1\0\n", sizeof(HEAD "version: 1\0\n") - 1,
		"3: a NUL byte; save it as plain UTF-8 text");

	memset(huge, '#', YAMLFILE_MAX_BYTES + 1);
	refused(huge, YAMLFILE_MAX_BYTES + 1, "1: larger than 64 KiB; this is no settings file");

	for (unsigned i = 0; i <= YAMLFILE_MAX_KEYS; i++)
		n += (size_t)sprintf(keys + n, "k%u: 1\n", i);
	refused(keys, n, "1001: k1000: more than 1000 keys; a settings file needs far fewer");
}

int main(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		refused(cases[i].text, strlen(cases[i].text), cases[i].sentence);
	whole_file_cases();
	return 0;
}
