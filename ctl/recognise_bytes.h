/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/recognise_bytes.h - integers in the byte orders of disk formats. */
#ifndef CTL_RECOGNISE_BYTES_H
#define CTL_RECOGNISE_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define READ_INTEGER(name, type, convert)                                                          \
	static inline type name(const uint8_t *at)                                                 \
	{                                                                                          \
		type value;                                                                        \
                                                                                                   \
		memcpy(&value, at, sizeof value);                                                  \
		return convert(value);                                                             \
	}

READ_INTEGER(le16, uint16_t, le16toh)
READ_INTEGER(le32, uint32_t, le32toh)
READ_INTEGER(le64, uint64_t, le64toh)
READ_INTEGER(be32, uint32_t, be32toh)
READ_INTEGER(be64, uint64_t, be64toh)

#undef READ_INTEGER

#endif
