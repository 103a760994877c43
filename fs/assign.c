/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/assign.c - see fs/assign.h.  Nothing can be assigned yet: every file is bare. */
#include "fs/assign.h"

void cover_done(struct cover *c)
{
	policy_unref(c->policy);
	free(c->parts);
}

int assignments_new(struct fs *fs, struct assignments **ret)
{
	*ret = NULL;
	return 0;
}

void assignments_free(struct assignments *a)
{
}

int assign_cover(struct fs *fs, struct node *node, struct cover *ret)
{
	return 0;
}

bool assign_needs_daemon(struct fs *fs, struct node *node)
{
	return false;
}

bool assign_has_stages(struct fs *fs, struct node *node)
{
	return false;
}

int assign_may_link(struct fs *fs, struct node *node, struct node *dir, const char *name)
{
	return 0;
}

void assign_file_unlinked(struct fs *fs, const struct handle *h, bool last_name)
{
}

void assign_file_replaced(struct fs *fs, const struct handle *old, const struct handle *by,
			  bool last_name)
{
}

void assign_file_closed(struct fs *fs, struct node *node)
{
}

void assign_apply_all(struct fs *fs)
{
}
