/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/fuzz/fuzz_policy.c - any bytes as a policy file: a policy, or one sentence.
 *
 *     CC=clang meson setup build-fuzz -Dfuzz=true && ninja -C build-fuzz
 *     build-fuzz/tests/fuzz/fuzz_policy -max_total_time=60 CORPUS policies/
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policies/policy_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void use(struct policy *p)
{
	const struct stack_part *parts;
	size_t n = policy_parts(p, &parts);
	json_t *json = policy_json(p);
	char *text = json_dumps(json, 0);

	demand(json && text && policy_version(p) > 0);
	for (size_t i = 0; i < n; i++) {
		const struct stage_class *class = parts[i].class;
		void *pool = NULL;

		if (!class->pool_new)
			continue;
		demand(class->pool_new(parts[i].settings, &pool) == 0);
		demand(class->pool_update(pool, parts[i].settings) == 0);
		class->pool_free(pool);
	}
	free(text);
	json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(policy_unrefp) struct policy *p = NULL;
	_cleanup_(freep) char *why = NULL;
	int r;

	r = policy_parse("gold.yaml", "gold", (const char *)data, size, &p, &why);
	demand(r == 0 || r == -EINVAL);
	demand((r == 0) == (p != NULL));
	if (r == 0) {
		use(p);
		return 0;
	}

	/* One line of printable text that starts with the place. */
	demand(why && strncmp(why, "gold.yaml:", 10) == 0 && strstr(why, ": "));
	for (const char *s = why; *s; s++)
		demand((unsigned char)*s >= ' ' && *s != 0x7f);
	return 0;
}
