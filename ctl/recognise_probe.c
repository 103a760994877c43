/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/recognise_probe.c - which family a file belongs to.
 *
 * Magic numbers first, then text, then raw.  A VMDK descriptor counts only while it is at most
 * 64 KiB of text that parses: what a guest writes to the beginning of its disk never does, as a
 * disk has more bytes behind, and they are no text.
 */
#include "base/cleanup.h"
#include "ctl/recognise.h"
#include "ctl/recognise_bytes.h"

#define SE_SPARSE_MAGIC UINT64_C(0x00000000cafebabe)

static int read_whole(const struct input *in, struct seen *s, struct span *ret)
{
	size_t len = 0;
	char *buf;
	int r;

	buf = seen_buffer(s, in->size);
	if (!buf)
		return -ENOMEM;
	r = input_read(in, buf, 0, in->size, &len);
	if (r < 0)
		return r;
	*ret = (struct span){buf, len};
	return 0;
}

/* qemu-img fills the last sector of a descriptor with NULs. */
static struct span without_padding(struct span text)
{
	size_t begin = text.len - text.len % SECTOR;

	if (text.len > 0 && begin == text.len)
		begin -= SECTOR;
	while (text.len > begin && text.at[text.len - 1] == '\0')
		text.len--;
	return text;
}

/* 1: a descriptor, 0: none. */
static int text_descriptor(const struct input *in, struct seen *s)
{
	struct span text;
	int r;

	s->has_descriptor = true;
	if (in->size > DESCRIPTOR_MAX) {
		seen_problem(s, "It begins like a VMDK descriptor, but is larger than 64 KiB.");
		return 0;
	}
	r = read_whole(in, s, &text);
	if (r < 0)
		return r;
	r = descriptor_parse(without_padding(text), s);
	if (r <= 0)
		return r;
	s->descriptor = true;
	s->vmdk = (const uint8_t *)text.at;
	s->vmdk_len = text.len;
	return 1;
}

static int text_other(const struct input *in, struct seen *s)
{
	struct span text;
	int r;

	if (in->size > CONFIG_MAX) {
		s->type = in->size % SECTOR ? "text" : NULL;
		return 0;
	}
	r = read_whole(in, s, &text);
	if (r < 0 || !text_is_plain(text))
		return r;
	s->type = "text";
	r = s->has_descriptor ? 0 : config_parse(text, s);
	return r < 0 ? r : 0;
}

int recognise_text(const struct input *in, const uint8_t *head, struct seen *s)
{
	size_t len = MIN(in->size, HEAD_LEN);
	int r;

	if (descriptor_begins(head, len)) {
		r = text_descriptor(in, s);
		if (r != 0)
			return MIN(r, 0);
	}
	return text_is_plain((struct span){(const char *)head, len}) ? text_other(in, s) : 0;
}

static int recognise_sparse(const struct input *in, const uint8_t *head, struct seen *s)
{
	if (in->size < SECTOR)
		return 0;
	if (memcmp(head, "KDMV", 4) == 0)
		return recognise_hosted_sparse(in, head, s);
	if (memcmp(head, "COWD", 4) == 0)
		return recognise_cowd(in, head, s);
	if (le64(head) == SE_SPARSE_MAGIC)
		return recognise_se_sparse(in, head, s);
	if (memcmp(head, "vhdxfile", 8) == 0)
		return recognise_vhdx(in, s);
	return 0;
}

int recognise(const struct input *in, struct seen *s)
{
	uint8_t head[HEAD_LEN] = {0};
	size_t len;
	int r;

	if (in->size == 0) {
		s->type = "empty";
		return 0;
	}
	r = input_read(in, head, 0, sizeof head, &len);
	if (r < 0)
		return r;

	r = recognise_sparse(in, head, s);
	if (r < 0 || s->type)
		return r;
	recognise_image(in, head, s);
	if (s->type)
		return 0;
	r = recognise_text(in, head, s);
	if (r < 0 || s->type)
		return r;
	recognise_raw(in, head, s);
	return 0;
}
