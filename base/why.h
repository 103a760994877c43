/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/why.h - the sentence that goes with an error.
 *
 *     return why_set(-EBUSY, ret_why, "%s is in use by process %d", path, pid);
 *
 * A sentence says what is wrong and, where somebody can do something, what to do.  It has no
 * full stop, no newline and no program name: whoever prints it adds those.
 *
 * A variable for it starts as NULL; a newer sentence frees the older one.
 */
#ifndef BASE_WHY_H
#define BASE_WHY_H

/* Replace *ret_why (NULL: nobody wants to know) by a malloc'ed sentence; returns @r. */
int why_set(int r, char **ret_why, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
