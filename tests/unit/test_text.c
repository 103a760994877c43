/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/test_text.c - text for terminals: safe, measured, sized, and near to what was meant.
 */
#include <string.h>

#include "base/cleanup.h"
#include "check.h"
#include "ctl/text.h"

static void safe_is(const char *from, const char *to)
{
	_cleanup_(freep) char *safe = text_safe(from);

	check(safe && strcmp(safe, to) == 0);
}

static void test_safe(void)
{
	safe_is("", "");
	safe_is("plain name.vmdk", "plain name.vmdk");
	safe_is("\xc3\xbc \xe6\x97\xa5", "\xc3\xbc \xe6\x97\xa5");
	safe_is("a\033[31mb\r\n\tc\x7f", "a\\x1b[31mb\\x0d\\n\\tc\\x7f");
	safe_is("\xff\xfe\x80", "\\xff\\xfe\\x80"); /* no UTF-8 */
	safe_is("\xc3", "\\xc3");		    /* cut off */
	safe_is("\xc0\xaf", "\\xc0\\xaf");	    /* overlong */
	safe_is("\xc2\x9b"
		"31m",
		"\\xc2\\x9b31m"); /* C1: CSI in one character */
	safe_is("a\xe2\x80\xae"
		"b",
		"a\\xe2\\x80\\xae"
		"b"); /* right-to-left override */
	safe_is("a\xe2\x80\x8b"
		"b",
		"a\\xe2\\x80\\x8b"
		"b"); /* zero width space */
}

static void test_width(void)
{
	check(text_width("abc") == 3);
	check(text_width("\xc3\xbc") == 1);
	check(text_width("\xe6\x97\xa5\xe6\x9c\xac") == 4);
	check(text_width("e\xcc\x81") == 1); /* combining accent */
}

static void size_is(uint64_t bytes, const char *text)
{
	char size[TEXT_SIZE_MAX];

	check(strcmp(text_size(bytes, size), text) == 0);
}

static void test_size(void)
{
	size_is(0, "0 B");
	size_is(1023, "1023 B");
	size_is(1024, "1 KiB");
	size_is(1536, "1.5 KiB");
	size_is(1024 * 1024 - 1, "1 MiB");
	size_is(UINT64_C(100) << 30, "100 GiB");
	size_is(UINT64_C(1) << 40, "1 TiB");
	size_is(UINT64_MAX, "16 EiB");
}

static void test_count_and_duration(void)
{
	char text[TEXT_SIZE_MAX];

	check(strcmp(text_count(0, text), "0") == 0);
	check(strcmp(text_count(999.7, text), "1k") == 0);
	check(strcmp(text_count(12345, text), "12.3k") == 0);
	check(strcmp(text_duration_ns(850, text), "850 ns") == 0);
	check(strcmp(text_duration_ns(12500, text), "12.5 us") == 0);
	check(strcmp(text_duration_ns(2e9, text), "2 s") == 0);
}

static void test_nearest(void)
{
	static const char *const words[] = {"mount", "umount", "status", "passthrough", NULL};
	char longer[200];

	check(strcmp(text_nearest("mout", words), "mount") == 0);
	check(strcmp(text_nearest("statsu", words), "status") == 0);
	check(strcmp(text_nearest("pass", words), "passthrough") == 0);
	check(strcmp(text_nearest("passthru", words), "passthrough") == 0);
	check(!text_nearest("frobnicate", words));
	check(!text_nearest("", words));
	memset(longer, 'x', sizeof longer);
	longer[sizeof longer - 1] = 0;
	check(!text_nearest(longer, words));
}

int main(void)
{
	text_start();
	test_safe();
	test_width();
	test_size();
	test_count_and_duration();
	test_nearest();
	return 0;
}
