/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/stages.h - the kinds of stages there are; for base/stages.c alone.
 *
 * Whoever wants one asks stage_class_find: only the table knows them by name.
 */
#ifndef BASE_STAGES_H
#define BASE_STAGES_H

#include "base/stack.h"

extern const struct stage_class inspect_class; /* policies/inspect.c */
extern const struct stage_class limit_class;   /* policies/limit.c */

#endif
