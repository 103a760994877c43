/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/fuzz/fuzz_recognise.c - libFuzzer over the own parsers of weir-recognise.
 *
 *     python3 tests/recognise/images.py corpus
 *     build-fuzz/tests/fuzz/fuzz_recognise -max_total_time=60 -max_len=9000 corpus
 *
 * Whatever the bytes: an answer, of one line of JSON, within the bounds of ctl/recognise.h.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/recognise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {.fd = -1, .data = data, .size = size};
	struct seen s = {0};
	char *line;
	json_t *o;

	require(recognise(&in, &s) == 0);
	require(s.type && s.n_extents <= SEEN_EXTENTS_MAX && s.capacity <= SEEN_CAPACITY_MAX);
	require(s.grain <= SEEN_GRAIN_MAX);
	require(!s.descriptor ||
		(size <= DESCRIPTOR_MAX && s.n_extents > 0 && s.has_cid + !!s.problem));
	line = seen_json(&s);
	require(line && strlen(line) <= 2u << 20 && strchr(line, '\n') == line + strlen(line) - 1);
	o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	require(json_is_object(o));
	json_decref(o);
	free(line);
	seen_done(&s);
	return 0;
}
