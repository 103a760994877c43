/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/test_chain_facts.c - facts fit the catalog, say when they are cut, and age rightly. */
#include <string.h>

#include "base/cleanup.h"
#include "fs/facts.h"
#include "tests/unit/check.h"

static const struct stat then = {.st_size = 700, .st_ctim = {.tv_sec = 5, .tv_nsec = 7}};

static json_t *facts_with(size_t n, const char *type)
{
	json_t *facts = json_pack("{s:s, s:[]}", "type", type, "extents");

	for (size_t i = 0; i < n; i++)
		json_array_append_new(
			json_object_get(facts, "extents"),
			json_pack("{s:s, s:i}", "file", "disk-s001.vmdk", "sectors", (int)i));
	return facts;
}

static void check_round_trip(size_t n, bool whole)
{
	_cleanup_(json_decrefp) json_t *facts = facts_with(n, "vmdk vmfs"), *back = NULL;
	_cleanup_(freep) char *record = facts_record(facts, &then);
	struct stat now = then;
	bool current = false;

	check(record && strlen(record) <= FACTS_TEXT_MAX);
	check(json_array_size(json_object_get(facts, "extents")) == n); /* the caller's is whole */
	back = facts_of_record(record, &then, &current);
	check(back && current && facts_whole(back) == whole);
	check(!whole || json_equal(back, facts));
	check(whole || json_integer_value(json_object_get(back, "extents_count")) == (json_int_t)n);
	now.st_ctim.tv_nsec++;
	json_decref(facts_of_record(record, &now, &current));
	check(!current);
	now = then;
	now.st_size++;
	json_decref(facts_of_record(record, &now, &current));
	check(!current);
	json_decref(facts_of_record(record, NULL, &current));
	check(current);
}

static void check_damage(void)
{
	static const char *const bad[] = {
		"",
		"{}",
		"[]",
		"{\"size\":1,\"changed\":2}",
		"{\"facts\":{\"type\":\"raw\"}}",
		"{\"size\":1,\"changed\":2,\"facts\":{}}",
		"{\"size\":1,\"changed\":2,\"facts\":[]}",
	};
	bool current;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		check(!facts_of_record(bad[i], NULL, &current));
	check(!facts_parse("[1]") && !facts_parse("{}") && !facts_parse("{\"type\":1}") &&
	      !facts_parse("{\"type\":\"raw\",\"type\":\"raw\"}"));
}

static enum facts_change when(const char *json)
{
	_cleanup_(json_decrefp) json_t *facts = facts_parse(json);

	check(facts);
	return facts_when_changed(facts);
}

static void check_ages(void)
{
	check(when("{\"type\":\"raw\"}") == FACTS_KEEP);
	check(when("{\"type\":\"raw\",\"bootable\":true}") == FACTS_KEEP);
	check(when("{\"type\":\"iso9660\"}") == FACTS_KEEP);
	check(when("{\"type\":\"other\"}") == FACTS_KEEP);
	check(when("{\"type\":\"vmdk vmfs\",\"descriptor\":true}") == FACTS_AGAIN);
	check(when("{\"type\":\"vmx\"}") == FACTS_AGAIN);
	check(when("{\"type\":\"vmdk monolithicSparse\",\"embedded\":true}") == FACTS_FORMAT);
	check(when("{\"type\":\"vmdk seSparse\",\"descriptor\":false}") == FACTS_FORMAT);
	check(when("{\"type\":\"qcow2\"}") == FACTS_FORMAT);
}

static void check_name(const char *text, bool escaped, int r, const char *bytes)
{
	char name[8];

	check(facts_name(text, escaped, name, sizeof name) == r);
	check(r < 0 || !strcmp(name, bytes));
}

static void check_names(void)
{
	check_name("a%41", false, 0, "a%41");
	check_name("a%41%25", true, 0, "aA%");
	check_name("%fF%FE", true, 0, "\xff\xfe");
	check_name("a%00b", true, -EINVAL, NULL);
	check_name("a%4", true, -EINVAL, NULL);
	check_name("a%", true, -EINVAL, NULL);
	check_name("a%zz", true, -EINVAL, NULL);
	check_name("", false, -EINVAL, NULL);
	check_name("1234567", false, 0, "1234567");
	check_name("12345678", false, -ENAMETOOLONG, NULL);
}

static void check_problem(void)
{
	_cleanup_(json_decrefp) json_t *facts = facts_unknown("\xff\n");

	check(!strcmp(json_string_value(json_object_get(facts, "problem")),
		      "recognition of this file failed: ??"));
	facts_problem(facts, "another");
	check(!strncmp(json_string_value(json_object_get(facts, "problem")), "recog", 5));
	check(!facts_keepable(facts));
}

int main(void)
{
	check_round_trip(0, true);
	check_round_trip(3, true);
	check_round_trip(4096, false);
	check_damage();
	check_ages();
	check_names();
	check_problem();
	return 0;
}
