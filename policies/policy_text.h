/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policies/policy_text.h - a policy from the text of its file: between policy.c and its tests. */
#ifndef POLICIES_POLICY_TEXT_H
#define POLICIES_POLICY_TEXT_H

#include "policies/policy.h"

/* @file is what sentences name, @name what the text must call itself. */
int policy_parse(const char *file, const char *name, const char *text, size_t len,
		 struct policy **ret, char **ret_why);

#endif
