/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/recognise.h - what a file is, by its content: the parts of weir-recognise.
 *
 *     weir-recognise < FILE            one line of JSON on stdout
 *
 * Descriptor 0 must be a regular file, open for reading; nothing else is ever opened.  Exit 0
 * with one line, whatever the file holds; exit 1 with a sentence on stderr when the helper itself
 * failed; death by a signal when a parser broke or left its confinement (base/confine.h).  The
 * line has at most 2 MiB.  Members that do not apply are absent.
 *
 *     "type"        always there:
 *                   "empty", "raw", "text", "other",
 *                   "vmx", "vmsd",
 *                   "vmdk X" with X the createType of a descriptor, spelled as VMware does:
 *                       monolithicFlat monolithicSparse twoGbMaxExtentFlat twoGbMaxExtentSparse
 *                       streamOptimized vmfs vmfsPreallocated vmfsEagerZeroedThick vmfsThin
 *                       vmfsSparse seSparse fullDevice partitionedDevice vmfsRaw vmfsRDM vmfsRDMP
 *                       vmfsRawDeviceMap vmfsPassthroughRawDeviceMap custom
 *                   "vmdk other"          a createType nobody knows (with a problem)
 *                   "vmdk sparseExtent"   a hosted sparse extent (KDMV) without a descriptor in it
 *                   "vmdk vmfsSparse", "vmdk seSparse" with "descriptor": false: the delta extent
 *                   "qcow2", "vhdx", "vdi", "vhd", "qed", "iso9660", "ova", "tar"
 *     "descriptor"  true: the whole file is a VMDK descriptor, text of at most 64 KiB that parses
 *                   (qemu-img fills its last sector with NULs, that is text, too).  false: it is a
 * sparse extent of VMDK, or begins like a descriptor and is none. Absent with everything else
 *     "embedded"    true: a sparse extent with its descriptor inside; the members of a descriptor
 *                   below come from it, and its extent is this very file, however it names it
 *     "capacity"    bytes the guest sees (raw: the file's size)
 *     "adapter"     ddb.adapterType, as written: letters and digits
 *     "cid", "parent_cid"   eight lower-case hexadecimal digits; parent_cid absent: no parent
 *     "parent"      parentFileNameHint, or the backing file of a qcow2 or qed, as written
 *     "parent_escaped", "parent_suspect"   true: as "escaped", "suspect" of an extent
 *     "grain"       bytes of a sparse extent's grain, a qcow2's, vdi's, vhd's or vhdx's cluster
 *     "sparse"      true: guest addresses are not file offsets (in this file or in its extents)
 *     "bootable"    raw only, true: begins like a disk or a filesystem; "signature" says which:
 *                   "gpt", "mbr", "lvm", "luks", "swap", "ext", "xfs", "btrfs", "ntfs", "fat"
 *     "extents"     array, in the order of the descriptor, at most 4096 objects:
 *         "access"    "RW", "RDONLY", "NOACCESS"
 *         "sectors"   of 512 bytes
 *         "type"      "FLAT", "SPARSE", "ZERO", "VMFS", "VMFSSPARSE", "VMFSRDM", "VMFSRAW",
 *                     "SESPARSE", or another word as written
 *         "file"      the name as written
 *         "offset"    bytes into that file (FLAT and VMFS)
 *         "escaped"   true: the name is not UTF-8; each bad byte and each % of it is %XX
 *         "suspect"   true: absolute, with "..", a URL, a device, with a backslash, too long
 *     "name"        vmx: displayName
 *     "disks"       vmx, vmsd: array of names of disks, as written
 *     "files"       vmx, vmsd: array of names of the VM's other files, as written
 *     "escaped"     vmx, vmsd, true: ALL strings of name, disks, files are escaped as above
 *     "suspect"     vmx, vmsd, true: at least one name is suspect as above
 *     "problem"     one sentence: what is wrong.  The first one found; the members beside it are
 *                   what could be read all the same and must not be trusted
 *
 * Threads    one.  Memory is what the limits of the confinement allow; out of it is -ENOMEM and
 *            exit 1.  Parsers return 0 or a negative errno for the helper's own failures only;
 *            what is wrong with the file goes to struct seen.
 */
#ifndef CTL_RECOGNISE_H
#define CTL_RECOGNISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECTOR		  512u
#define DESCRIPTOR_MAX	  65536u  /* bytes of a descriptor */
#define CONFIG_MAX	  262144u /* bytes of a .vmx or .vmsd */
#define SEEN_EXTENTS_MAX  4096u
#define SEEN_NAME_MAX	  255u
#define SEEN_PARENT_MAX	  1023u /* a parent may have directories in front */
#define SEEN_GRAIN_MAX	  (128u << 20)
#define SEEN_CAPACITY_MAX ((uint64_t)INT64_MAX)

/* The file under examination: descriptor @fd, or when that is -1 the bytes at @data. */
struct input {
	int fd;
	const uint8_t *data;
	uint64_t size;
};

/* Bytes of the file or of a buffer that outlives it; not terminated, may hold anything. */
struct span {
	const char *at; /* NULL: absent */
	size_t len;
};

struct seen_extent {
	struct span access, type, file;
	uint64_t sectors;
	uint64_t offset; /* bytes */
	bool has_offset;
};

struct seen_names {
	struct span *at; /* owned */
	size_t n;
};

/* What was seen.  Spans point into @buffers, which it owns. */
struct seen {
	const char *type; /* static */
	char *problem;	  /* owned; NULL: none */

	bool has_descriptor, descriptor, embedded;
	bool has_capacity, sparse;
	uint64_t capacity, grain; /* grain 0: absent */
	const char *signature;	  /* static; NULL: none */

	struct span adapter, parent, name;
	bool has_cid, has_parent_cid;
	uint32_t cid, parent_cid;

	struct seen_extent *extents; /* owned */
	size_t n_extents;
	bool has_names;
	struct seen_names disks, files;

	/* The bytes of a VMDK that held a descriptor, for the second reading by libvmdk. */
	const uint8_t *vmdk;
	size_t vmdk_len;

	char *buffers[4]; /* owned */
};

void seen_done(struct seen *s);

/* Remember @format as the problem, unless there is one already.  Never fails: without memory the
 * problem is a fixed sentence. */
void seen_problem(struct seen *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A zeroed buffer of @len bytes that lives as long as @s; NULL: no memory. */
char *seen_buffer(struct seen *s, size_t len);
int seen_add_extent(struct seen *s, const struct seen_extent *e);
int seen_add_name(struct seen *s, struct seen_names *names, struct span name);

/* Check and store capacity and grain; a value that cannot be is a problem and stays absent. */
void seen_capacity_sectors(struct seen *s, uint64_t sectors);
void seen_capacity(struct seen *s, uint64_t bytes);
void seen_grain(struct seen *s, uint64_t bytes);

/* Up to @len bytes at @off; *ret_len says how many there were before the end. */
int input_read(const struct input *in, void *ret_buf, uint64_t off, size_t len, size_t *ret_len);
/* True: all @len bytes were there. */
bool input_read_all(const struct input *in, void *ret_buf, uint64_t off, size_t len);
/* True: [off, off + len) lies inside the file. */
bool input_holds(const struct input *in, uint64_t off, uint64_t len);

bool span_is(struct span a, const char *word);	   /* without regard to case */
bool span_begins(struct span a, const char *word); /* without regard to case */
bool span_ends(struct span a, const char *word);   /* without regard to case */
struct span span_trim(struct span a);		   /* without white space at both ends */
struct span span_unquote(struct span a);	   /* without one pair of quotes */
/* The next line of @text, without its end; false: there is none. */
bool span_line(struct span *text, struct span *ret_line);
/* Cut `key = value`; false: there is no '=' or no key. */
bool span_pair(struct span line, struct span *ret_key, struct span *ret_value);
bool span_number(struct span a, uint64_t *ret); /* decimal digits only, no overflow */

bool text_is_plain(struct span a); /* no control characters but white space; may be non-UTF-8 */
bool text_is_utf8(struct span a);
bool name_is_suspect(struct span a, size_t max);

/* The families.  Each takes a file whose first bytes (@head, zero-padded to HEAD_LEN) are its
 * own, fills @s and returns 0; true and false where the probe is the parser's. */
#define HEAD_LEN 4096u

int recognise(const struct input *in, struct seen *s); /* the dispatcher */

int recognise_text(const struct input *in, const uint8_t *head, struct seen *s);
int recognise_hosted_sparse(const struct input *in, const uint8_t *head, struct seen *s);
int recognise_cowd(const struct input *in, const uint8_t *head, struct seen *s);
int recognise_se_sparse(const struct input *in, const uint8_t *head, struct seen *s);
void recognise_image(const struct input *in, const uint8_t *head, struct seen *s);
void recognise_raw(const struct input *in, const uint8_t *head, struct seen *s);
int recognise_vhdx(const struct input *in, struct seen *s);

/* @text begins with the descriptor's signature.  Returns 1 when it parses, 0 when it does not (a
 * problem is set), or a negative errno.  Spans point into @text. */
int descriptor_parse(struct span text, struct seen *s);
bool descriptor_begins(const uint8_t *head, size_t len);

/* 1: it is one and @s is filled; 0: it is not. */
int config_parse(struct span text, struct seen *s);

/* Read s->vmdk once more with libvmdk; where it reads something else, that is a problem. */
void libvmdk_compare(struct seen *s);

/* The line, with its newline, malloc'ed; NULL: no memory. */
char *seen_json(const struct seen *s);

#endif
