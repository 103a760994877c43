/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/test_table.c - columns are as wide as they need to be, and no line ends in blanks. */
#include <string.h>

#include "base/cleanup.h"
#include "check.h"
#include "ctl/table.h"
#include "ctl/text.h"

static void prints(struct table *t, const char *expected)
{
	_cleanup_(freep) char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	check(f);
	check(table_print(t, f) == 0);
	fclose(f);
	check(strcmp(text, expected) == 0);
}

static void test_layout(void)
{
	static const char *const headings[] = {"NAME", ">SIZE", "WAY", NULL};
	_cleanup_(table_freep) struct table *t = table_new(headings, 0);

	check(t);
	table_row(t, (const char *[]){"a", "1", "x", NULL});
	table_row(t, (const char *[]){"\xe6\x97\xa5\xe6\x9c\xac z", "1000", "", NULL});
	table_row(t, (const char *[]){"short", NULL});
	check(table_rows(t) == 3);
	prints(t, "NAME    SIZE  WAY\n"
		  "a          1  x\n"
		  "\xe6\x97\xa5\xe6\x9c\xac z  1000\n"
		  "short\n");
}

static void test_hidden_notes_and_indent(void)
{
	static const char *const headings[] = {"NAME", ">IO", "END", NULL};
	_cleanup_(table_freep) struct table *t = table_new(headings, 2);

	check(t);
	table_row(t, (const char *[]){"a", "-", "e", NULL});
	table_note(t, "a note that is longer than any column");
	table_row(t, (const char *[]){"b", "", "\033", NULL});
	table_hide_empty(t);
	prints(t, "  NAME  END\n"
		  "  a     e\n"
		  "  a note that is longer than any column\n"
		  "  b     \\x1b\n");
}

int main(void)
{
	text_start();
	test_layout();
	test_hidden_notes_and_indent();
	return 0;
}
