# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/mount/operations.py - the operations of the model comparison, each on one tree.

An operation is a tuple (name, arguments...) of plain values, so that a sequence can be written to
a file, read back and cut down.  A Side runs it on one directory tree and returns a value that must
be equal on an equal tree, or raises OSError.  Open files live in numbered slots, mappings too.
"""
import fcntl
import mmap
import os
import random
import stat
import struct

import syscalls

PATTERN = random.Random(1).randbytes(1 << 20)
PAGE = mmap.PAGESIZE
ZEROS, SCRIPT = -1, -2                  # seeds of write data with a meaning
FLOCK = "hhqqi4x"
POSIX_ACL = ("system.posix_acl_access", "system.posix_acl_default")


def data(seed, length):
    """Bytes to write, from a seed."""
    if seed == ZEROS:
        return bytes(length)
    if seed == SCRIPT:
        return b"#!/bin/true\n".ljust(length, b"#")[:length]
    at = seed % (len(PATTERN) // 2)
    return PATTERN[at:at + length]


class Mapping(mmap.mmap):
    """A mapping that knows where in its file it begins."""

    at = 0
    writable = False


class Times(tuple):
    """atime, mtime, ctime in ns: equal when set by hand, near each other when the clock's."""


def stat_record(st):
    """What must be equal of a stat result: sizes of directories are the filesystem's affair."""
    size = None if stat.S_ISDIR(st.st_mode) else st.st_size
    return (st.st_mode, st.st_nlink, st.st_uid, st.st_gid, size, st.st_rdev,
            Times((st.st_atime_ns, st.st_mtime_ns, st.st_ctime_ns)))


class Side:
    """One of the trees, below @root (bytes)."""

    def __init__(self, root):
        self.root = root
        self.fds = {}
        self.direct = set()
        self.maps = {}

    def path(self, name):
        return self.root + b"/" + name

    def fd(self, slot):
        return self.fds.get(slot, -1)   # an empty slot: EBADF on both sides

    def run(self, operation):
        return OPERATIONS[operation[0]](self, *operation[1:])

    def put(self, slot, fd):
        self.drop(slot)
        self.fds[slot] = fd

    def drop(self, slot):
        self.direct.discard(slot)
        fd = self.fds.pop(slot, None)
        if fd is not None:
            os.close(fd)

    def close(self):
        for mapping in self.maps.values():
            mapping.close()
        self.maps.clear()
        for slot in list(self.fds):
            self.drop(slot)

    # -- open files ---------------------------------------------------------------------------

    def open(self, slot, name, flags, mode):
        self.put(slot, os.open(self.path(name), flags | os.O_NONBLOCK | os.O_CLOEXEC, mode))
        if flags & os.O_DIRECT:
            self.direct.add(slot)

    def close_slot(self, slot):
        self.drop(slot)

    def dup(self, slot, target):
        fd = os.dup(self.fd(slot))
        direct = slot in self.direct
        self.put(target, fd)
        if direct:
            self.direct.add(target)

    def setfl(self, slot, flags):
        if slot in self.direct:
            return None                 # the end of the file is rarely aligned
        old = fcntl.fcntl(self.fd(slot), fcntl.F_GETFL)
        fcntl.fcntl(self.fd(slot), fcntl.F_SETFL, (old & ~os.O_APPEND) | flags)
        return fcntl.fcntl(self.fd(slot), fcntl.F_GETFL) & ~0o100000

    def read(self, slot, length):
        if slot in self.direct:
            return None
        if slot in self.fds and stat.S_ISDIR(os.fstat(self.fd(slot)).st_mode):
            return os.pread(self.fd(slot), length, 0)   # its offsets are the filesystem's affair
        return os.read(self.fd(slot), length)

    def write(self, slot, seed, length):
        if slot in self.direct:
            return None
        return os.write(self.fd(slot), data(seed, length))

    def pread(self, slot, length, offset):
        if slot in self.direct:
            return self.pread_direct(slot, length, offset)
        return os.pread(self.fd(slot), length, offset)

    def pread_direct(self, slot, length, offset):
        with mmap.mmap(-1, max(PAGE, length & -PAGE)) as buffer:
            count = os.preadv(self.fd(slot), [buffer], offset & -PAGE)
            return buffer[:count]

    def pwrite(self, slot, seed, length, offset):
        if slot in self.direct:
            return self.pwrite_direct(slot, seed, length, offset)
        return os.pwrite(self.fd(slot), data(seed, length), offset)

    def pwrite_direct(self, slot, seed, length, offset):
        length = max(PAGE, length & -PAGE)
        with mmap.mmap(-1, length) as buffer:
            buffer[:] = data(seed, length)
            return os.pwritev(self.fd(slot), [buffer], offset & -PAGE)

    def preadv(self, slot, lengths, offset):
        if slot in self.direct:
            return None
        buffers = [bytearray(n) for n in lengths]
        return os.preadv(self.fd(slot), buffers, offset), [bytes(b) for b in buffers]

    def pwritev(self, slot, seed, lengths, offset, flags):
        if slot in self.direct:
            return None
        return os.pwritev(self.fd(slot), [data(seed + n, n) for n in lengths], offset, flags)

    def seek(self, slot, offset, whence):
        if slot not in self.fds or not stat.S_ISREG(os.fstat(self.fd(slot)).st_mode):
            return None                 # a directory's offsets are the filesystem's affair
        return os.lseek(self.fd(slot), offset, whence)

    def ftruncate(self, slot, size):
        os.ftruncate(self.fd(slot), size)

    def fallocate(self, slot, mode, offset, length):
        syscalls.fallocate(self.fd(slot), mode, offset, length)

    def copy_range(self, source, target, count, offset_in, offset_out):
        if target in self.direct or source in self.direct:
            return None
        return os.copy_file_range(self.fd(source), self.fd(target), count, offset_in, offset_out)

    def reflink(self, source, target):
        fcntl.ioctl(self.fd(target), syscalls.FICLONE, self.fd(source))

    def fsync(self, slot):
        os.fsync(self.fd(slot))

    def fdatasync(self, slot):
        os.fdatasync(self.fd(slot))

    def fstat(self, slot):
        return stat_record(os.fstat(self.fd(slot)))

    def fchmod(self, slot, mode):
        os.fchmod(self.fd(slot), mode)

    def fchown(self, slot, uid, gid):
        os.fchown(self.fd(slot), uid, gid)

    def futime(self, slot, times):
        raw = struct.pack("qqqq", *times[0], *times[1])
        syscalls.checked(syscalls.libc.futimens(self.fd(slot), raw))

    def link_open(self, slot, name):
        if slot not in self.fds:
            return
        syscalls.link_descriptor(self.fd(slot), self.path(name))

    def tmpfile(self, slot, name, mode):
        self.put(slot, os.open(self.path(name), os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, mode))

    # -- mappings -----------------------------------------------------------------------------

    def map(self, slot, target, flags, prot, offset, length):
        old = self.maps.pop(target, None)
        if old:
            old.close()
        size = os.fstat(self.fd(slot)).st_size
        if offset >= size:
            return None                 # Python's mmap refuses what the kernel would allow
        length = min(length, size - offset)
        self.maps[target] = Mapping(self.fd(slot), length, flags, prot, offset=offset)
        self.maps[target].at = offset
        self.maps[target].writable = bool(prot & mmap.PROT_WRITE)
        return length

    def map_reachable(self, target):
        """Bytes of a mapping that are inside the file (beyond its last page is SIGBUS)."""
        mapping = self.maps.get(target)
        if mapping is None:
            return 0, None
        return min(len(mapping), max(0, mapping.size() - mapping.at)), mapping

    def map_read(self, target, offset, length):
        reachable, mapping = self.map_reachable(target)
        return mapping[offset:min(reachable, offset + length)] if mapping else None

    def map_write(self, target, offset, seed, length):
        reachable, mapping = self.map_reachable(target)
        length = min(length, reachable - offset)
        if not mapping or not mapping.writable or length <= 0:
            return None
        mapping[offset:offset + length] = data(seed, length)
        mapping.flush()                 # until then the times are not what they are elsewhere
        return length

    def msync(self, target):
        if target in self.maps:
            self.maps[target].flush()

    def unmap(self, target):
        old = self.maps.pop(target, None)
        if old:
            old.close()

    # -- names --------------------------------------------------------------------------------

    def mkdir(self, name, mode):
        os.mkdir(self.path(name), mode)

    def rmdir(self, name):
        os.rmdir(self.path(name))

    def mknod(self, name, mode, device):
        os.mknod(self.path(name), mode, device)

    def symlink(self, target, name):
        os.symlink(target, self.path(name))

    def readlink(self, name):
        return os.readlink(self.path(name))

    def link(self, name, new):
        os.link(self.path(name), self.path(new))

    def unlink(self, name):
        os.unlink(self.path(name))

    def rename(self, name, new, flags):
        if flags:
            syscalls.renameat2(self.path(name), self.path(new), flags)
        else:
            os.rename(self.path(name), self.path(new))

    def stat(self, name):
        return stat_record(os.stat(self.path(name)))

    def lstat(self, name):
        return stat_record(os.lstat(self.path(name)))

    def access(self, name, mode):
        return os.access(self.path(name), mode)

    def statfs(self, name):
        return os.statvfs(self.path(name)).f_namemax

    def truncate(self, name, size):
        os.truncate(self.path(name), size)

    def chmod(self, name, mode):
        os.chmod(self.path(name), mode)

    def chown(self, name, uid, gid, follow):
        os.chown(self.path(name), uid, gid, follow_symlinks=follow)

    def utime(self, name, times, follow):
        utimens(syscalls.AT_FDCWD, self.path(name), times, 0 if follow else 0x100)

    def umask(self, mask):
        os.umask(mask)

    def execute(self, name):
        return execute(self.path(name))

    # -- directories --------------------------------------------------------------------------

    def readdir(self, name):
        return listing(self.path(name))

    def readdir_open(self, slot):
        fd = self.fd(slot)
        os.lseek(fd, 0, os.SEEK_SET)
        return listing(fd)

    def seekdir(self, slot, steps):
        """Whether going back to an earlier place gives the same rest of the directory."""
        fd = self.fd(slot)
        os.lseek(fd, 0, os.SEEK_SET)
        entries = all_entries(fd)
        if not entries:
            return True, []             # a removed directory
        at = min(steps, len(entries) - 1)
        os.lseek(fd, entries[at][1], os.SEEK_SET)
        rest = [e[3] for e in all_entries(fd)]
        return rest == [e[3] for e in entries[at + 1:]], sorted((e[3], e[2]) for e in entries)

    # -- extended attributes ------------------------------------------------------------------

    def setxattr(self, name, key, value, flags, follow):
        os.setxattr(self.path(name), key, value, flags, follow_symlinks=follow)

    def fsetxattr(self, slot, key, value, flags):
        os.setxattr(self.fd(slot), key, value, flags)

    def getxattr(self, name, key, follow):
        return os.getxattr(self.path(name), key, follow_symlinks=follow)

    def probe_xattr(self, name, key, size):
        """getxattr(2) with a buffer of @size: 0 asks for the length, too little is ERANGE."""
        buffer = bytearray(size)
        raw = (syscalls.ctypes.c_char * size).from_buffer(buffer) if size else None
        return syscalls.checked(syscalls.libc.getxattr(self.path(name), key.encode(), raw, size))

    def listxattr(self, name, follow):
        return sorted(os.listxattr(self.path(name), follow_symlinks=follow))

    def removexattr(self, name, key, follow):
        os.removexattr(self.path(name), key, follow_symlinks=follow)

    # -- locks --------------------------------------------------------------------------------

    def lock(self, slot, command, kind, start, length):
        fcntl.fcntl(self.fd(slot), command, struct.pack(FLOCK, kind, 0, start, length, 0))

    def get_lock(self, slot, command, kind, start, length):
        answer = fcntl.fcntl(self.fd(slot), command, struct.pack(FLOCK, kind, 0, start, length, 0))
        return struct.unpack(FLOCK, answer)

    def flock(self, slot, kind):
        fcntl.flock(self.fd(slot), kind | fcntl.LOCK_NB)


def utimens(directory, name, times, flags):
    """utimensat(2): @times is ((seconds, ns), (seconds, ns)); ns may be UTIME_NOW or UTIME_OMIT."""
    raw = struct.pack("qqqq", *times[0], *times[1])
    syscalls.checked(syscalls.libc.utimensat(directory, name, raw, flags))


def listing(where):
    """Sorted (name, type): as readdir gives them, so without a stat."""
    with os.scandir(where) as entries:
        return sorted((os.fsencode(e.name), e.is_dir(follow_symlinks=False),
                       e.is_symlink()) for e in entries)


def all_entries(fd):
    found = []
    while True:
        part = syscalls.getdents(fd, 512)
        if not part:
            return found
        found += part


def execute(path):
    """errno of execve(2), or 0 and the exit status."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            null = os.open("/dev/null", os.O_RDWR)
            for fd in range(3):
                os.dup2(null, fd)
            os.execv(path, [path])
        except OSError as error:
            os.write(writer, struct.pack("i", error.errno))
        os._exit(0)
    os.close(writer)
    answer = os.read(reader, 4)
    os.close(reader)
    status = os.waitpid(pid, 0)[1]
    return struct.unpack("i", answer)[0] if answer else 0, status


OPERATIONS = {name: function for name, function in vars(Side).items()
              if not name.startswith("_") and name not in
              ("path", "fd", "run", "put", "drop", "close", "map_reachable", "pread_direct",
               "pwrite_direct")}
