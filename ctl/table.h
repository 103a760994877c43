/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/table.h - rows and columns, each column as wide as its widest cell.
 *
 * Cells are made safe for terminals as they are added.  A row with fewer cells than columns is
 * filled with empty ones; a note is a line of its own that no column has to make room for.
 * When memory runs out the table says so once, where it is printed (-ENOMEM).
 */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include <stdio.h>

struct table;

enum { TABLE_COLUMNS_MAX = 16 };

/* @headings are the columns, ended by NULL; one that starts with ">" is aligned to the right.
 * @indent spaces stand before each line.  NULL: no memory. */
struct table *table_new(const char *const *headings, unsigned indent);
void table_free(struct table *t); /* accepts NULL */
static inline void table_freep(struct table **t)
{
	table_free(*t);
}

/* @cells (copied) end with NULL; an empty cell is "". */
void table_row(struct table *t, const char *const *cells);
void table_note(struct table *t, const char *text);

/* Leave out the columns in which no row has anything but "" or "-". */
void table_hide_empty(struct table *t);

size_t table_rows(const struct table *t);
int table_print(const struct table *t, FILE *to);

#endif
