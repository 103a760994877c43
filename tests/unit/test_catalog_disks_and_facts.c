/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Disks and facts are kept whole, replaced, listed while they change, and deleted. */
#include "base/catalog_internal.h"
#include "base/cleanup.h"
#include "tests/unit/catalog_rig.h"

static struct catalog_disk disk(unsigned i)
{
	struct catalog_disk d = {
		.id.bytes = {i >> 8, i},
		.handle = rig_handle(i),
		.node = 1000 + i,
		.flags = CATALOG_DISK_VM,
		.policy_version = 5,
	};

	snprintf(d.policy, sizeof d.policy, "policy-%u", i);
	return d;
}

struct seen {
	struct catalog *c;
	unsigned n;
	bool delete;
};

static int each(const struct catalog_disk *d, void *data)
{
	struct seen *seen = data;
	struct catalog_disk want = disk(seen->n++);

	check(memcmp(d, &want, sizeof want) == 0);
	if (seen->delete) /* also while they are listed */
		check(catalog_delete_disk(seen->c, &d->id) == 0);
	return 0;
}

static int stop(const struct catalog_disk *d, void *data)
{
	return ++*(int *)data == 20 ? -EINTR : 0;
}

static void disks(struct catalog *c)
{
	struct seen seen = {.c = c};
	struct catalog_disk d;
	int n = 0;

	check(catalog_each_disk(c, each, &seen) == 0 && seen.n == 0);
	for (unsigned i = 0; i < 100; i++) {
		d = disk(99 - i);
		check(catalog_put_disk(c, &d) == 0 && catalog_put_disk(c, &d) == 0);
	}
	memset(d.policy, 'x', sizeof d.policy);
	check(catalog_put_disk(c, &d) == -EINVAL);
	check(catalog_each_disk(c, each, &seen) == 0 && seen.n == 100);
	check(catalog_each_disk(c, stop, &n) == -EINTR && n == 20);
	seen = (struct seen){.c = c, .delete = true};
	check(catalog_each_disk(c, each, &seen) == 0 && seen.n == 100);
	check(catalog_delete_disk(c, &d.id) == -ENOENT);
	seen.n = 0;
	check(catalog_each_disk(c, each, &seen) == 0 && seen.n == 0);
}

static void facts(struct catalog *c)
{
	static char large[CATALOG_FACTS_MAX + 2];
	struct handle a = rig_handle(1), b = rig_handle(2), none = {.type = 1};
	struct catalog_counts counts;
	char *json;

	check(catalog_find_facts(c, &a, &json) == -ENOENT);
	check(catalog_put_facts(c, &none, "{}") == -EINVAL);
	memset(large, 'x', CATALOG_FACTS_MAX + 1);
	check(catalog_put_facts(c, &a, large) == -E2BIG);
	large[CATALOG_FACTS_MAX] = '\0';
	for (int i = 0; i < 3; i++) { /* in place, longer, shorter */
		check(catalog_put_facts(c, &a, large) == 0);
		check(catalog_put_facts(c, &b, "") == 0);
		check(catalog_find_facts(c, &a, &json) == 0 && strcmp(json, large) == 0);
		free(json);
		check(catalog_find_facts(c, &b, &json) == 0 && json[0] == '\0');
		free(json);
		large[5000 >> i] = '\0';
	}
	check(catalog_count(c, &counts) == 0);
	check(counts.facts == 2 && counts.disks == 0 && counts.nodes == 0 && counts.bytes > 0);
}

static void test(const char *dir)
{
	struct catalog *c = rig_create(dir);

	disks(c);
	facts(c);
	catalog_close(c);
	check(rig_check(dir, NULL) == 0);
}

int main(void)
{
	return scratch_run(test);
}
