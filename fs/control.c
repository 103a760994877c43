/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/control.c - see fs/control.h.
 *
 * Reading tells any reader of the file; writing, and what names other files (the members of a
 * directory, events), is for root and the configured group.  With
 * policy-xattr=trusted the writable names are in the trusted namespace, which NFS clients cannot
 * reach, and the user names only read.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "fs/assign.h"
#include "fs/caller.h"
#include "fs/control.h"
#include "fs/events.h"
#include "fs/quarantine.h"
#include "fs/status.h"

#define USER    "user.weir."
#define TRUSTED "trusted.weir."

bool control_owns(const char *name)
{
	return !strncmp(name, USER, strlen(USER)) || !strncmp(name, TRUSTED, strlen(TRUSTED));
}

/* What stands behind the namespace: "policy", "status", ... */
static const char *word_of(const char *name)
{
	return name + (name[0] == 'u' ? strlen(USER) : strlen(TRUSTED));
}

static const char *after(const char *word, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(word, prefix, n) ? NULL : word + n;
}

/* Root, and members of the configured group. */
static bool is_trusted(struct fs *fs, const struct fuse_ctx *ctx)
{
	const struct options *o = &fs->options;

	if (ctx->uid == 0)
		return true;
	return o->have_group && (ctx->gid == o->policy_group ||
				 caller_in_group(ctx->pid, o->policy_group));
}

/* ---- reading ----------------------------------------------------------------------------- */

static int dump(json_t *j, char **ret)
{
	*ret = json_dumps(j, JSON_COMPACT | JSON_PRESERVE_ORDER);
	json_decref(j);
	return *ret ? 0 : -ENOMEM;
}

static int copy_text(const char *s, char **ret)
{
	*ret = strdup(s);
	return *ret ? 0 : -ENOMEM;
}

static int get_policy(struct fs *fs, struct node *node, char **ret)
{
	struct assigned a;

	return assign_find(fs, &node->handle, &a) ? copy_text(a.policy, ret) : -ENODATA;
}

/* Events and the members of a directory name files that the reader may not be allowed to see. */
static int get_events(struct fs *fs, const struct fuse_ctx *ctx, struct node *node,
		      const char *since, char **ret)
{
	if (node->id != NODE_ROOT)
		return -ENODATA;
	if (!is_trusted(fs, ctx))
		return -EPERM;
	*ret = events_json(fs->events, strtoull(since, NULL, 10));
	return *ret ? 0 : -ENOMEM;
}

/* A value of an xattr has at most 64 KiB: a status that is longer comes without its members. */
static int get_status(struct fs *fs, const struct fuse_ctx *ctx, struct node *node, char **ret)
{
	int r = dump(status_of(fs, node, is_trusted(fs, ctx)), ret);

	if (r == 0 && strlen(*ret) > 65000) {
		free(*ret);
		r = dump(status_of(fs, node, false), ret);
	}
	return r;
}

static int get_word(struct fs *fs, const struct fuse_ctx *ctx, struct node *node, const char *word,
		    char **ret)
{
	const char *rest;

	if (!strcmp(word, "policy"))
		return get_policy(fs, node, ret);
	if (!strcmp(word, "status"))
		return get_status(fs, ctx, node, ret);
	if (!strcmp(word, "compliance"))
		return copy_text(compliance_name(status_compliance(fs, node)), ret);
	if (!strcmp(word, "stats"))
		return dump(status_stats(fs, node), ret);
	if ((rest = after(word, "plan.")))
		return dump(status_plan(fs, node, *rest ? rest : NULL), ret);
	if ((rest = after(word, "events.")))
		return get_events(fs, ctx, node, rest, ret);
	return -ENODATA;
}

int control_get(fuse_req_t req, struct node *node, const char *name, char **ret, size_t *ret_len)
{
	int r = get_word(request_fs(req), fuse_req_ctx(req), node, word_of(name), ret);

	if (r == 0)
		*ret_len = strlen(*ret);
	return r;
}

/* ---- writing ----------------------------------------------------------------------------- */

static int check_writer(fuse_req_t req, const char *name)
{
	struct fs *fs = request_fs(req);
	bool trusted = name[0] == 't';

	if (strcmp(word_of(name), "policy") && strcmp(word_of(name), "apply") &&
	    strcmp(word_of(name), "resume"))
		return -EPERM; /* the others only read */
	if (fs->options.trusted_xattr && !trusted)
		return -EPERM;
	return is_trusted(fs, fuse_req_ctx(req)) ? 0 : -EPERM;
}

/* setfattr -v gold gives 4 bytes; a shell's here-string adds a newline. */
static int take_name(const char *value, size_t size, char ret[POLICY_NAME_MAX + 2])
{
	while (size && (value[size - 1] == '\n' || !value[size - 1]))
		size--;
	if (size > POLICY_NAME_MAX || memchr(value, 0, size))
		return -EINVAL;
	memcpy(ret, value, size);
	ret[size] = 0;
	return 0;
}

/* Errors that setfattr can show well; the sentence is in the status and in the events. */
static int shown_error(int r)
{
	return r == -ENOENT || r == -EAGAIN ? -EINVAL : r;
}

static int set_policy(fuse_req_t req, struct node *node, const char *value, size_t size)
{
	struct fs *fs = request_fs(req);
	_cleanup_(freep) char *why = NULL;
	char name[POLICY_NAME_MAX + 2];
	int r = take_name(value, size, name);

	if (r < 0) {
		assign_note_refusal(fs, node->id, "not a policy's name: use at most 63 letters, "
						  "digits, - and _");
		return r;
	}
	r = assign_set(fs, node, *name ? name : NULL, fuse_req_ctx(req)->uid, &why);
	if (r == -ENODATA && !*name)
		return 0; /* clearing nothing is no error */
	return shown_error(r);
}

int control_set(fuse_req_t req, struct node *node, const char *name, const char *value, size_t size)
{
	_cleanup_(freep) char *why = NULL;
	int r = check_writer(req, name);

	if (r < 0)
		return r;
	if (!strcmp(word_of(name), "policy"))
		return set_policy(req, node, value, size);
	if (!strcmp(word_of(name), "resume")) {
		quarantine_lift(request_fs(req), node);
		return 0;
	}
	r = assign_apply(request_fs(req), node, &why);
	if (r < 0)
		assign_note_refusal(request_fs(req), node->id, why ? why : strerror(-r));
	return shown_error(r);
}

int control_remove(fuse_req_t req, struct node *node, const char *name)
{
	_cleanup_(freep) char *why = NULL;
	int r = check_writer(req, name);

	if (r < 0)
		return r;
	if (strcmp(word_of(name), "policy"))
		return -EPERM;
	return assign_set(request_fs(req), node, NULL, fuse_req_ctx(req)->uid, &why);
}
