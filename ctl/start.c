/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/start.c - see ctl/start.h. */
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/paths.h"
#include "base/why.h"
#include "ctl/start.h"

#define HOLDER "weir-holder"

void start_done(struct start *s)
{
	free(s->datastore);
	free(s->point);
	free(s->options);
	free(s->holder);
	*s = (struct start){0};
}

static int directory(const char *what, const char *path, char **ret, char **ret_why)
{
	struct stat st;

	*ret = realpath(path, NULL);
	if (!*ret || stat(*ret, &st) < 0)
		return why_set(-errno, ret_why, "%s %s: %m", what, path);
	if (!S_ISDIR(st.st_mode))
		return why_set(-ENOTDIR, ret_why, "%s %s is not a directory", what, path);
	return 0;
}

/* A dead mount (its daemon killed) answers stat with ENOTCONN; say so instead. */
static int not_mounted(const char *point, const struct mounts *mounts, char **ret_why)
{
	_cleanup_(freep) char *absolute = NULL;
	const struct weir_mount *m;

	if (mounts_absolute(point, &absolute) < 0)
		return 0; /* start_check goes on to say what is wrong with it */
	m = mounts_find_point(mounts, absolute);
	if (!m)
		return 0;
	return why_set(-EBUSY, ret_why, "%s is mounted on %s already", m->source, m->point);
}

static int datastore_free(const struct start *s, const struct mounts *mounts, char **ret_why)
{
	const struct weir_mount *m = mounts_find_source(mounts, s->datastore);

	if (!m)
		return 0;
	return why_set(-EBUSY, ret_why,
		       "%s is mounted on %s already: a datastore has one mount (use `mount --bind' "
		       "for a second place)",
		       s->datastore, m->point);
}

static int apart(const struct start *s, char **ret_why)
{
	if (mounts_is_below(s->point, s->datastore))
		return why_set(-EINVAL, ret_why,
			       "the mount point %s is inside the datastore %s: weir would wait for "
			       "itself; take a directory outside of it",
			       s->point, s->datastore);
	if (mounts_is_below(s->datastore, s->point))
		return why_set(-EINVAL, ret_why,
			       "the mount point %s contains the datastore %s, which it would hide",
			       s->point, s->datastore);
	return 0;
}

/* Started again by systemd with the descriptors that it kept (fs/notify.h): the mount is there, and
 * is not to be touched, because nobody answers on it until the holder goes on. */
static bool goes_on(struct start *s, const char *datastore, const char *point,
		    const struct mounts *mounts)
{
	_cleanup_(freep) char *absolute = NULL, *source = realpath(datastore, NULL);
	const struct weir_mount *m;

	if (!s->foreground || !getenv("LISTEN_FDS") || !source ||
	    mounts_absolute(point, &absolute) < 0)
		return false;
	m = mounts_find_point(mounts, absolute);
	if (!m || strcmp(m->source, source) != 0)
		return false;
	s->datastore = TAKE_PTR(source);
	s->point = TAKE_PTR(absolute);
	return true;
}

static int find_holder(struct start *s, char **ret_why)
{
	int r = paths_find_program(HOLDER, &s->holder);

	if (r < 0)
		return why_set(r, ret_why,
			       "cannot find " HOLDER ": is weir installed, or its build complete?");
	return 0;
}

int start_check(struct start *s, const char *datastore, const char *point,
		const struct mounts *mounts, char **ret_why)
{
	int r;

	if (geteuid() != 0)
		return why_set(-EPERM, ret_why,
			       "only root can mount: weir serves the files of all users");
	if (goes_on(s, datastore, point, mounts))
		return find_holder(s, ret_why);
	r = not_mounted(point, mounts, ret_why);
	if (r < 0)
		return r;
	r = directory("datastore", datastore, &s->datastore, ret_why);
	if (r < 0)
		return r;
	r = directory("mount point", point, &s->point, ret_why);
	if (r < 0)
		return r;
	r = apart(s, ret_why);
	if (r < 0)
		return r;
	r = datastore_free(s, mounts, ret_why);
	return r < 0 ? r : find_holder(s, ret_why);
}

int start_exec(const struct start *s)
{
	const char *argv[8] = {HOLDER};
	size_t n = 1;

	if (s->foreground)
		argv[n++] = "-f";
	if (s->options) {
		argv[n++] = "-o";
		argv[n++] = s->options;
	}
	argv[n++] = s->datastore;
	argv[n++] = s->point;
	execv(s->holder, (char *const *)argv);
	return -errno;
}
