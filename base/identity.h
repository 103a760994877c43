/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/identity.h - DATASTORE/.weir/datastore, the identity file: reading and writing it.
 *
 * Four lines of text, described in base/datastore.h.  Strict: a file that is not exactly such
 * lines is damaged, not guessed at; a larger number in the first line is a newer format.
 */
#ifndef BASE_IDENTITY_H
#define BASE_IDENTITY_H

#include "base/datastore.h"

struct identity {
	uint8_t fs_uuid[16];
	uint32_t incarnation;	    /* 1..CATALOG_INCARNATION_MAX */
	enum datastore_state state; /* FIRST_USE, REBUILDING or READY */
};

/* -EPROTO: newer format; -EUCLEAN: damaged. */
int identity_parse(const char *text, struct identity *ret);
int identity_format(const struct identity *id, char *ret, size_t size);

/* -ENOENT, or as identity_parse. */
int identity_read(int weir_fd, struct identity *ret);
/* Durable and atomic. */
int identity_write(int weir_fd, const struct identity *id);

/* The UUID of the filesystem of @fd: what the kernel says (6.9 and later), else the filesystem
 * id of statfs, padded. */
int identity_fs_uuid(int fd, uint8_t ret[16]);

#endif
