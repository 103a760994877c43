/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/table.c - see ctl/table.h. */
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/table.h"
#include "ctl/text.h"

#define COLUMN_GAP 2 /* spaces between two columns */

struct row {
	char *cells[TABLE_COLUMNS_MAX]; /* a note has only the first */
	bool note;
};

struct column {
	bool right, hidden;
	size_t width;
};

struct table {
	struct column columns[TABLE_COLUMNS_MAX];
	size_t n_columns;
	struct row *rows; /* the first one is the headings */
	size_t n_rows;
	unsigned indent;
	bool failed; /* out of memory: the table is not whole */
};

static struct row *add(struct table *t)
{
	struct row *rows = realloc(t->rows, (t->n_rows + 1) * sizeof *rows);

	if (!rows) {
		t->failed = true;
		return NULL;
	}
	t->rows = rows;
	rows[t->n_rows] = (struct row){0};
	return &rows[t->n_rows++];
}

static char *cell(struct table *t, const char *text)
{
	char *safe = text_safe(text);

	if (!safe)
		t->failed = true;
	return safe;
}

void table_row(struct table *t, const char *const *cells)
{
	struct row *row = add(t);

	if (!row)
		return;
	for (size_t i = 0; i < t->n_columns && cells[i]; i++) {
		row->cells[i] = cell(t, cells[i]);
		if (row->cells[i])
			t->columns[i].width = MAX(t->columns[i].width, text_width(row->cells[i]));
	}
}

void table_note(struct table *t, const char *text)
{
	struct row *row = add(t);

	if (!row)
		return;
	row->note = true;
	row->cells[0] = cell(t, text);
}

struct table *table_new(const char *const *headings, unsigned indent)
{
	const char *plain[TABLE_COLUMNS_MAX + 1] = {0};
	struct table *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->indent = indent;
	for (; headings[t->n_columns] && t->n_columns < TABLE_COLUMNS_MAX; t->n_columns++) {
		const char *heading = headings[t->n_columns];

		t->columns[t->n_columns].right = *heading == '>';
		plain[t->n_columns] = heading + (*heading == '>');
	}
	table_row(t, plain);
	return t;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n_rows; i++)
		for (size_t j = 0; j < TABLE_COLUMNS_MAX; j++)
			free(t->rows[i].cells[j]);
	free(t->rows);
	free(t);
}

static bool says_nothing(const char *text)
{
	return !text || !*text || strcmp(text, "-") == 0;
}

void table_hide_empty(struct table *t)
{
	for (size_t j = 0; j < t->n_columns; j++) {
		t->columns[j].hidden = true;
		for (size_t i = 1; i < t->n_rows; i++)
			if (!t->rows[i].note && !says_nothing(t->rows[i].cells[j]))
				t->columns[j].hidden = false;
	}
}

size_t table_rows(const struct table *t)
{
	return t->n_rows ? t->n_rows - 1 : 0;
}

/* Spaces are owed, not printed, until something follows: no line ends with blanks. */
static void print_row(const struct table *t, const struct row *row, FILE *to)
{
	size_t owed = t->indent;

	for (size_t j = 0; j < t->n_columns; j++) {
		const struct column *column = &t->columns[j];
		const char *text = row->cells[j] ? row->cells[j] : "";
		size_t pad = column->width - MIN(text_width(text), column->width);

		if (column->hidden)
			continue;
		owed += column->right ? pad : 0;
		if (*text) {
			fprintf(to, "%*s%s", (int)owed, "", text);
			owed = 0;
		}
		owed += (column->right ? 0 : pad) + COLUMN_GAP;
	}
	fputc('\n', to);
}

int table_print(const struct table *t, FILE *to)
{
	for (size_t i = 0; i < t->n_rows; i++) {
		const struct row *row = &t->rows[i];

		if (row->note)
			fprintf(to, "%*s%s\n", (int)t->indent, "",
				row->cells[0] ? row->cells[0] : "");
		else
			print_row(t, row, to);
	}
	return t->failed ? -ENOMEM : 0;
}
