# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/mount/generator.py - random operation sequences that mostly hit something.

A Generator remembers, roughly, which names exist (it is told the result of each operation) and
draws operations from a table of weights.  It depends on nothing but its seed and those results, so
equal filesystems get equal sequences.
"""
import errno
import fcntl
import mmap
import os
import random
import stat
import struct

import operations
import syscalls

# name, uid, gid, supplementary groups
USERS = (("root", 0, 0, ()), ("ann", 1000, 1000, ()), ("bob", 1001, 1001, (1000, 2000)),
         ("eve", 1002, 1000, (2001,)))
UIDS = (-1, 0, 1000, 1001, 1002, 65534)
GIDS = (-1, 0, 1000, 1001, 2000, 2001)
SLOTS = 6
MAPS = 3
SIMPLE = [b"a", b"b", b"c", b"d", b"e", b"f", b"g.vmdk", b"g-flat.vmdk", b"h.img"]
ODD = [b"new\nline", b"\xff\xfe\x80", b"L" * 255, b"L" * 256, b"sp ace", b"-rf", b".weir",
       "späte".encode(), b"\x01\x1b[31m", b"...", b"%s%n"]
TAILS = [b"/", b"/.", b"/..", b"//"]
MODES = [0o666, 0o644, 0o777, 0o777, 0o755, 0o666, 0o600, 0o700, 0o2755, 0o4755, 0o6755, 0o1777, 0o2775, 0o444,
         0o000, 0o111]
XATTRS = ["user.a", "user.b", "user.long" + "x" * 200, "trusted.t", "security.s",
          "security.capability", "user.", "nonsense", "system.nonsense",
          "user." + "y" * 251, "user.bin\udcff"]
OFFSETS = [0, 1, 511, 512, 4095, 4096, 4097, 8192, 65536, 131072, 1 << 20]
FAR = [(1 << 31) - 1, 1 << 31, (1 << 32) + 4096, 1 << 40]
F_RDLCK, F_WRLCK, F_UNLCK = fcntl.F_RDLCK, fcntl.F_WRLCK, fcntl.F_UNLCK
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2


def acl(entries):
    """The value of system.posix_acl_*: version 2, then (tag, permissions, id) each."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)


class Generator:
    def __init__(self, seed, depth=3, only=None):
        self.random = random.Random(seed)
        self.depth = depth
        self.names = {}                 # path -> "d", "f", "l", "o": what was seen to be made
        self.slots = [{} for _ in USERS]    # slot -> "d" or "f": what each user has open
        self.who = 0
        table = [(w, f) for f, w in WEIGHTS.items() if not only or f in only]
        self.weights = [w for w, _ in table]
        self.functions = [getattr(self, "make_" + f) for _, f in table]

    def next(self, user):
        self.who = user
        return self.random.choices(self.functions, self.weights)[0]()

    def user(self):
        return self.random.choices(range(len(USERS)), (4, 3, 3, 2))[0]

    def tell(self, user, operation, code):
        """Learn from the result of an operation."""
        if code == errno.ENOENT and len(operation) > 1 and operation[1] in self.names:
            self.forget(operation[1])
        if code:
            return
        name = operation[0]
        if name == "open":
            self.opened(user, *operation[1:4])
        elif name == "close_slot":
            self.slots[user].pop(operation[1], None)
        elif name in ("mkdir", "mknod"):
            self.names[operation[1]] = "d" if name == "mkdir" else "o"
        elif name in ("symlink", "link", "link_open"):
            self.names[operation[2]] = {"symlink": "l"}.get(name, "f")
        elif name in ("unlink", "rmdir"):
            self.forget(operation[1])
        elif name == "rename":
            self.moved(*operation[1:])

    def opened(self, user, slot, path, flags):
        if flags & os.O_CREAT:
            self.names.setdefault(path, "f")
        directory = flags & os.O_DIRECTORY or self.names.get(path) == "d"
        self.slots[user][slot] = "d" if directory else "f"

    def forget(self, path):
        for name in [n for n in self.names if n == path or n.startswith(path + b"/")]:
            del self.names[name]

    def moved(self, old, new, flags):
        below = {n: k for n, k in self.names.items() if n == old or n.startswith(old + b"/")}
        back = {n: k for n, k in self.names.items() if n == new or n.startswith(new + b"/")}
        self.forget(old)
        self.forget(new)
        self.names.update((new + n[len(old):], k) for n, k in below.items())
        if flags & syscalls.RENAME_EXCHANGE:
            self.names.update((old + n[len(new):], k) for n, k in back.items())

    # -- drawing ------------------------------------------------------------------------------

    def pick(self, *choices):
        return self.random.choice(choices)

    def chance(self, percent):
        return self.random.random() * 100 < percent

    def existing(self, kinds="dflo"):
        found = [n for n, k in self.names.items() if k in kinds]
        return self.random.choice(found) if found else self.fresh()

    def directory(self):
        found = [n for n, k in self.names.items() if k == "d" and n.count(b"/") < self.depth - 1]
        if not found or self.chance(20):
            return b""
        return self.random.choice(found)

    def fresh(self):
        name = self.random.choice(ODD if self.chance(8) else SIMPLE)
        parent = self.directory()
        return parent + b"/" + name if parent else name

    def path(self, kinds="dflo"):
        roll = self.random.random() * 100
        if roll < 72:
            return self.existing(kinds)
        if roll < 90:
            return self.fresh()
        if roll < 94:                   # through something that may be no directory, or a symlink
            return self.existing() + b"/" + self.random.choice(SIMPLE)
        if roll < 97:
            return self.existing() + self.random.choice(TAILS)
        if roll < 98:
            return b"/".join([b"a"] * 2100)
        return self.existing()

    def slot(self, kind="f"):
        """Mostly one that holds a file (or a directory), if the user has any open."""
        filled = [slot for slot, k in self.slots[self.who].items() if k == kind]
        if filled and self.chance(92):
            return self.random.choice(filled)
        return self.random.randrange(SLOTS)

    def any_slot(self):
        return self.random.randrange(SLOTS)

    def mapping(self):
        return self.random.randrange(MAPS)

    def mode(self):
        return self.random.choice(MODES if self.chance(35) else MODES[:6])

    def offset(self):
        if self.chance(1):
            return self.random.choice(FAR)
        if self.chance(50):
            return self.random.choice(OFFSETS)
        return self.random.randrange(200_000)

    def length(self):
        if self.chance(50):
            return self.pick(0, 1, 100, 512, 4095, 4096, 4097, 8192)
        return self.random.randrange(70_000)

    def seed(self):
        return self.random.choices((operations.ZEROS, operations.SCRIPT,
                                    self.random.randrange(400_000)), (1, 1, 10))[0]

    def times(self):
        return tuple(self.random.choice((
            (0, UTIME_NOW), (0, UTIME_OMIT), (self.random.randrange(1_000_000_000), 123456789),
            (4_000_000_000, 999_999_999), (-5, 7), (1, 0))) for _ in range(2))

    # -- operations on names ------------------------------------------------------------------

    def make_open(self):
        flags = self.pick(os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR, os.O_RDWR)
        for flag, percent in ((os.O_CREAT, 50), (os.O_EXCL, 8), (os.O_TRUNC, 8), (os.O_APPEND, 12),
                              (os.O_DIRECTORY, 4), (os.O_NOFOLLOW, 8), (os.O_SYNC, 4),
                              (os.O_DSYNC, 4), (os.O_NOATIME, 2)):
            if self.chance(percent):
                flags |= flag
        if not flags & (os.O_APPEND | os.O_DIRECTORY) and self.chance(6):
            flags |= os.O_DIRECT
        if flags & os.O_DIRECTORY:
            flags &= ~os.O_CREAT        # the kernel changed its mind about these together
        path = self.pick(self.fresh(), self.existing("f"), self.path("fffdl"))
        return "open", self.any_slot(), path, flags, self.mode()

    def make_open_directory(self):
        return "open", self.any_slot(), self.path("d"), os.O_RDONLY | os.O_DIRECTORY, 0

    def make_mkdir(self):
        return "mkdir", self.path("d") if self.chance(20) else self.fresh(), self.mode()

    def make_rmdir(self):
        return "rmdir", self.path("ddf")

    def make_mknod(self):
        kind = self.pick(stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR, stat.S_IFREG, stat.S_IFBLK)
        device = os.makedev(240, 7) if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0
        return "mknod", self.fresh(), kind | self.mode(), device

    def make_symlink(self):
        target = self.pick(b"a", b"b", b"../a", b"d/e", b".", b"nowhere", b"self", b"x" * 300,
                           b"y" * 4095, b"c/../c/d")
        return "symlink", target, self.fresh()

    def make_readlink(self):
        return "readlink", self.path("l")

    def make_link(self):
        return "link", self.path("ffflo"), self.fresh()

    def make_unlink(self):
        return "unlink", self.path("fffflo")

    def make_rename(self):
        flags = self.random.choices((0, syscalls.RENAME_NOREPLACE, syscalls.RENAME_EXCHANGE,
                                     syscalls.RENAME_WHITEOUT, 3, 64), (12, 3, 4, 1, 1, 1))[0]
        return "rename", self.path(), self.pick(self.path(), self.fresh()), flags

    def make_stat(self):
        return self.pick("stat", "lstat"), self.path()

    def make_access(self):
        return "access", self.path(), self.random.randrange(8)

    def make_statfs(self):
        return "statfs", self.path()

    def make_truncate(self):
        return "truncate", self.path("fffd"), self.pick(self.offset(), self.length())

    def make_chmod(self):
        return "chmod", self.path(), self.mode()

    def make_chown(self):
        return ("chown", self.path(), self.random.choice(UIDS), self.random.choice(GIDS),
                self.chance(60))

    def make_utime(self):
        return "utime", self.path(), self.times(), self.chance(70)

    def make_umask(self):
        return "umask", self.pick(0, 0o022, 0o022, 0o077, 0o027)

    def make_execute(self):
        return "execute", self.path("f")

    def make_readdir(self):
        return "readdir", self.path("ddddf")

    def make_tmpfile(self):
        return "tmpfile", self.any_slot(), self.directory(), self.mode()

    # -- extended attributes ------------------------------------------------------------------

    def xattr_value(self, key):
        if key == "security.capability" and self.chance(80):
            return struct.pack("<IIIII", 0x02000001, 0x2000, 0, 0, 0)
        return self.pick(b"", b"v", b"value" * 20, b"\0\xff", b"z" * 3000)

    def make_setxattr(self):
        key = self.random.choice(XATTRS)
        flags = self.pick(0, 0, 0, os.XATTR_CREATE, os.XATTR_REPLACE)
        value = self.xattr_value(key)
        if self.chance(25):
            return "fsetxattr", self.slot(), key, value, flags
        return "setxattr", self.path(), key, value, flags, self.chance(80)

    def make_acl(self):
        key = self.random.choice(operations.POSIX_ACL)
        entries = [(1, self.random.randrange(8), 0xFFFFFFFF)]
        entries += [(2, self.random.randrange(8), uid) for uid in (1000, 1001) if self.chance(60)]
        entries += [(4, self.random.randrange(8) | 1, 0xFFFFFFFF)]  # "set-gid" in DOCUMENTED
        entries += [(8, self.random.randrange(8), gid) for gid in (2000,) if self.chance(50)]
        if len(entries) > 2 and self.chance(95):
            entries += [(16, self.random.randrange(8) | 1, 0xFFFFFFFF)]
        entries += [(32, self.random.randrange(8), 0xFFFFFFFF)]
        value = b"" if self.chance(3) else acl(entries)
        return "setxattr", self.path("ddf"), key, value, 0, True

    def make_getxattr(self):
        key = self.random.choice(XATTRS + list(operations.POSIX_ACL) * 3)
        if self.chance(30) and key.isascii():
            return "probe_xattr", self.path(), key, self.pick(0, 1, 50, 4000)
        return "getxattr", self.path(), key, self.chance(80)

    def make_listxattr(self):
        return "listxattr", self.path(), self.chance(80)

    def make_removexattr(self):
        key = self.random.choice(XATTRS[:6] + list(operations.POSIX_ACL))
        return "removexattr", self.path(), key, self.chance(80)

    # -- open files ---------------------------------------------------------------------------

    def make_close(self):
        return "close_slot", self.slot(self.pick("f", "d"))

    def make_dup(self):
        return "dup", self.slot(), self.any_slot()

    def make_setfl(self):
        return "setfl", self.slot(), os.O_APPEND    # taking it away: see DOCUMENTED

    def make_read(self):
        if self.chance(40):
            return "read", self.slot(), self.length()
        if self.chance(15):
            return "preadv", self.slot(), [self.length(), 0, self.length()], self.offset()
        return "pread", self.slot(), self.length(), self.offset()

    def make_write(self):
        if self.chance(40):
            return "write", self.slot(), self.seed(), self.length()
        if self.chance(15):
            return ("pwritev", self.slot(), self.random.randrange(400_000),
                    [self.length(), 0, self.length()], self.offset(),
                    self.pick(0, 0, os.RWF_DSYNC, os.RWF_SYNC, os.RWF_APPEND))
        return "pwrite", self.slot(), self.seed(), self.length(), self.offset()

    def make_seek(self):
        whence = self.pick(os.SEEK_SET, os.SEEK_CUR, os.SEEK_END, os.SEEK_DATA, os.SEEK_HOLE,
                           os.SEEK_DATA, os.SEEK_HOLE)
        backwards = -self.length() if whence < os.SEEK_DATA else self.offset()
        return "seek", self.slot(), self.pick(self.offset(), backwards), whence

    def make_ftruncate(self):
        return "ftruncate", self.slot(), self.pick(self.offset(), self.length())

    def make_fallocate(self):
        mode = self.random.choices((0, 1, 3, 16, 17, 8, 32, 2, 64), (4, 3, 6, 3, 2, 1, 1, 1, 1))[0]
        offset, length = self.random.randrange(200_000), self.length()
        if self.chance(60):
            offset, length = offset & -4096, max(4096, length & -4096)
        return "fallocate", self.slot(), mode, offset, length

    def make_copy_range(self):
        return ("copy_range", self.slot(), self.slot(), self.length(), self.offset(),
                self.offset())

    def make_reflink(self):
        return "reflink", self.slot(), self.slot()

    def make_fsync(self):
        return self.pick("fsync", "fdatasync"), self.slot(self.pick("f", "f", "d"))

    def make_fstat(self):
        return "fstat", self.slot(self.pick("f", "f", "f", "d"))

    def make_fchmod(self):
        return "fchmod", self.slot(self.pick("f", "f", "d")), self.mode()

    def make_fchown(self):
        return "fchown", self.slot(), self.random.choice(UIDS), self.random.choice(GIDS)

    def make_futime(self):
        return "futime", self.slot(), self.times()

    def make_link_open(self):
        return "link_open", self.slot(), self.fresh()

    def make_readdir_open(self):
        return "readdir_open", self.slot("d")

    def make_seekdir(self):
        return "seekdir", self.slot("d"), self.random.randrange(12)

    # -- mappings and locks -------------------------------------------------------------------

    def make_map(self):
        flags = self.pick(mmap.MAP_SHARED, mmap.MAP_SHARED, mmap.MAP_PRIVATE)
        prot = self.pick(mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_WRITE)
        return ("map", self.slot(), self.mapping(), flags, prot,
                self.random.randrange(40) * 4096, self.random.randrange(1, 100_000))

    def make_map_read(self):
        return "map_read", self.mapping(), self.random.randrange(50_000), self.length()

    def make_map_write(self):
        return ("map_write", self.mapping(), self.random.randrange(50_000), self.seed(),
                self.length())

    def make_msync(self):
        return "msync", self.mapping()

    def make_unmap(self):
        return "unmap", self.mapping()

    def make_lock(self):
        kind = self.pick(F_RDLCK, F_WRLCK, F_UNLCK)
        place = self.random.randrange(40), self.random.randrange(20)
        if self.chance(30):
            return "get_lock", self.slot(), self.pick(fcntl.F_GETLK, syscalls.F_OFD_GETLK), \
                F_WRLCK, *place
        if self.chance(30):
            return "flock", self.slot(), self.pick(fcntl.LOCK_SH, fcntl.LOCK_EX, fcntl.LOCK_UN)
        return "lock", self.slot(), self.pick(fcntl.F_SETLK, syscalls.F_OFD_SETLK), kind, *place



WEIGHTS = {
    "open": 90, "open_directory": 10, "close": 10, "dup": 4, "setfl": 4, "read": 40, "write": 60,
    "seek": 25, "ftruncate": 12, "truncate": 8, "fallocate": 20, "copy_range": 12, "reflink": 1,
    "fsync": 6, "fstat": 25, "fchmod": 5, "fchown": 4, "futime": 5, "link_open": 4,
    "readdir_open": 8, "seekdir": 8, "map": 10, "map_read": 12, "map_write": 14, "msync": 4,
    "unmap": 3, "lock": 12, "mkdir": 20, "rmdir": 8, "mknod": 6, "symlink": 8, "readlink": 4,
    "link": 10, "unlink": 18, "rename": 24, "stat": 40, "access": 8, "statfs": 2, "chmod": 12,
    "chown": 10, "utime": 8, "umask": 2, "execute": 1, "readdir": 12, "tmpfile": 1,
    "setxattr": 12, "acl": 10, "getxattr": 12, "listxattr": 6, "removexattr": 6,
}
