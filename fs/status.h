/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/status.h - the state of a file, VM or directory as JSON; the members are in weir(1). */
#ifndef FS_STATUS_H
#define FS_STATUS_H

#include <jansson.h>

#include "fs/fs.h"
#include "policies/policy.h"

/* user.weir.status.  With @members (VM, directory, datastore) the disks in it too. */
json_t *status_of(struct fs *fs, struct node *node, bool members);

/* user.weir.stats: the counters of the stages in use, {} when there are none. */
json_t *status_stats(struct fs *fs, struct node *node);

/* user.weir.compliance */
enum compliance status_compliance(struct fs *fs, struct node *node);

/* user.weir.plan.NAME: what attaching @policy (NULL: clearing) would do. */
json_t *status_plan(struct fs *fs, struct node *node, const char *policy);

/* A string for JSON; what is no UTF-8 is shown with "?". */
json_t *status_text(const char *s);

#endif
