/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/test_chain_names.c - names in descriptors become paths below the root, or refusals. */
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/place_join.h"
#include "tests/unit/check.h"

static const struct {
	const char *dir, *name;
	unsigned flags;
	const char *path; /* NULL: refused */
} cases[] = {
	{"", "a.vmdk", 0, "a.vmdk"},
	{"vm1", "a.vmdk", 0, "vm1/a.vmdk"},
	{"vm1", "./a.vmdk", 0, "vm1/a.vmdk"},
	{"vm1", "sub//a.vmdk", 0, "vm1/sub/a.vmdk"},
	{"vm1", "...", 0, "vm1/..."},
	{"vm1", "disk 10:30.vmdk", 0, "vm1/disk 10:30.vmdk"},
	{"vm1", "vm 1 (2).vmdk", 0, "vm1/vm 1 (2).vmdk"},
	{"vm1", "../base/base.vmdk", PLACE_PARENT, "base/base.vmdk"},
	{"a/b", "../../c", PLACE_PARENT, "c"},
	{"a", "x/../../c/./d", PLACE_PARENT, "c/d"},
	{"a", ".weir/x", 0, "a/.weir/x"},
	{"", ".weirdo", 0, ".weirdo"},
	{"vm1", "../base/base.vmdk", 0, NULL},
	{"vm1", "../../x", PLACE_PARENT, NULL},
	{"", "..", PLACE_PARENT, NULL},
	{"", "a/../../x", PLACE_PARENT, NULL},
	{"a/b", "../../../../etc/passwd", PLACE_PARENT, NULL},
	{"", "/etc/passwd", PLACE_PARENT, NULL},
	{"", "//x", 0, NULL},
	{"", "", 0, NULL},
	{"", ".", 0, NULL},
	{"a", "..", PLACE_PARENT, NULL},
	{"", ".weir", 0, NULL},
	{"", ".weir/disks/x", 0, NULL},
	{"", "./.weir/disks/x", 0, NULL},
	{"vm", "../.weir/disks/x", PLACE_PARENT, NULL},
	{"vm", "../vm/../.weir", PLACE_PARENT, NULL},
	{"", "C:\\x", 0, NULL},
	{"", "c:x", 0, NULL},
	{"", "a\\b", 0, NULL},
	{"", "nbd:unix:/x", 0, NULL},
	{"", "nbd+unix:///x", 0, NULL},
	{"", "http://x/y", 0, NULL},
	{"", "json:{}", 0, NULL},
};

static void check_case(size_t i)
{
	char path[PATH_MAX];
	const char *why = NULL;
	int r = place_join(cases[i].dir, cases[i].name, cases[i].flags, path, sizeof path, &why);

	if (cases[i].path ? r != 0 || strcmp(path, cases[i].path) : r != -EACCES || !why) {
		fprintf(stderr, "case %zu, \"%s\" in \"%s\": %d \"%s\"\n", i, cases[i].name,
			cases[i].dir, r, r ? "" : path);
		check(false);
	}
}

static void check_lengths(void)
{
	char name[PATH_MAX], path[64];
	const char *why;

	memset(name, 'x', 256);
	name[256] = 0;
	check(place_join("", name, 0, path, sizeof path, &why) == -EACCES);
	name[255] = 0;
	check(place_join("", name, 0, path, sizeof path, &why) == -EACCES);
	name[62] = 0;
	check(place_join("", name, 0, path, sizeof path, &why) == 0);
	check(place_join("d", name, 0, path, sizeof path, &why) == -EACCES);
	check(place_directory("a/b/c") == 3);
	check(place_directory("c") == 0);
}

int main(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check_case(i);
	check_lengths();
	return 0;
}
