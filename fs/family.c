/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/family.c - see fs/family.h. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/family.h"

#define VMDK ".vmdk"

static bool ends_with(const char *s, size_t len, const char *suffix)
{
	size_t n = strlen(suffix);

	return len > n && !memcmp(s + len - n, suffix, n);
}

/* "-" + @letters + exactly or at least @digits digits at the end: how long, 0 when not. */
static size_t numbered(const char *stem, size_t len, const char *letter, size_t least, size_t most)
{
	size_t digits = 0, tail;

	while (digits < len && isdigit((unsigned char)stem[len - digits - 1]))
		digits++;
	tail = digits + strlen(letter) + 1;
	if (digits < least || digits > most || tail >= len || stem[len - tail] != '-')
		return 0;
	return memcmp(stem + len - tail + 1, letter, strlen(letter)) ? 0 : tail;
}

static size_t suffix_length(const char *stem, size_t len)
{
	static const char *const words[] = {"-flat", "-delta", "-sesparse", "-ctk", "-rdm", "-rdmp",
					    "-digest"};
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (ends_with(stem, len, words[i]))
			return strlen(words[i]);
	n = numbered(stem, len, "", 6, 6);
	if (!n)
		n = numbered(stem, len, "s", 3, 6);
	if (!n)
		n = numbered(stem, len, "f", 3, 6);
	return n;
}

size_t family_base_names(const char *name, char ret[FAMILY_MAX][256])
{
	size_t len = strlen(name), n = 0, suffix;

	if (len > 255 || !ends_with(name, len, VMDK))
		return 0;
	len -= strlen(VMDK);
	while (n < FAMILY_MAX && (suffix = suffix_length(name, len))) {
		len -= suffix;
		snprintf(ret[n++], 256, "%.*s" VMDK, (int)len, name);
	}
	return n;
}

bool family_of_vmx(const char *name, const char *vmx)
{
	size_t len = strlen(vmx);

	if (ends_with(vmx, len, ".vmx"))
		len -= 4;
	return !strncmp(name, vmx, len) && (!name[len] || strchr(".-_", name[len]));
}
