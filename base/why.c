/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/why.c - see base/why.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/why.h"

int why_set(int r, char **ret_why, const char *format, ...)
{
	va_list ap;

	if (!ret_why)
		return r;
	free(*ret_why);

	va_start(ap, format);
	if (vasprintf(ret_why, format, ap) < 0)
		*ret_why = NULL;
	va_end(ap);
	return r;
}
