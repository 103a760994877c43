/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/recognise_span.c - text in pieces that are not terminated, and names in it.
 *
 * Nothing here copies, allocates or reads outside of the span it is given; the locale is never
 * asked, so that the same bytes give the same answer everywhere.
 */
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/recognise.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v';
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_letter(char c)
{
	return lower(c) >= 'a' && lower(c) <= 'z';
}

bool span_begins(struct span a, const char *word)
{
	size_t i;

	for (i = 0; word[i]; i++)
		if (i >= a.len || lower(a.at[i]) != lower(word[i]))
			return false;
	return true;
}

bool span_is(struct span a, const char *word)
{
	return a.at && strlen(word) == a.len && span_begins(a, word);
}

bool span_ends(struct span a, const char *word)
{
	size_t len = strlen(word);

	return a.len >= len && span_is((struct span){a.at + a.len - len, len}, word);
}

struct span span_trim(struct span a)
{
	while (a.len && is_blank(a.at[0])) {
		a.at++;
		a.len--;
	}
	while (a.len && is_blank(a.at[a.len - 1]))
		a.len--;
	return a;
}

struct span span_unquote(struct span a)
{
	if (a.len >= 2 && a.at[0] == '"' && a.at[a.len - 1] == '"')
		return (struct span){a.at + 1, a.len - 2};
	return a;
}

bool span_line(struct span *text, struct span *ret_line)
{
	const char *end;
	size_t used;

	if (text->len == 0)
		return false;
	end = memchr(text->at, '\n', text->len);
	used = end ? (size_t)(end - text->at) + 1 : text->len;
	*ret_line = (struct span){text->at, end ? used - 1 : used};
	text->at += used;
	text->len -= used;
	return true;
}

bool span_pair(struct span line, struct span *ret_key, struct span *ret_value)
{
	const char *equals = line.len ? memchr(line.at, '=', line.len) : NULL;
	size_t n;

	if (!equals)
		return false;
	n = (size_t)(equals - line.at);
	*ret_key = span_trim((struct span){line.at, n});
	*ret_value = span_trim((struct span){equals + 1, line.len - n - 1});
	return ret_key->len > 0;
}

bool span_number(struct span a, uint64_t *ret)
{
	uint64_t value = 0;
	size_t i;

	if (a.len == 0)
		return false;
	for (i = 0; i < a.len; i++) {
		if (a.at[i] < '0' || a.at[i] > '9')
			return false;
		if (__builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(a.at[i] - '0'), &value))
			return false;
	}
	*ret = value;
	return true;
}

bool text_is_plain(struct span a)
{
	size_t i;

	for (i = 0; i < a.len; i++)
		if ((unsigned char)a.at[i] == 0x7f ||
		    ((unsigned char)a.at[i] < 0x20 && !is_blank(a.at[i])))
			return false;
	return true;
}

/* Length of the UTF-8 sequence at @at of at most @len bytes; 0: it is none. */
static size_t utf8_length(const uint8_t *at, size_t len)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t c;
	size_t n, i;

	if (at[0] < 0x80)
		return 1;
	n = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
	if (at[0] < 0xc2 || at[0] > 0xf4 || n > len)
		return 0;
	c = at[0] & (0x7fu >> n);
	for (i = 1; i < n; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (at[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	return n;
}

bool text_is_utf8(struct span a)
{
	size_t i, n;

	for (i = 0; i < a.len; i += n) {
		n = utf8_length((const uint8_t *)a.at + i, a.len - i);
		if (n == 0)
			return false;
	}
	return true;
}

/* "nbd:", "http://", "json:{", "C:\": letters, digits and + - . up to a colon. */
static bool has_scheme(struct span a)
{
	size_t i;

	if (a.len == 0 || !is_letter(a.at[0]))
		return false;
	for (i = 1; i < a.len; i++) {
		if (a.at[i] == ':')
			return true;
		if (!is_letter(a.at[i]) && !(a.at[i] >= '0' && a.at[i] <= '9') && a.at[i] != '+' &&
		    a.at[i] != '-' && a.at[i] != '.')
			return false;
	}
	return false;
}

/* "", "." and ".." as a component; a component no directory entry can hold is one, too. */
static bool has_bad_component(struct span a)
{
	struct span part;
	const char *slash;

	for (;;) {
		slash = a.len ? memchr(a.at, '/', a.len) : NULL;
		part = (struct span){a.at, slash ? (size_t)(slash - a.at) : a.len};
		if (part.len == 0 || part.len > SEEN_NAME_MAX || span_is(part, ".") ||
		    span_is(part, ".."))
			return true;
		if (!slash)
			return false;
		a.len -= part.len + 1;
		a.at = slash + 1;
	}
}

bool name_is_suspect(struct span a, size_t max)
{
	if (a.len == 0 || a.len > max || !text_is_plain(a))
		return true;
	return has_scheme(a) || has_bad_component(a) || memchr(a.at, '\\', a.len);
}
