/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/applied.c - see fs/applied.h. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/list.h"
#include "base/why.h"
#include "fs/applied.h"

#define POLICY_FILE_MAX 65536

/* What all disks under one policy name share: one pool for each class that has one. */
struct pools {
	struct list link;
	unsigned references; /* under the set's lock */
	char name[POLICY_NAME_MAX + 1];
	size_t count;
	struct {
		const struct stage_class *class;
		void *pool;
	} entry[16];
};

struct loaded { /* a weak entry: gone with the last reference */
	struct list link;
	struct applied applied;
};

struct applied_set {
	int dir_fd; /* .weir/policies */
	pthread_mutex_t lock; /* protects the lists and the pools */
	struct list loaded, pools;
};

int applied_set_new(int weir_fd, struct applied_set **ret)
{
	_cleanup_(closep) int fd = -1;
	struct applied_set *s;

	if (mkdirat(weir_fd, "policies", 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(weir_fd, "policies", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	s = calloc(1, sizeof *s);
	if (!s)
		return -ENOMEM;
	s->dir_fd = TAKE_FD(fd);
	pthread_mutex_init(&s->lock, NULL);
	list_init(&s->loaded);
	list_init(&s->pools);
	*ret = s;
	return 0;
}

void applied_set_free(struct applied_set *s)
{
	if (!s)
		return;
	close(s->dir_fd);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* ---- pools ------------------------------------------------------------------------------- */

static struct pools *pools_find(struct applied_set *s, const char *name)
{
	list_for_each(l, &s->pools) {
		struct pools *p = list_entry(l, struct pools, link);

		if (!strcmp(p->name, name))
			return p;
	}
	return NULL;
}

static int pools_get(struct applied_set *s, const char *name, struct pools **ret)
{
	struct pools *p = pools_find(s, name);

	if (!p) {
		p = calloc(1, sizeof *p);
		if (!p)
			return -ENOMEM;
		snprintf(p->name, sizeof p->name, "%s", name);
		list_push(&s->pools, &p->link);
	}
	p->references++;
	*ret = p;
	return 0;
}

static void pools_put(struct pools *p)
{
	if (!p || --p->references)
		return;
	for (size_t i = 0; i < p->count; i++)
		p->entry[i].class->pool_free(p->entry[i].pool);
	list_remove(&p->link);
	free(p);
}

/* The pool of the part's class, made or brought up to the part's settings. */
static int pool_for(struct pools *p, struct stack_part *part)
{
	int r;

	if (!part->class->pool_new)
		return 0;
	for (size_t i = 0; i < p->count; i++) {
		if (p->entry[i].class != part->class)
			continue;
		part->pool = p->entry[i].pool;
		return part->class->pool_update(part->pool, part->settings);
	}
	if (p->count == ARRAY_SIZE(p->entry))
		return -E2BIG;
	r = part->class->pool_new(part->settings, &part->pool);
	if (r < 0)
		return r;
	p->entry[p->count].class = part->class;
	p->entry[p->count++].pool = part->pool;
	return 0;
}

/* ---- loading ----------------------------------------------------------------------------- */

struct copy_name { /* DIGEST, 16 hex digits of it */
	char text[17];
};

static struct copy_name copy_name(const uint8_t digest[32])
{
	struct copy_name n;

	for (int i = 0; i < 8; i++)
		snprintf(n.text + 2 * i, 3, "%02x", digest[i]);
	return n;
}

static struct applied *find_loaded(struct applied_set *s, const char *name,
				   const uint8_t digest[32])
{
	list_for_each(l, &s->loaded) {
		struct applied *a = &list_entry(l, struct loaded, link)->applied;

		if (!strcmp(policy_name(a->policy), name) &&
		    !memcmp(policy_digest(a->policy), digest, 32))
			return applied_ref(a);
	}
	return NULL;
}

static int fill_parts(struct applied_set *s, struct applied *a)
{
	const struct stack_part *parts;
	int r;

	a->n_parts = policy_parts(a->policy, &parts);
	a->parts = calloc(a->n_parts + 1, sizeof *a->parts);
	if (!a->parts)
		return -ENOMEM;
	memcpy(a->parts, parts, a->n_parts * sizeof *parts);
	r = pools_get(s, policy_name(a->policy), &a->pools);
	for (size_t i = 0; r == 0 && i < a->n_parts; i++)
		r = pool_for(a->pools, &a->parts[i]);
	return r;
}

static void loaded_free(struct loaded *l)
{
	pools_put(l->applied.pools);
	free(l->applied.parts);
	policy_unref(l->applied.policy);
	free(l);
}

/* @policy is taken over on success. */
static int adopt(struct applied_set *s, struct policy *policy, struct applied **ret)
{
	struct loaded *l = calloc(1, sizeof *l);
	int r;

	if (!l)
		return -ENOMEM;
	LOCKED(&s->lock);
	*ret = find_loaded(s, policy_name(policy), policy_digest(policy));
	if (*ret) {
		free(l);
		policy_unref(policy);
		return 0;
	}
	l->applied = (struct applied){.policy = policy, .references = 1, .set = s};
	r = fill_parts(s, &l->applied);
	if (r < 0) {
		l->applied.policy = NULL;
		loaded_free(l);
		return r;
	}
	list_push(&s->loaded, &l->link);
	*ret = &l->applied;
	return 0;
}

struct applied *applied_ref(struct applied *a)
{
	a->references++;
	return a;
}

void applied_unref(struct applied *a)
{
	struct applied_set *s;
	struct loaded *l;

	if (!a)
		return;
	s = a->set;
	pthread_mutex_lock(&s->lock);
	l = container_of(a, struct loaded, applied);
	if (--a->references == 0) {
		list_remove(&l->link);
		loaded_free(l);
	}
	pthread_mutex_unlock(&s->lock);
}

int applied_load(struct applied_set *s, const char *name, const uint8_t digest[32],
		 struct applied **ret, char **ret_why)
{
	char path[160];
	struct policy *policy;
	int r;

	pthread_mutex_lock(&s->lock);
	*ret = find_loaded(s, name, digest);
	pthread_mutex_unlock(&s->lock);
	if (*ret)
		return 0;
	snprintf(path, sizeof path, "/proc/self/fd/%d/%s/%s.yaml", s->dir_fd,
		 copy_name(digest).text, name);
	r = policy_load_file(path, &policy, ret_why);
	if (r < 0)
		return r;
	if (memcmp(policy_digest(policy), digest, 32))
		r = why_set(-EUCLEAN, ret_why, "the copy of policy %s in .weir/policies was altered; "
			    "attach the policy again", name);
	else
		r = adopt(s, policy, ret);
	if (r < 0)
		policy_unref(policy);
	return r;
}

static void drop_copy(struct applied_set *s, const char *name, const uint8_t digest[32])
{
	char path[160];

	snprintf(path, sizeof path, "%s/%s.yaml", copy_name(digest).text, name);
	unlinkat(s->dir_fd, path, 0);
}

/* ---- the copy ---------------------------------------------------------------------------- */

static int read_text(const char *const *dirs, const char *name, char *buf, size_t size,
		     size_t *ret_len)
{
	for (; *dirs; dirs++) {
		char path[4096];
		_cleanup_(closep) int fd = -1;
		ssize_t n;

		snprintf(path, sizeof path, "%s/%s.yaml", *dirs, name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
			continue;
		if (fd < 0)
			return -errno;
		n = read(fd, buf, size);
		*ret_len = n < 0 ? 0 : (size_t)n;
		return n < 0 ? -errno : 0;
	}
	return -ENOENT;
}

static int write_durably(int dir, const char *name, const char *text, size_t len)
{
	char temporary[POLICY_NAME_MAX + 16];
	_cleanup_(closep) int fd = -1;

	snprintf(temporary, sizeof temporary, ".%s.new", name);
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != (ssize_t)len)
		return errno ? -errno : -ENOSPC;
	if (fsync(fd) < 0 || renameat(dir, temporary, dir, name) < 0 || fsync(dir) < 0)
		return -errno;
	return 0;
}

static int keep_copy(struct applied_set *s, const struct policy *p, const char *text, size_t len)
{
	struct copy_name digest = copy_name(policy_digest(p));
	char file[POLICY_NAME_MAX + 8];
	_cleanup_(closep) int dir = -1;

	snprintf(file, sizeof file, "%s.yaml", policy_name(p));
	if (mkdirat(s->dir_fd, digest.text, 0700) < 0 && errno != EEXIST)
		return -errno;
	dir = openat(s->dir_fd, digest.text, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	if (faccessat(dir, file, F_OK, 0) == 0)
		return 0;
	if (fsync(s->dir_fd) < 0)
		return -errno;
	return write_durably(dir, file, text, len);
}

int applied_take(struct applied_set *s, const char *const *dirs, const char *name,
		 struct applied **ret, char **ret_why)
{
	_cleanup_(freep) char *text = malloc(POLICY_FILE_MAX + 1);
	_cleanup_(policy_unrefp) struct policy *policy = NULL;
	size_t len;
	int r;

	if (!text)
		return -ENOMEM;
	r = policy_load(dirs, name, &policy, ret_why);
	if (r < 0)
		return r;
	r = read_text(dirs, name, text, POLICY_FILE_MAX + 1, &len);
	if (r == 0)
		r = keep_copy(s, policy, text, len);
	if (r < 0)
		return why_set(r, ret_why, "policy %s: cannot keep a copy in the datastore: %s",
			       name, strerror(-r));
	/* From the copy, so that what is loaded is what was kept: the file may have changed
	 * between the two reads, then the digests differ. */
	r = applied_load(s, name, policy_digest(policy), ret, ret_why);
	if (r == -EUCLEAN) {
		drop_copy(s, name, policy_digest(policy));
		r = why_set(-EAGAIN, ret_why, "policy %s changed while it was read; try again", name);
	}
	return r;
}
