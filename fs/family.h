/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/family.h - which disk's name a file name extends.
 *
 * VMware names what belongs to a disk after it: vm1-flat.vmdk is the data of vm1.vmdk,
 * vm1-000001.vmdk its first snapshot, vm1-000001-delta.vmdk that one's data.  A new file is covered
 * by the policy of the disk whose name it extends until a descriptor says otherwise.  Pure.
 */
#ifndef FS_FAMILY_H
#define FS_FAMILY_H

#include <stdbool.h>
#include <stddef.h>

#define FAMILY_MAX 4

/* The names that @name extends, nearest first: how many of them. */
size_t family_base_names(const char *name, char ret[FAMILY_MAX][256]);

/* True when @name is "stem", "stem.x", "stem-x" or "stem_x" of the .vmx file @vmx. */
bool family_of_vmx(const char *name, const char *vmx);

#endif
