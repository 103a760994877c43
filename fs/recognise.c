/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/recognise.c - see fs/recognise.h. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "fs/facts.h"
#include "fs/fault.h"
#include "fs/helper.h"
#include "fs/open.h"
#include "fs/quarantine.h"
#include "fs/recognise.h"
#include "fs/reconnect.h"

#define HELPER	   "weir-recognise"
#define FAILURES   16
#define FAILURE_MS 10000
#define QUIET_MS   60000 /* between two lines about answers that cannot be kept */

/* A file whose recognition failed a moment ago: who opens it does not wait for the helper's limit
 * of time again. */
struct failure {
	struct handle handle;
	int64_t until_ms; /* 0: none */
	char why[256];
};

struct recogniser {
	pthread_mutex_t lock; /* protects busy and failures; a leaf */
	pthread_cond_t changed;
	struct list busy; /* struct recognise_hold */
	struct failure failures[FAILURES];
	unsigned next_failure;
	_Atomic bool told; /* that the helper is missing was logged */
	_Atomic int64_t forgot_ms; /* when an answer could not be kept the last time */
};

int recogniser_new(struct recogniser **ret)
{
	struct recogniser *r = calloc(1, sizeof *r);

	if (!r)
		return -ENOMEM;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->changed, NULL);
	list_init(&r->busy);
	*ret = r;
	return 0;
}

void recogniser_free(struct recogniser *r)
{
	if (!r)
		return;
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->changed);
	free(r);
}

/* ---- one at a time for a file ------------------------------------------------------------ */

static bool is_busy(struct recogniser *r, const struct handle *h)
{
	list_for_each (l, &r->busy)
		if (handle_equal(list_entry(l, struct recognise_hold, link)->handle, h))
			return true;
	return false;
}

void recognise_hold_begin(struct recognise_hold *hold)
{
	LOCKED(&hold->of->lock);
	while (is_busy(hold->of, hold->handle))
		pthread_cond_wait(&hold->of->changed, &hold->of->lock);
	list_append(&hold->of->busy, &hold->link);
}

void recognise_hold_end(struct recognise_hold *hold)
{
	LOCKED(&hold->of->lock);
	list_remove(&hold->link);
	pthread_cond_broadcast(&hold->of->changed);
}

/* ---- failures ---------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static json_t *note_failure(struct recogniser *r, const struct handle *h, const char *why)
{
	struct failure *f;

	LOCKED(&r->lock);
	f = &r->failures[r->next_failure++ % FAILURES];
	f->handle = *h;
	f->until_ms = now_ms() + FAILURE_MS;
	snprintf(f->why, sizeof f->why, "%s", why);
	return facts_unknown(why);
}

static json_t *failed_just_now(struct recogniser *r, const struct handle *h)
{
	int64_t now = now_ms();

	LOCKED(&r->lock);
	for (unsigned i = 0; i < FAILURES; i++)
		if (r->failures[i].until_ms > now && handle_equal(&r->failures[i].handle, h))
			return facts_unknown(r->failures[i].why);
	return NULL;
}

/* ---- asking the helper ------------------------------------------------------------------- */

static int ask(struct fs *fs, int fd, char **ret, char **ret_why)
{
	int r = helper_run(fs->broker, fd, ret, ret_why);

	if (r != -ENOENT)
		return r;
	if (!atomic_exchange(&fs->recogniser->told, true))
		log_warning("%s is not where it should be (%s): disks are not recognised", HELPER,
			    strerror(-r));
	free(*ret_why);
	*ret_why = strdup(HELPER " is missing");
	return r;
}

/* A descriptor of our own, not the cache's: that may be open for writing as well, and the helper
 * must not get one it could write to.  O_NONBLOCK: somebody else's lease is not waited for. */
static int open_to_read(struct fs *fs, const struct handle *h)
{
	return reconnect_open(fs, h, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

static int look_inside(struct fs *fs, const struct handle *h, json_t **ret)
{
	_cleanup_(freep) char *line = NULL, *why = NULL;
	_cleanup_(closep) int fd = -1;
	int r;

	*ret = failed_just_now(fs->recogniser, h);
	if (*ret)
		return 0;
	fd = open_to_read(fs, h);
	if (fd == -ESTALE)
		return fd;
	r = fd < 0 ? fd : ask(fs, fd, &line, &why);
	if (r == 0)
		*ret = facts_parse(line);
	if (r == 0 && !*ret)
		why = strdup("the helper's answer is no JSON with a type");
	if (!*ret)
		*ret = note_failure(fs->recogniser, h, why ? why : strerror(-r));
	return *ret ? 0 : -ENOMEM;
}

/* ---- remembering ------------------------------------------------------------------------- */

static json_t *remembered(struct fs *fs, const struct handle *h, const struct stat *st,
			  bool *ret_current)
{
	_cleanup_(freep) char *record = NULL;

	if (catalog_find_facts(fs->catalog, h, &record) < 0)
		return NULL;
	return facts_of_record(record, st, ret_current);
}

int recognise_remembered(struct fs *fs, const struct handle *h, json_t **ret)
{
	bool current;

	*ret = remembered(fs, h, NULL, &current);
	return *ret ? 0 : -ENOENT;
}

static bool remember(struct fs *fs, const struct handle *h, const json_t *facts,
		     const struct stat *st)
{
	_cleanup_(freep) char *record = facts_record(facts, st);
	int r = record ? catalog_put_facts(fs->catalog, h, record) : -E2BIG;

	if (r < 0 && now_ms() - atomic_exchange(&fs->recogniser->forgot_ms, now_ms()) > QUIET_MS)
		log_warning("cannot remember what files were recognised as: %s; they are "
			    "recognised again when that is asked for", strerror(-r));
	return r == 0;
}

/* ---- deciding ---------------------------------------------------------------------------- */

/* A raw disk is as large as its file is now. */
static json_t *show_size(json_t *facts, const struct stat *st)
{
	if (!strcmp(facts_type(facts), "raw"))
		json_object_set_new(facts, "capacity", json_integer((json_int_t)st->st_size));
	return facts;
}

static bool is_vmdk(const json_t *facts)
{
	return !strncmp(facts_type(facts), "vmdk ", 5);
}

/* May what is remembered as @old be @fresh from now on? */
static bool may_become(const json_t *old, const json_t *fresh)
{
	const char *type = facts_type(fresh);

	if (!facts_keepable(fresh))
		return false;
	if (facts_when_changed(old) == FACTS_FORMAT) /* a VMDK may become another VMDK */
		return !strcmp(facts_type(old), type) || (is_vmdk(old) && is_vmdk(fresh));
	/* Text became something else: only what gives it no meaning of its own. */
	return facts_when_changed(fresh) == FACTS_AGAIN || !strcmp(type, "raw") ||
	       !strcmp(type, "other");
}

static json_t *stay(json_t *old, const json_t *fresh)
{
	facts_problem(old,
		      "it was recognised as %s once and reads as %s now: it counts as what "
		      "it was",
		      facts_type(old), facts_type(fresh));
	return old;
}

/* One question about one file. */
struct question {
	struct fs *fs;
	const struct handle *handle;
	struct node *node; /* NULL: nobody knows the file */
	bool kept;	   /* the answer is in the catalog */
};

static int attributes(struct question *q, struct stat *ret)
{
	_cleanup_(fdref_putp) struct fdref *ref = NULL;
	int r = fdcache_get(q->fs->fds, q->handle, FD_PATH, &ref);

	if (r < 0)
		return r;
	if (fstatat(fdref_fd(ref), "", ret, AT_EMPTY_PATH) < 0)
		return -errno;
	return S_ISREG(ret->st_mode) ? 0 : -EINVAL;
}

/* What was seen is final: nobody writes now, or did while the helper looked.  Programs that make a
 * disk write other things on the way (qemu-img a sparse header where the descriptor will be). */
static bool is_final(struct question *q, const struct stat *before)
{
	struct stat after;

	if (q->node && ((q->node->flags & NODE_CREATED) || open_glance(q->fs, q->node).writers))
		return false;
	return attributes(q, &after) == 0 && after.st_size == before->st_size &&
	       after.st_ctim.tv_sec == before->st_ctim.tv_sec &&
	       after.st_ctim.tv_nsec == before->st_ctim.tv_nsec;
}

static int look(struct question *q, const struct stat *st, json_t **ret)
{
	_cleanup_(json_decrefp) json_t *old = NULL, *fresh = NULL;
	bool current = true;
	int r;

	old = remembered(q->fs, q->handle, st, &current);
	q->kept = old;
	if (old && (current ? facts_whole(old) : facts_when_changed(old) == FACTS_KEEP)) {
		*ret = show_size(TAKE_PTR(old), st);
		return 0;
	}
	r = look_inside(q->fs, q->handle, &fresh);
	if (r < 0)
		return r;
	if (old && !may_become(old, fresh)) {
		*ret = stay(TAKE_PTR(old), fresh);
		return 0;
	}
	if (facts_keepable(fresh) && !(old && current) && is_final(q, st))
		q->kept = remember(q->fs, q->handle, fresh, st);
	*ret = TAKE_PTR(fresh);
	return 0;
}

static int answer(struct question *q, json_t **ret)
{
	_cleanup_(recognise_hold_end) struct recognise_hold mine = {.of = q->fs->recogniser,
								    .handle = q->handle};
	struct stat st;
	int r;

	recognise_hold_begin(&mine);
	r = attributes(q, &st);
	if (r < 0)
		return r;
	if (st.st_size == 0) {
		*ret = json_pack("{s:s}", "type", "empty");
		return *ret ? 0 : -ENOMEM;
	}
	return look(q, &st, ret);
}

int recognise(struct fs *fs, struct node *node, json_t **ret)
{
	struct question q = {.fs = fs, .handle = &node->handle, .node = node};
	_fault_turn_ turn = {0};
	int r;

	if (quarantine_is_blind(fs, node))
		return -EIO;
	turn = fault_turn(fs, node->id);
	r = answer(&q, ret);

	/* A text may change, so it is always looked up again. */
	if (r == 0 && q.kept && facts_when_changed(*ret) != FACTS_AGAIN)
		atomic_fetch_or(&node->flags, NODE_CLASSIFIED);
	return r;
}

int recognise_handle(struct fs *fs, const struct handle *h, json_t **ret)
{
	_node_ at = {.fs = fs, .node = nodes_known(fs->nodes, h)};
	struct question q = {.fs = fs, .handle = h};

	return at.node ? recognise(fs, at.node, ret) : answer(&q, ret);
}
