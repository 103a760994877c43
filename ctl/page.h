/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/page.h - all there is to say about one disk, VM or file, for people. */
#ifndef CTL_PAGE_H
#define CTL_PAGE_H

#include <jansson.h>
#include <stdio.h>

#include "ctl/disks.h"

void page_print(const struct disk *d, FILE *to);

/* "gold, version 3 (from vm1/)", "none": malloc'ed. */
char *page_policy(const json_t *status, int with_version);

/* Why its I/O fails, as a sentence; malloc'ed, NULL: it does not. */
char *page_quarantine(const json_t *status);
/* The request that takes longest now, likewise. */
char *page_slow(const json_t *status);

#endif
