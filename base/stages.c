/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/stages.c - the one table that names all stages.
 *
 * A new stage is a file, a line in base/stages.h, a row here and a page in docs/.
 */
#include "base/stages.h"

const struct stage_class *const stage_classes[] = {
	&inspect_class,
	&limit_class,
	NULL,
};
