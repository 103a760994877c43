/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/opcode.h - what the kernel asks for, as words for people and for programs. */
#ifndef FS_OPCODE_H
#define FS_OPCODE_H

#include <stdint.h>

/* "read", "setattr", ...; "background" for 0, which is no request; "unknown". */
const char *opcode_name(uint32_t opcode);

#endif
