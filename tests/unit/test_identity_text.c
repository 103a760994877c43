/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/test_identity_text.c - the identity file is read strictly, and written as it is read. */
#include <string.h>

#include "base/identity.h"
#include "check.h"

#define UUID "00112233445566778899aabbccddeeff"

static void test_round_trip(void)
{
	static const char text[] = "weir-datastore 1\nfs-uuid " UUID
				   "\nincarnation 1048575\ncatalog rebuilding\n";
	struct identity id;
	char again[512];

	check(identity_parse(text, &id) == 0);
	check(id.fs_uuid[0] == 0x00 && id.fs_uuid[15] == 0xff);
	check(id.incarnation == CATALOG_INCARNATION_MAX);
	check(id.state == DATASTORE_REBUILDING);
	check(identity_format(&id, again, sizeof again) == 0);
	check(strcmp(text, again) == 0);
}

static void test_refuses(void)
{
	static const struct {
		const char *text;
		int r;
	} cases[] = {
		{"", -EUCLEAN},
		{"weir-datastore 2\nanything at all\n", -EPROTO},
		{"weir-datastore 1\n", -EUCLEAN},
		{"weir-datastore 1\nfs-uuid " UUID "\nincarnation 1\n", -EUCLEAN},
		{"weir-datastore 1\nfs-uuid " UUID "\nincarnation 0\ncatalog ready\n", -EUCLEAN},
		{"weir-datastore 1\nfs-uuid " UUID "\nincarnation -1\ncatalog ready\n", -EUCLEAN},
		{"weir-datastore 1\nfs-uuid " UUID "\nincarnation 01\ncatalog ready\n", -EUCLEAN},
		{"weir-datastore 1\nfs-uuid " UUID "\nincarnation 1048576\ncatalog ready\n",
		 -EUCLEAN},
		{"weir-datastore 1\nfs-uuid " UUID "\nincarnation 1\ncatalog rea", -EUCLEAN},
		{"weir-datastore 1\nfs-uuid " UUID "\nincarnation 1\ncatalog ready\nmore\n",
		 -EUCLEAN},
		{"weir-datastore 1\nfs-uuid " UUID "0\nincarnation 1\ncatalog ready\n", -EUCLEAN},
		{"weir-datastore 1\nfs-uuid 00\nincarnation 1\ncatalog ready\n", -EUCLEAN},
	};
	struct identity id = {.incarnation = 77};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(identity_parse(cases[i].text, &id) == cases[i].r);
	check(id.incarnation == 77); /* written only on success */
}

int main(void)
{
	test_round_trip();
	test_refuses();
	return 0;
}
