/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/policy.h - the parts of `weir policy`: each gets argv[0] = its own name. */
#ifndef CTL_POLICY_H
#define CTL_POLICY_H

/* About policy files (ctl/policy_files.c). */
int policy_list_run(int argc, char **argv);
int policy_show_run(int argc, char **argv);
int policy_check_run(int argc, char **argv);

/* About the files and directories of a mount (ctl/policy_attach.c). */
int policy_set_run(int argc, char **argv);
int policy_clear_run(int argc, char **argv);
int policy_apply_run(int argc, char **argv);

#endif
