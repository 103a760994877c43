# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/mount/syscalls.py - the Linux calls that Python's os module lacks.

Each function raises OSError with the errno of the call.  Paths are bytes.
"""
import ctypes
import fcntl
import os
import struct

libc = ctypes.CDLL(None, use_errno=True)

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_SYMLINK_FOLLOW = 0x400
RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
RENAME_WHITEOUT = 4
FALLOC_FL_KEEP_SIZE = 1
FALLOC_FL_PUNCH_HOLE = 2
FALLOC_FL_COLLAPSE_RANGE = 8
FALLOC_FL_ZERO_RANGE = 16
FALLOC_FL_INSERT_RANGE = 32
FALLOC_FL_UNSHARE_RANGE = 64
F_OFD_GETLK = 36
F_OFD_SETLK = 37
MNT_FORCE = 1
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8
PR_SET_PDEATHSIG = 1
FS_IOC_FIEMAP = 0xC020660B
FIEMAP_EXTENT_UNWRITTEN = 0x800
BTRFS_MAGIC = 0x9123683E
XFS_MAGIC = 0x58465342
FICLONE = 0x40049409
SYS_GETDENTS64 = 217
SYS_SYNCFS = 306
SYS_RESUID, SYS_RESGID, SYS_GROUPS = 117, 119, 116
MAX_HANDLE = 128


def checked(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def renameat2(old, new, flags):
    return checked(libc.renameat2(AT_FDCWD, old, AT_FDCWD, new, ctypes.c_uint(flags)))


def fallocate(fd, mode, offset, length):
    return checked(libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)))


def link_descriptor(fd, new):
    """Give the file behind @fd one more name, as linkat(2) on /proc/self/fd does."""
    return checked(libc.linkat(AT_FDCWD, b"/proc/self/fd/%d" % fd, AT_FDCWD, new,
                                AT_SYMLINK_FOLLOW))


def umount2(path, flags=0):
    return checked(libc.umount2(os.fsencode(path), flags | UMOUNT_NOFOLLOW))


def die_with_parent(signal_number):
    """For preexec_fn: the child gets the signal when the thread that made it ends."""
    libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)


def become(uid, gid, groups):
    """Take on a user for good, with the capabilities that go with it."""
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


class _FileHandle(ctypes.Structure):
    _fields_ = [("handle_bytes", ctypes.c_uint), ("handle_type", ctypes.c_int),
                ("handle", ctypes.c_ubyte * MAX_HANDLE)]


def name_to_handle(path, flags=0):
    """(type, bytes) of the file's handle; what an NFS server would keep."""
    handle = _FileHandle(handle_bytes=MAX_HANDLE)
    mount_id = ctypes.c_int()
    checked(libc.name_to_handle_at(AT_FDCWD, os.fsencode(path), ctypes.byref(handle),
                                    ctypes.byref(mount_id), flags))
    return handle.handle_type, bytes(handle.handle[:handle.handle_bytes])


def open_by_handle(mount_fd, handle, flags):
    kind, data = handle
    raw = _FileHandle(handle_bytes=len(data), handle_type=kind)
    raw.handle[:len(data)] = data
    return checked(libc.open_by_handle_at(mount_fd, ctypes.byref(raw), flags))


def getdents(fd, size=1024):
    """One getdents64(2): a list of (inode, next offset, type, name); empty at the end."""
    buffer = ctypes.create_string_buffer(size)
    length = checked(libc.syscall(SYS_GETDENTS64, fd, buffer, size))
    entries, at, raw = [], 0, buffer.raw
    while at < length:
        inode, offset, size_of, kind = struct.unpack_from("<QqHB", raw, at)
        entries.append((inode, offset, kind, raw[at + 19:at + size_of].split(b"\0", 1)[0]))
        at += size_of
    return entries


def filesystem_type(fd):
    """f_type of fstatfs(2)."""
    buffer = ctypes.create_string_buffer(256)
    checked(libc.fstatfs(fd, buffer))
    return struct.unpack_from("<q", buffer)[0]


def has_unwritten_extents(fd):
    """Whether any extent is allocated but unwritten, so that SEEK_DATA may answer either way.

    On xfs always: what it reserves ahead for copies on write counts, and cannot be seen.
    """
    if filesystem_type(fd) == XFS_MAGIC:
        return True
    count = 256
    request = bytearray(struct.pack("<QQIIII", 0, 2 ** 64 - 1, 0, 0, count, 0) + bytes(56 * count))
    try:
        fcntl.ioctl(fd, FS_IOC_FIEMAP, request)
    except OSError:
        return True
    mapped = struct.unpack_from("<I", request, 20)[0]
    flags = [struct.unpack_from("<I", request, 32 + 56 * i + 40)[0] for i in range(mapped)]
    return mapped == count or any(f & FIEMAP_EXTENT_UNWRITTEN for f in flags)


def seek_map(fd, limit):
    """The data segments of a file as [(start, end)], by SEEK_DATA and SEEK_HOLE."""
    segments, at = [], 0
    while len(segments) < limit:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:
            break                       # ENXIO: nothing but hole behind
        at = os.lseek(fd, start, os.SEEK_HOLE)
        segments.append((start, at))
    return segments
