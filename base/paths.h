/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/paths.h - where weir's programs and policies are, installed or in a build tree.
 *
 * A program that runs from a build tree (its directory's parent has meson's meson-info) finds
 * the others in ../fs and ../ctl and the policies in the source tree; an installed one looks in
 * its libexec directory and in /etc/weir and /usr/share/weir.  The environment has no say.
 */
#ifndef BASE_PATHS_H
#define BASE_PATHS_H

#define PATHS_POLICY_DIRS_MAX 4

/* Absolute path of weir's program @name ("weir-worker", "weir-recognise"), malloc'ed.
 * -ENOENT: it is nowhere it should be. */
int paths_find_program(const char *name, char **ret);

/* Fill @ret with the policy directories in the order they are asked, ended by NULL.  @option is
 * the directory of -o policies=, which then is the only one, or NULL.  The strings are borrowed:
 * constants, or @option. */
void paths_policy_dirs(const char *option, const char *ret[PATHS_POLICY_DIRS_MAX]);

#endif
