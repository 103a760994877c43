/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/recognise_config.c - .vmx and .vmsd: which files belong to a VM.
 *
 *     scsi0:0.fileName = "vm1.vmdk"          a disk, unless its deviceType is a drive's
 *     nvram = "vm1.nvram"                    another file
 *     snapshot0.disk0.fileName = "..."       vmsd: a disk of a snapshot
 *     snapshot0.filename = "....vmsn"        vmsd: its state
 *
 * In values |XX is the byte XX (|22 a quote): decoded here, because names are compared with those
 * of the directory.  A .vmx must hold config.version, a .vmsd a key that begins with "snapshot".
 *
 * Refuses    nothing: lines it does not understand make the text no configuration.
 */
#include <string.h>

#include "base/cleanup.h"
#include "ctl/recognise.h"

struct reading {
	struct seen *s;
	struct span text;
	bool is_vmx, is_vmsd;
	char *decoded; /* as large as the text; names are decoded into it */
	size_t used;
	unsigned devices;
};

/* Each device costs two walks over the text; no VM has as many. */
#define DEVICES_MAX 512u

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static struct span decode(struct reading *rd, struct span value)
{
	struct span out = {rd->decoded + rd->used, 0};
	char *to = rd->decoded + rd->used;
	size_t i;

	for (i = 0; i < value.len; i++) {
		if (value.at[i] == '|' && i + 2 < value.len && digit(value.at[i + 1]) >= 0 &&
		    digit(value.at[i + 2]) >= 0) {
			to[out.len++] =
				(char)(digit(value.at[i + 1]) << 4 | digit(value.at[i + 2]));
			i += 2;
		} else {
			to[out.len++] = value.at[i];
		}
	}
	rd->used += out.len;
	return out;
}

/* The value of `prefix.@last`, where prefix is @key up to its last dot; absent when none. */
static struct span sibling(struct span text, struct span key, const char *last)
{
	const char *dot = memrchr(key.at, '.', key.len);
	size_t prefix = (size_t)(dot - key.at) + 1;
	struct span line, k, v, tail;

	while (span_line(&text, &line)) {
		if (!span_pair(span_trim(line), &k, &v) || k.len <= prefix ||
		    memcmp(k.at, key.at, prefix) != 0)
			continue;
		tail = (struct span){k.at + prefix, k.len - prefix};
		if (span_is(tail, last))
			return span_unquote(v);
	}
	return (struct span){0};
}

static bool is_controller(struct span key)
{
	static const char *const words[] = {"scsi", "sata", "ide", "nvme"};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (span_begins(key, words[i]))
			return true;
	return false;
}

static bool is_file_key(struct span key)
{
	static const char *const keys[] = {"nvram",
					   "extendedConfigFile",
					   "sched.swap.derivedName",
					   "checkpoint.vmState",
					   "log.fileName",
					   "migrate.hostlog"};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(keys); i++)
		if (span_is(key, keys[i]))
			return true;
	return false;
}

/* Ports and floppies, which may be devices of the host instead. */
static bool is_port_key(struct span key)
{
	return (span_begins(key, "floppy") || span_begins(key, "serial") ||
		span_begins(key, "parallel")) &&
	       span_ends(key, ".fileName");
}

static int add(struct reading *rd, struct seen_names *names, struct span value)
{
	struct span name = decode(rd, value);

	if (name.len == 0)
		return 0;
	if (memchr(name.at, '\0', name.len)) {
		seen_problem(rd->s, "A name holds a NUL byte.");
		return 0;
	}
	return seen_add_name(rd->s, names, name);
}

/* True: too many to look at this one, too. */
static bool too_many(struct reading *rd)
{
	if (rd->devices++ == DEVICES_MAX)
		seen_problem(rd->s, "The VM has more than %u devices.", DEVICES_MAX);
	return rd->devices > DEVICES_MAX;
}

static int add_port(struct reading *rd, struct span key, struct span value)
{
	struct span kind;

	if (too_many(rd))
		return 0;
	kind = sibling(rd->text, key, "fileType");
	if (kind.at && !span_is(kind, "file"))
		return 0;
	return add(rd, &rd->s->files, value);
}

/* A drive's medium is a file of the VM when it is an image, nothing when it is the host's. */
static int add_device(struct reading *rd, struct span key, struct span value)
{
	struct span kind;

	if (too_many(rd))
		return 0;
	kind = sibling(rd->text, key, "deviceType");
	if (span_is(sibling(rd->text, key, "present"), "FALSE"))
		return 0;
	if (!kind.at || span_ends(kind, "disk") || span_begins(kind, "disk"))
		return add(rd, &rd->s->disks, value);
	if (span_is(kind, "cdrom-image"))
		return add(rd, &rd->s->files, value);
	if (span_ends(value, ".vmdk"))
		return add(rd, &rd->s->disks, value);
	return 0;
}

static int read_vmx_pair(struct reading *rd, struct span key, struct span value)
{
	if (span_is(key, "config.version"))
		rd->is_vmx = true;
	if (span_is(key, "displayName") && !rd->s->name.at)
		rd->s->name = decode(rd, value);
	if (is_controller(key) && span_ends(key, ".fileName"))
		return add_device(rd, key, value);
	if (is_port_key(key))
		return add_port(rd, key, value);
	if (is_file_key(key))
		return add(rd, &rd->s->files, value);
	return 0;
}

static int read_vmsd_pair(struct reading *rd, struct span key, struct span value)
{
	rd->is_vmsd = true;
	if (!span_ends(key, ".fileName"))
		return 0;
	return add(rd, memmem(key.at, key.len, ".disk", 5) ? &rd->s->disks : &rd->s->files, value);
}

static int read_pairs(struct reading *rd)
{
	struct span rest = rd->text, line, key, value;
	int r;

	while (span_line(&rest, &line)) {
		line = span_trim(line);
		if (line.len == 0 || line.at[0] == '#')
			continue;
		if (!span_pair(line, &key, &value))
			return 0;
		value = span_unquote(value);
		r = span_begins(key, "snapshot") && !span_begins(key, "snapshot.action")
			    ? read_vmsd_pair(rd, key, value)
			    : read_vmx_pair(rd, key, value);
		if (r < 0)
			return r;
	}
	return 1;
}

int config_parse(struct span text, struct seen *s)
{
	struct reading rd = {.s = s, .text = text};
	int r;

	rd.decoded = seen_buffer(s, text.len);
	if (!rd.decoded)
		return -ENOMEM;
	r = read_pairs(&rd);
	if (r == 1 && (rd.is_vmx || rd.is_vmsd)) {
		s->type = rd.is_vmx ? "vmx" : "vmsd";
		s->has_names = true;
		return 1;
	}
	s->disks.n = s->files.n = 0;
	s->name = (struct span){0};
	return r < 0 ? r : 0;
}
