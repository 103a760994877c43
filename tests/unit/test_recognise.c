/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/test_recognise.c - the parsers of weir-recognise, on memory, for the sanitizers.
 *
 * Every input lies in a buffer of its very size, so that one byte too far is seen.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/recognise.h"
#include "tests/unit/check.h"

static const char descriptor[] = "# Disk DescriptorFile\n"
				 "version=1\n"
				 "CID=5a18e6fc\n"
				 "parentCID=1badcafe\n"
				 "createType=\"vmfsSparse\"\n"
				 "parentFileNameHint=\"base.vmdk\"\n"
				 "RW 16384 VMFSSPARSE \"d-000001-delta.vmdk\"\n"
				 "RDONLY 2048 ZERO\n"
				 "ddb.adapterType = \"lsilogic\"\n";

static const char vmx[] = ".encoding = \"UTF-8\"\n"
			  "config.version = \"8\"\n"
			  "displayName = \"a |22b|22\"\n"
			  "scsi0:0.fileName = \"vm.vmdk\"\n"
			  "scsi0:0.present = \"TRUE\"\n"
			  "snapshot0.disk0.fileName = \"vm-000001.vmdk\"\n";

/* What is seen of @len bytes at @bytes; the line is checked to be JSON of one line. */
static void see(const void *bytes, size_t len, struct seen *s)
{
	_cleanup_(freep) uint8_t *copy = malloc(len ? len : 1);
	struct input in = {.fd = -1, .data = copy, .size = len};
	_cleanup_(freep) char *line = NULL;
	json_t *o;

	check(copy);
	memcpy(copy, bytes, len);
	*s = (struct seen){0};
	check(recognise(&in, s) == 0);
	check(s->type);
	line = seen_json(s);
	check(line && strchr(line, '\n') == line + strlen(line) - 1);
	o = json_loads(line, 0, NULL);
	check(o && strcmp(json_string_value(json_object_get(o, "type")), s->type) == 0);
	json_decref(o);
}

static void expect(const void *bytes, size_t len, const char *type, bool problem)
{
	struct seen s;

	see(bytes, len, &s);
	check(strcmp(s.type, type) == 0);
	check((s.problem != NULL) == problem);
	seen_done(&s);
}

static void test_descriptor(void)
{
	struct seen s;

	see(descriptor, strlen(descriptor), &s);
	check(strcmp(s.type, "vmdk vmfsSparse") == 0 && !s.problem && s.descriptor && s.sparse);
	check(s.capacity == (16384 + 2048) * 512 && s.n_extents == 2);
	check(s.cid == 0x5a18e6fc && s.has_parent_cid && s.parent_cid == 0x1badcafe);
	check(span_is(s.parent, "base.vmdk") && span_is(s.adapter, "lsilogic"));
	check(span_is(s.extents[0].file, "d-000001-delta.vmdk") && !s.extents[1].file.at);
	seen_done(&s);
}

static void test_vmx(void)
{
	struct seen s;

	see(vmx, strlen(vmx), &s);
	check(strcmp(s.type, "vmx") == 0 && span_is(s.name, "a \"b\""));
	check(s.disks.n == 2 && span_is(s.disks.at[0], "vm.vmdk"));
	seen_done(&s);
}

/* Every beginning of a text, and every text with one byte changed. */
static void sweep(const char *text)
{
	_cleanup_(freep) char *copy = strdup(text);
	static const char bytes[] = {0, '\n', '"', '=', ' ', '|', '9', (char)0xff};
	size_t i, j, len = strlen(text);
	struct seen s;
	char old;

	check(copy);
	for (i = 0; i <= len; i++) {
		see(text, i, &s);
		seen_done(&s);
	}
	for (i = 0; i < len; i++) {
		old = copy[i];
		for (j = 0; j < sizeof bytes; j++) {
			copy[i] = bytes[j];
			see(copy, len, &s);
			seen_done(&s);
		}
		copy[i] = old;
	}
}

/* Headers whose every 32-bit word in turn is zero, large, and all ones. */
static void sweep_header(const char *magic, size_t at, size_t magic_len)
{
	static const uint32_t values[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff};
	uint8_t b[2048] = {0};
	struct seen s;
	size_t i, j;

	for (i = 0; i + 4 <= 512; i += 4) {
		for (j = 0; j < ARRAY_SIZE(values); j++) {
			memset(b, i % 8 ? 0xff : 0, sizeof b);
			memcpy(b + i, &values[j], 4);
			memcpy(b + at, magic, magic_len);
			see(b, sizeof b, &s);
			seen_done(&s);
		}
	}
}

static void test_names(void)
{
	static const char *const bad[] = {"",	  "/x",	  "..",	      "a/../b", "nbd:x", "C:\\x",
					  "a\\b", "a//b", "a\tb\001", ".",	"x/"};
	static const char *const good[] = {"a", "a b.vmdk", "..a", "a/b", "1:2", "%41", "gr\xfc"};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		check(name_is_suspect((struct span){bad[i], strlen(bad[i])}, SEEN_NAME_MAX));
	for (i = 0; i < ARRAY_SIZE(good); i++)
		check(!name_is_suspect((struct span){good[i], strlen(good[i])}, SEEN_NAME_MAX));
}

static void test_utf8(void)
{
	static const char *const bad[] = {"\x80",	  "\xc0\x80",	  "\xc1\xbf",
					  "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
					  "\xf5\x80\x80", "\xe2\x82",	  "\xff",
					  "a\xc3"};
	static const char *const good[] = {
		"a",	       "\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf",
		"\xee\x80\x80"};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		check(!text_is_utf8((struct span){bad[i], strlen(bad[i])}));
	for (i = 0; i < ARRAY_SIZE(good); i++)
		check(text_is_utf8((struct span){good[i], strlen(good[i])}));
}

static void test_numbers(void)
{
	uint64_t n = 7;

	check(span_number((struct span){"18446744073709551615", 20}, &n) && n == UINT64_MAX);
	check(!span_number((struct span){"18446744073709551616", 20}, &n));
	check(!span_number((struct span){"99999999999999999999999", 23}, &n));
	check(!span_number((struct span){"", 0}, &n) && !span_number((struct span){"-1", 2}, &n));
	check(n == UINT64_MAX);
}

int main(void)
{
	uint8_t zeros[1024] = {0};

	test_descriptor();
	test_vmx();
	test_names();
	test_utf8();
	test_numbers();
	expect("", 0, "empty", false);
	expect(zeros, 1024, "raw", false);
	expect(zeros, 1023, "other", false);
	expect("KDMV", 4, "text", false);
	sweep(descriptor);
	sweep(vmx);
	sweep_header("KDMV", 0, 4);
	sweep_header("COWD", 0, 4);
	sweep_header("\xbe\xba\xfe\xca\0\0\0\0", 0, 8);
	sweep_header("QFI\xfb", 0, 4);
	sweep_header("QED", 0, 4);
	sweep_header("\x7f\x10\xda\xbe", 64, 4);
	sweep_header("conectix", 0, 8);
	sweep_header("conectix", 1536, 8);
	sweep_header("vhdxfile", 0, 8);
	return 0;
}
