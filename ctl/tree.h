/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/tree.h - any JSON value as indented lines for people: "key  value", members below. */
#ifndef CTL_TREE_H
#define CTL_TREE_H

#include <jansson.h>
#include <stdio.h>

/* The members of an object or array, @indent spaces in; a scalar is one line. */
void tree_print(const json_t *value, unsigned indent, FILE *to);

/* A scalar as text without quotes, made safe; malloc'ed, NULL when there is no memory. */
char *tree_scalar(const json_t *value);

#endif
