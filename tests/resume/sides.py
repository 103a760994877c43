# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/resume/sides.py - the same calls on a local directory and through an NFS server.

Local takes paths relative to a directory and calls the kernel; Nfs calls libnfs, which talks to
the server itself.  Both raise OSError with the errno that the call came to.  What a protocol lacks
is missing in `can`.  A side belongs to one thread.
"""
import ctypes
import ctypes.util
import errno
import os
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "mount"))
import syscalls     # noqa: E402


class Local:
    """A directory of this machine's."""

    version = 0                         # of NFS
    can = frozenset(("create", "mkdir", "mknod", "symlink", "link", "unlink", "rmdir", "rename",
                     "noreplace", "exchange", "xattr", "chmod", "held", "listing", "lock",
                     "nlink", "mode", "truncate"))

    def __init__(self, root):
        self.root = os.fsencode(root)
        self.trusted = os.geteuid() == 0

    def path(self, name):
        return os.path.join(self.root, name)

    def create(self, name, content, mode=0o644):
        fd = os.open(self.path(name), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        try:
            os.write(fd, content)
            return os.fstat(fd)
        finally:
            os.close(fd)

    def mkdir(self, name, mode=0o755):
        os.mkdir(self.path(name), mode)

    def mknod(self, name, mode):
        os.mknod(self.path(name), mode)

    def symlink(self, target, name):
        os.symlink(target, self.path(name))

    def link(self, old, new):
        os.link(self.path(old), self.path(new), follow_symlinks=False)

    def unlink(self, name):
        os.unlink(self.path(name))

    def rmdir(self, name):
        os.rmdir(self.path(name))

    def rename(self, old, new, flags=0):
        if flags:
            syscalls.renameat2(self.path(old), self.path(new), flags)
        else:
            os.rename(self.path(old), self.path(new))

    def chmod(self, name, mode):
        os.chmod(self.path(name), mode)

    def truncate(self, name, size):
        os.truncate(self.path(name), size)

    def lstat(self, name):
        return os.lstat(self.path(name))

    def readlink(self, name):
        return os.readlink(self.path(name))

    def list(self, name):
        return sorted(os.listdir(self.path(name)))

    def read(self, name, size):
        fd = os.open(self.path(name), os.O_RDONLY | os.O_NONBLOCK)
        try:
            return os.pread(fd, size, 0)
        finally:
            os.close(fd)

    def close(self):
        pass


class _Stat(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in (
        "dev", "ino", "mode", "nlink", "uid", "gid", "rdev", "size", "blksize", "blocks",
        "atime", "mtime", "ctime", "atime_nsec", "mtime_nsec", "ctime_nsec", "used")]


class _Dirent(ctypes.Structure):
    pass


_Dirent._fields_ = [("next", ctypes.POINTER(_Dirent)), ("name", ctypes.c_char_p)]


def load_libnfs():
    lib = ctypes.CDLL(ctypes.util.find_library("nfs") or "libnfs.so.13")
    lib.nfs_init_context.restype = ctypes.c_void_p
    lib.nfs_get_error.restype = ctypes.c_char_p
    lib.nfs_readdir.restype = ctypes.POINTER(_Dirent)
    return lib


class NfsFile:
    """An open file of an Nfs side."""

    def __init__(self, side, name, flags, mode=0o644):
        self.side = side
        self.handle = ctypes.c_void_p()
        side.call("open2", side.path(name), flags, mode, ctypes.byref(self.handle))

    def pread(self, size, offset):
        buffer = ctypes.create_string_buffer(size)
        got = self.side.call("pread", self.handle, ctypes.c_uint64(offset), ctypes.c_uint64(size),
                             buffer)
        return buffer.raw[:got]

    def pwrite(self, data, offset):
        return self.side.call("pwrite", self.handle, ctypes.c_uint64(offset),
                              ctypes.c_uint64(len(data)), data)

    def fsync(self):
        self.side.call("fsync", self.handle)

    def truncate(self, size):
        self.side.call("ftruncate", self.handle, ctypes.c_uint64(size))

    def close(self):
        self.side.call("close", self.handle)


class Nfs:
    """An export of a server in this network namespace, as `server:export`."""

    can = frozenset(("create", "mkdir", "symlink", "link", "unlink", "rmdir", "rename", "chmod",
                     "nlink", "mode", "truncate"))

    def __init__(self, server, export, version=3, below=b""):
        self.lib = load_libnfs()
        self.context = ctypes.c_void_p(self.lib.nfs_init_context())
        self.root = b"/" + below.strip(b"/")
        self.version = version
        self.lib.nfs_set_version(self.context, version)
        self.lib.nfs_set_uid(self.context, 0)
        self.lib.nfs_set_gid(self.context, 0)
        self.lib.nfs_set_dircache(self.context, 0)
        self.lib.nfs_set_timeout(self.context, 60000)
        self.call("mount", server.encode(), os.fsencode(export))
        self.lib.nfs_umask(self.context, ctypes.c_uint16(0))

    def call(self, name, *arguments):
        result = getattr(self.lib, "nfs_" + name)(self.context, *arguments)
        if result < 0:
            text = self.lib.nfs_get_error(self.context) or b""
            raise OSError(-result, "%s (%s)" % (os.strerror(-result), text.decode(
                errors="replace")), name)
        return result

    def path(self, name):
        return os.path.join(self.root, name)

    def create(self, name, content, mode=0o644):
        file = NfsFile(self, name, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        try:
            file.pwrite(content, 0)
        finally:
            file.close()
        return self.lstat(name)

    def mkdir(self, name, mode=0o755):
        self.call("mkdir2", self.path(name), mode)

    def symlink(self, target, name):
        self.call("symlink", target, self.path(name))

    def link(self, old, new):
        self.call("link", self.path(old), self.path(new))

    def unlink(self, name):
        self.call("unlink", self.path(name))

    def rmdir(self, name):
        self.call("rmdir", self.path(name))

    def rename(self, old, new, flags=0):
        assert flags == 0
        self.call("rename", self.path(old), self.path(new))

    def chmod(self, name, mode):
        self.call("lchmod", self.path(name), mode)

    def truncate(self, name, size):
        self.call("truncate", self.path(name), ctypes.c_uint64(size))

    def lstat(self, name):
        found = _Stat()
        self.call("lstat64", self.path(name), ctypes.byref(found))
        return os.stat_result((found.mode, found.ino, found.dev, found.nlink, found.uid, found.gid,
                               found.size, found.atime, found.mtime, found.ctime))

    def readlink(self, name):
        buffer = ctypes.create_string_buffer(4096)
        self.call("readlink", self.path(name), buffer, 4096)
        if self.version == 4:           # libnfs leaves bytes behind a target, without an end
            return buffer.value[:int(self.lstat(name).st_size)]
        return buffer.value

    def list(self, name):
        directory = ctypes.c_void_p()
        self.call("opendir", self.path(name), ctypes.byref(directory))
        names = []
        while True:
            entry = self.lib.nfs_readdir(self.context, directory)
            if not entry:
                break
            names.append(entry.contents.name)
        self.lib.nfs_closedir(self.context, directory)
        return sorted(set(names) - {b".", b".."})

    def read(self, name, size):
        file = NfsFile(self, name, os.O_RDONLY)
        try:
            return file.pread(size, 0)
        finally:
            file.close()

    def close(self):
        self.lib.nfs_umount(self.context)
        self.lib.nfs_destroy_context(self.context)


def side_from(text):
    """A side from a command line: a directory, or nfs:VERSION:SERVER:EXPORT:BELOW."""
    if not text.startswith("nfs:"):
        return Local(text)
    _, version, server, export, below = text.split(":")
    return Nfs(server, export, int(version), below.encode())


def name_of(number):
    return errno.errorcode.get(number, str(number)) if number else "success"


def kind_of(mode):
    return {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink",
            stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket"}.get(stat.S_IFMT(mode), "?")
