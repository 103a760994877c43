/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whose name a file's name extends. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/family.h"
#include "tests/unit/check.h"

static const struct {
	const char *name, *base[FAMILY_MAX];
} table[] = {
	{"vm1-flat.vmdk", {"vm1.vmdk"}},
	{"vm1-delta.vmdk", {"vm1.vmdk"}},
	{"vm1-sesparse.vmdk", {"vm1.vmdk"}},
	{"vm1-ctk.vmdk", {"vm1.vmdk"}},
	{"vm1-rdm.vmdk", {"vm1.vmdk"}},
	{"vm1-rdmp.vmdk", {"vm1.vmdk"}},
	{"vm1-digest.vmdk", {"vm1.vmdk"}},
	{"vm1-000001.vmdk", {"vm1.vmdk"}},
	{"vm1-s001.vmdk", {"vm1.vmdk"}},
	{"vm1-f001.vmdk", {"vm1.vmdk"}},
	{"vm1-s123456.vmdk", {"vm1.vmdk"}},
	{"vm1-000001-delta.vmdk", {"vm1-000001.vmdk", "vm1.vmdk"}},
	{"vm1-000001-sesparse.vmdk", {"vm1-000001.vmdk", "vm1.vmdk"}},
	{"vm1-000001-s001.vmdk", {"vm1-000001.vmdk", "vm1.vmdk"}},
	{"vm1-000001-ctk.vmdk", {"vm1-000001.vmdk", "vm1.vmdk"}},
	{"vm1_1-000002.vmdk", {"vm1_1.vmdk"}},
	{"a b\n-flat.vmdk", {"a b\n.vmdk"}},
	{"\xff\xfe-flat.vmdk", {"\xff\xfe.vmdk"}},
	{"x-1-000001-000002-000003-000004-000005.vmdk", /* not deeper than FAMILY_MAX */
	 {"x-1-000001-000002-000003-000004.vmdk", "x-1-000001-000002-000003.vmdk",
	  "x-1-000001-000002.vmdk", "x-1-000001.vmdk"}},

	{"vm1.vmdk", {0}},
	{"", {0}},
	{".vmdk", {0}},
	{"-flat.vmdk", {0}},
	{"-000001.vmdk", {0}},
	{"-s001.vmdk", {0}},
	{"vm1-flat.vmdk.bak", {0}},
	{"vm1-flat", {0}},
	{"vm1-flat.VMDK", {0}},
	{"vm1-FLAT.vmdk", {0}},
	{"vm1flat.vmdk", {0}},
	{"vm1-flatt.vmdk", {0}},
	{"vm1-00001.vmdk", {0}},
	{"vm1-0000001.vmdk", {0}},
	{"vm1_000001.vmdk", {0}},
	{"vm1-00000a.vmdk", {0}},
	{"vm1-s01.vmdk", {0}},
	{"vm1-s1234567.vmdk", {0}},
	{"vm1-t001.vmdk", {0}},
	{"vm1-\xd9\xa1\xd9\xa2\xd9\xa3.vmdk", {0}}, /* digits, but not of ASCII */
	{"vm1-flat.qcow2", {0}},
};

static void one(const char *name, const char *const *base)
{
	char names[FAMILY_MAX][256];
	size_t n = family_base_names(name, names), want = 0;

	while (want < FAMILY_MAX && base[want])
		want++;
	if (n != want)
		fprintf(stderr, "%s: %zu names and not %zu\n", name, n, want);
	check(n == want);
	for (size_t i = 0; i < n; i++)
		check(!strcmp(names[i], base[i]));
}

static void long_names(void)
{
	char names[FAMILY_MAX][256], name[300], want[300];

	snprintf(name, sizeof name, "%0245d-flat.vmdk", 0); /* 255 bytes */
	snprintf(want, sizeof want, "%0245d.vmdk", 0);
	check(strlen(name) == 255 && family_base_names(name, names) == 1);
	check(!strcmp(names[0], want));
	snprintf(name, sizeof name, "%0246d-flat.vmdk", 0); /* no name of a file */
	check(family_base_names(name, names) == 0);
}

static void vmx(void)
{
	check(family_of_vmx("vm1.vmx", "vm1.vmx") && family_of_vmx("vm1.nvram", "vm1.vmx"));
	check(family_of_vmx("vm1-flat.vmdk", "vm1.vmx") && family_of_vmx("vm1_1.vmdk", "vm1.vmx"));
	check(family_of_vmx("vm1", "vm1.vmx") && family_of_vmx("vm1.vmx.lck", "vm1.vmx"));
	check(!family_of_vmx("vm10.vmdk", "vm1.vmx") && !family_of_vmx("vm.vmdk", "vm1.vmx"));
	check(!family_of_vmx("VM1.vmdk", "vm1.vmx") && !family_of_vmx("", "vm1.vmx"));
	check(family_of_vmx("a\xff.x", "a\xff.vmx"));
}

int main(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		one(table[i].name, table[i].base);
	long_names();
	vmx();
	return 0;
}
