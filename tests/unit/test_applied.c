/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The copy of a policy is kept as it was when it was attached; what disks of one policy share
 * outlives each of them and follows the newest version. */
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/stages.h"
#include "fs/applied.h"
#include "tests/unit/check.h"
#include "tests/unit/scratch.h"

/* A stage class that only counts what becomes of its pools. */
static int pools_made, pools_updated, pools_freed;

static int pool_new(const void *settings, void **ret)
{
	pools_made++;
	*ret = malloc(1);
	return *ret ? 0 : -ENOMEM;
}

static int pool_update(void *pool, const void *settings)
{
	pools_updated++;
	return 0;
}

static void pool_free(void *pool)
{
	pools_freed++;
	free(pool);
}

static const struct stage_class counting = {
	.name = "counting", .rank = 300, .pool_new = pool_new, .pool_update = pool_update,
	.pool_free = pool_free,
};
const struct stage_class *const stage_classes[] = {&counting, NULL};

static const char *dirs[2];
static int weir_fd;

static void write_policy(const char *name, int version)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s.yaml", dirs[0], name);
	f = fopen(path, "w");
	check(f);
	fprintf(f, "weir: 1\nname: %s\nversion: %d\nstages:\n  counting: {}\n", name, version);
	check(fclose(f) == 0);
}

static struct applied *take(struct applied_set *s, const char *name)
{
	struct applied *a = NULL;
	char *why = NULL;

	check(applied_take(s, dirs, name, &a, &why) == 0 && a && !why);
	check(a->n_parts == 1 && a->parts[0].class == &counting && a->parts[0].pool);
	return a;
}

static struct applied_set *set_new(void)
{
	struct applied_set *s;

	check(applied_set_new(weir_fd, &s) == 0);
	return s;
}

/* The only copy in .weir/policies, as a path below .weir. */
static void copy_path(const struct applied *a, char ret[200])
{
	const uint8_t *d = policy_digest(a->policy);

	snprintf(ret, 200, "policies/%02x%02x%02x%02x%02x%02x%02x%02x/%s.yaml", d[0], d[1], d[2],
		 d[3], d[4], d[5], d[6], d[7], policy_name(a->policy));
}

static void shared_pools(struct applied_set *s)
{
	struct applied *one, *again, *newer, *other;

	write_policy("gold", 1);
	one = take(s, "gold");
	again = take(s, "gold");
	check(again == one && pools_made == 1 && pools_updated == 0);
	write_policy("silver", 1);
	other = take(s, "silver");
	check(other->parts[0].pool != one->parts[0].pool && pools_made == 2);

	write_policy("gold", 2);
	newer = take(s, "gold");
	check(newer != one && policy_version(one->policy) == 1);
	check(newer->parts[0].pool == one->parts[0].pool && pools_made == 2 && pools_updated == 1);

	applied_unref(one);
	applied_unref(again);
	check(pools_freed == 0); /* the newer one has it yet */
	applied_unref(applied_ref(newer));
	check(pools_freed == 0);
	applied_unref(newer);
	check(pools_freed == 1);
	applied_unref(other);
	check(pools_freed == 2);
}

static void copies(struct applied_set *s)
{
	struct applied *old, *now, *loaded = NULL;
	uint8_t digest[32];
	char path[200], *why = NULL;

	write_policy("gold", 1);
	old = take(s, "gold");
	memcpy(digest, policy_digest(old->policy), sizeof digest);
	copy_path(old, path);
	check(faccessat(weir_fd, path, R_OK, 0) == 0);
	applied_unref(old);

	write_policy("gold", 2);
	now = take(s, "gold");
	check(memcmp(policy_digest(now->policy), digest, 32));
	applied_unref(now);
	check(applied_load(s, "gold", digest, &loaded, &why) == 0 && !why);
	check(policy_version(loaded->policy) == 1 && loaded->n_parts == 1);
	applied_unref(loaded);
}

/* A restart: only what is on disk is left. */
static void altered_and_lost(void)
{
	struct applied_set *s = set_new();
	struct applied *a = NULL;
	char path[200], *why = NULL;
	uint8_t digest[32];
	int fd;

	write_policy("gold", 3);
	a = take(s, "gold");
	memcpy(digest, policy_digest(a->policy), sizeof digest);
	copy_path(a, path);
	applied_unref(a);

	fd = openat(weir_fd, path, O_WRONLY | O_APPEND);
	check(fd >= 0 && write(fd, "# harmless\n", 11) == 11);
	close(fd);
	a = NULL;
	check(applied_load(s, "gold", digest, &a, &why) == -EUCLEAN && !a);
	check(why && strstr(why, "gold") && strstr(why, "attach"));
	free(why);
	why = NULL;

	check(unlinkat(weir_fd, path, 0) == 0);
	check(applied_load(s, "gold", digest, &a, &why) == -ENOENT && !a && why);
	free(why);
	why = NULL;
	a = take(s, "gold"); /* attached again */
	applied_unref(a);
	check(applied_load(s, "gold", digest, &a, &why) == 0);
	applied_unref(a);
	applied_set_free(s);
}

/* An altered copy in the way of the same text: attaching says so or mends it, and works at the
 * second attempt at the latest. */
static void attach_over_altered(void)
{
	struct applied_set *s = set_new();
	struct applied *a = take(s, "gold");
	char path[200], *why = NULL;
	int fd;

	copy_path(a, path);
	applied_unref(a);
	fd = openat(weir_fd, path, O_WRONLY | O_APPEND);
	check(fd >= 0 && write(fd, "# harmless\n", 11) == 11);
	close(fd);
	a = NULL;
	if (applied_take(s, dirs, "gold", &a, &why) < 0) {
		check(why && !a);
		free(why);
		a = take(s, "gold");
	}
	applied_unref(a);
	applied_set_free(s);
}

static void refused(void)
{
	struct applied_set *s = set_new();
	struct applied *a = NULL;
	char path[PATH_MAX], *why = NULL;
	FILE *f;

	check(applied_take(s, dirs, "nothing", &a, &why) == -ENOENT && why && !a);
	free(why);
	why = NULL;
	snprintf(path, sizeof path, "%s/bad.yaml", dirs[0]);
	f = fopen(path, "w");
	check(f && fputs("weir: 1\nname: bad\nstages: {no-such: {}}\n", f) >= 0 && !fclose(f));
	check(applied_take(s, dirs, "bad", &a, &why) == -EINVAL && strstr(why, "bad.yaml:3") && !a);
	free(why);
	applied_unref(NULL);
	applied_set_free(s);
}

static void test(const char *dir)
{
	struct applied_set *s;

	dirs[0] = dir;
	weir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	check(weir_fd >= 0);
	s = set_new();
	shared_pools(s);
	copies(s);
	check(pools_made == pools_freed);
	applied_set_free(s);
	altered_and_lost();
	attach_over_altered();
	refused();
	check(pools_made == pools_freed);
	close(weir_fd);
}

int main(void)
{
	return scratch_run(test);
}
