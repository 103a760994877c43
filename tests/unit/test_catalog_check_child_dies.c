/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A check whose child dies by a signal says that the catalog is damaged, and so does a check of
 * something that is no file.  Neither waits.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "tests/unit/catalog_rig.h"

/* From now on setrlimit kills, and the check's child is the one that calls it. */
static void make_setrlimit_fatal(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prlimit64, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {ARRAY_SIZE(code), code};

	check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void no_file(const char *dir)
{
	char path[200], why[200];

	snprintf(path, sizeof path, "%s/catalog", dir);
	check(mkdir(path, 0700) == 0);
	snprintf(path, sizeof path, "%s/catalog/data.mdb", dir);
	check(mkfifo(path, 0600) == 0);
	check(rig_check(dir, why) == -EUCLEAN && strstr(why, "no file"));
	check(remove(path) == 0 && mkdir(path, 0700) == 0);
	check(rig_check(dir, why) == -EUCLEAN && strstr(why, "no file"));
	check(remove(path) == 0 && close(creat(path, 0600)) == 0);
	check(rig_check(dir, why) == -EUCLEAN && strstr(why, "too short"));
}

static void test(const char *dir)
{
	char why[200];

	no_file(dir);
	catalog_close(rig_create(dir));
	check(rig_check(dir, NULL) == 0);
	make_setrlimit_fatal();
	check(rig_check(dir, why) == -EUCLEAN && strstr(why, "signal"));
}

int main(void)
{
	alarm(20);
	return scratch_run(test);
}
