/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/assign_table.h - what fs/assign_change.c and fs/assign_load.c need of the table in
 * fs/assign.c. */
#ifndef FS_ASSIGN_TABLE_H
#define FS_ASSIGN_TABLE_H

#include "fs/assign.h"

/* Held over a whole change, system calls included: changes come from administrators, one at a
 * time, and nothing that serves a guest ever waits for it. */
pthread_mutex_t *assign_change_lock(struct fs *fs);

int assign_put_row(struct fs *fs, const struct assigned *assigned, bool complete);
void assign_drop_row(struct fs *fs, const struct handle *h);

/* The row as it is, without reading its header.  False: there is none. */
bool assign_peek(struct fs *fs, const struct handle *h, struct assigned *ret);
bool assign_is_complete(struct fs *fs, const struct handle *h); /* its header was read */

int assign_load(struct fs *fs); /* at mount: fs/assign_load.c */

/* Remember what belongs to the object, as recognition sees it. */
void assign_learn_parts(struct fs *fs, struct node *node, uint32_t flags);
void assign_forget_parts(struct fs *fs, const struct handle *owner);

#endif
