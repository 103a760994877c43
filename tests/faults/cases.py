# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/faults/cases.py - one operation each, with what must be true before and after it.

A Case is made anew for every point of a sweep, in a directory of its own:

    setup()     makes what the operation needs; nothing fails here
    run()       the operation; may fail with OSError
    done()      its effect is there, all of it, in the mount and in the datastore
    undone()    nothing of it is: all is as setup() left it
    finish()    closes what is open

A failed operation must be done or undone; `torn` ones (a write, a listing) may be half done, and
then only what they did not touch is looked at.
"""
import ctypes
import errno
import os
import shutil
import stat

OLD, NEW = b"o" * 6000, b"n" * 6000
libc = ctypes.CDLL(None, use_errno=True)
EXCHANGE, NOREPLACE = 2, 1


def renameat2(a, b, flags):
    if libc.renameat2(-100, os.fsencode(a), -100, os.fsencode(b), flags):
        raise OSError(ctypes.get_errno(), "renameat2")


def content(path):
    try:
        with open(path, "rb", buffering=0) as f:
            return f.read()
    except FileNotFoundError:
        return None


class Case:
    """The base: a directory in the mount and the same one in the datastore."""

    extra = ()          # other errnos the operation may give for a fault
    torn = False

    def __init__(self, mount, name, serial):
        relative = os.path.join(name, "%06d" % serial)
        self.mount = mount
        self.dir = mount.in_mount(relative)
        self.store = mount.in_store(relative)
        self.fds = []

    def setup(self):
        os.makedirs(self.dir)

    def path(self, name):
        return os.path.join(self.dir, name)

    def below(self, name):
        return os.path.join(self.store, name)

    def make(self, name, data=OLD, behind=False):
        """A file, closed and known (or made behind the mount, and not known)."""
        path = self.below(name) if behind else self.path(name)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def open(self, name, flags=os.O_RDWR):
        fd = os.open(self.path(name), flags)
        self.fds.append(fd)
        return fd

    def both(self, name, data):
        return content(self.below(name)) == data and content(self.path(name)) == data

    def finish(self):
        for fd in self.fds:
            os.close(fd)
        shutil.rmtree(self.dir)

    def done(self):
        return True

    def undone(self):
        return True


# ---- names ----------------------------------------------------------------------------------

class Create(Case):
    def run(self):
        os.close(os.open(self.path("f"), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640))

    def done(self):
        return self.both("f", b"")

    def undone(self):
        return self.both("f", None)


class Mkdir(Case):
    def run(self):
        os.mkdir(self.path("d"))

    def done(self):
        return os.path.isdir(self.path("d")) and os.path.isdir(self.below("d"))

    def undone(self):
        return not os.path.exists(self.path("d")) and not os.path.exists(self.below("d"))


class Fifo(Mkdir):
    def run(self):
        os.mkfifo(self.path("d"))

    def done(self):
        return stat.S_ISFIFO(os.stat(self.path("d")).st_mode)


class Symlink(Case):
    def run(self):
        os.symlink("target", self.path("l"))

    def done(self):
        return os.readlink(self.path("l")) == os.readlink(self.below("l")) == "target"

    def undone(self):
        return not os.path.lexists(self.path("l")) and not os.path.lexists(self.below("l"))


class Readlink(Case):
    def setup(self):
        super().setup()
        os.symlink("target", self.below("l"))

    def run(self):
        assert os.readlink(self.path("l")) == "target"


class Link(Case):
    def setup(self):
        super().setup()
        self.make("a")

    def run(self):
        os.link(self.path("a"), self.path("b"))

    def done(self):
        return self.both("b", OLD) and os.stat(self.below("a")).st_nlink == 2

    def undone(self):
        return self.both("b", None) and os.stat(self.below("a")).st_nlink == 1


class Unlink(Case):
    def setup(self):
        super().setup()
        self.make("a")

    def run(self):
        os.unlink(self.path("a"))

    def done(self):
        return self.both("a", None)

    def undone(self):
        return self.both("a", OLD)


class UnlinkOpen(Unlink):
    def setup(self):
        super().setup()
        self.fd = self.open("a")

    def done(self):
        return super().done() and os.pread(self.fd, 9999, 0) == OLD


class CloseUnlinked(UnlinkOpen):
    """The last close of an unlinked file fails for nobody; the orphan goes, at the latest at the
    next mount."""

    def setup(self):
        super().setup()
        os.unlink(self.path("a"))

    def run(self):
        os.close(self.fd)
        self.fds.remove(self.fd)

    def done(self):
        return True


class Rmdir(Case):
    def setup(self):
        super().setup()
        os.mkdir(self.path("d"))

    def run(self):
        os.rmdir(self.path("d"))

    def done(self):
        return not os.path.exists(self.path("d")) and not os.path.exists(self.below("d"))

    def undone(self):
        return os.path.isdir(self.path("d")) and os.path.isdir(self.below("d"))


class Rename(Case):
    def setup(self):
        super().setup()
        self.make("a")
        os.mkdir(self.path("d"))

    def run(self):
        os.rename(self.path("a"), self.path("d/b"))

    def done(self):
        return self.both("a", None) and self.both("d/b", OLD)

    def undone(self):
        return self.both("a", OLD) and self.both("d/b", None)


class RenameOver(Rename):
    def setup(self):
        super().setup()
        self.make("d/b", NEW)

    def undone(self):
        return self.both("a", OLD) and self.both("d/b", NEW)


class RenameOverOpen(RenameOver):
    def setup(self):
        super().setup()
        self.fd = self.open("d/b")

    def done(self):
        return super().done() and os.pread(self.fd, 9999, 0) == NEW

    def undone(self):
        return super().undone() and os.fstat(self.fd).st_nlink == 1


class Exchange(RenameOver):
    def run(self):
        renameat2(self.path("a"), self.path("d/b"), EXCHANGE)

    def done(self):
        return self.both("a", NEW) and self.both("d/b", OLD)


class Lookup(Case):
    def setup(self):
        super().setup()
        self.make("a", behind=True)

    def run(self):
        assert os.stat(self.path("a")).st_size == len(OLD)


class Listing(Case):
    torn = True

    def setup(self):
        super().setup()
        for i in range(20):
            self.make("f%d" % i, behind=True)

    def run(self):
        with os.scandir(self.dir) as names:
            assert len([entry.stat().st_size for entry in names]) == 20


class Statfs(Case):
    def run(self):
        os.statvfs(self.dir)


class SyncDirectory(Case):
    def run(self):
        fd = os.open(self.dir, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


# ---- bytes ----------------------------------------------------------------------------------

class Open(Case):
    def setup(self):
        super().setup()
        self.make("a", behind=True)

    def run(self):
        os.close(os.open(self.path("a"), os.O_RDWR))


class OpenFile(Case):
    def setup(self):
        super().setup()
        self.make("a", behind=True)
        self.fd = self.open("a")

    def undone(self):
        return self.both("a", OLD)


class Read(OpenFile):
    def run(self):
        assert os.pread(self.fd, 9999, 0) == OLD


class Write(OpenFile):
    torn = True

    def run(self):
        assert os.pwrite(self.fd, NEW, 0) == len(NEW)

    def done(self):
        return self.both("a", NEW)


class Grow(Write):
    """A write behind the end: failed, it leaves no longer file."""

    torn = False

    def run(self):
        assert os.pwrite(self.fd, NEW, len(OLD)) == len(NEW)

    def done(self):
        return self.both("a", OLD + NEW)


class Sync(OpenFile):
    def setup(self):
        super().setup()
        os.pwrite(self.fd, OLD, 0)

    def run(self):
        os.fsync(self.fd)


class Truncate(OpenFile):
    def run(self):
        os.ftruncate(self.fd, 100)

    def done(self):
        return self.both("a", OLD[:100])


class TruncateClosed(Case):
    def setup(self):
        super().setup()
        self.make("a", behind=True)

    def run(self):
        os.truncate(self.path("a"), 100)

    def done(self):
        return self.both("a", OLD[:100])

    def undone(self):
        return self.both("a", OLD)


class Allocate(OpenFile):
    def run(self):
        os.posix_fallocate(self.fd, 0, 20000)

    def done(self):
        return self.both("a", OLD + bytes(20000 - len(OLD)))


class SeekData(OpenFile):
    def run(self):
        assert os.lseek(self.fd, 0, os.SEEK_DATA) == 0


class CopyRange(OpenFile):
    torn = True

    def setup(self):
        super().setup()
        self.make("b", NEW, behind=True)
        self.source = self.open("b", os.O_RDONLY)

    def run(self):
        assert os.copy_file_range(self.source, self.fd, len(NEW), 0, 0) == len(NEW)

    def done(self):
        return self.both("a", NEW)


# ---- attributes -----------------------------------------------------------------------------

class Attribute(Case):
    def setup(self):
        super().setup()
        self.make("a")
        os.chmod(self.path("a"), 0o600)

    def look(self):
        return os.stat(self.below("a"))


class Chmod(Attribute):
    def run(self):
        os.chmod(self.path("a"), 0o644)

    def done(self):
        return stat.S_IMODE(self.look().st_mode) == 0o644

    def undone(self):
        return stat.S_IMODE(self.look().st_mode) == 0o600


class Chown(Attribute):
    def run(self):
        os.chown(self.path("a"), 1234, 1234)

    def done(self):
        return self.look().st_uid == 1234

    def undone(self):
        return self.look().st_uid == 0


class Times(Attribute):
    def run(self):
        os.utime(self.path("a"), (1000, 1000))

    def done(self):
        return self.look().st_mtime == 1000

    def undone(self):
        return self.look().st_mtime > 1000


class SetXattr(Attribute):
    def run(self):
        os.setxattr(self.path("a"), "user.k", b"v")

    def done(self):
        return os.listxattr(self.below("a")) == ["user.k"]

    def undone(self):
        return os.listxattr(self.below("a")) == []


class GetXattr(Attribute):
    def setup(self):
        super().setup()
        os.setxattr(self.below("a"), "user.k", b"v")

    def run(self):
        assert os.getxattr(self.path("a"), "user.k") == b"v"


class ListXattr(GetXattr):
    def run(self):
        assert os.listxattr(self.path("a")) == ["user.k"]


class RemoveXattr(GetXattr):
    def run(self):
        os.removexattr(self.path("a"), "user.k")

    def done(self):
        return os.listxattr(self.below("a")) == []

    def undone(self):
        return os.listxattr(self.below("a")) == ["user.k"]


# ---- policies -------------------------------------------------------------------------------

class Policy(Case):
    """Attached, replaced and cleared: what the header says is what the mount says."""

    extra = (errno.EINVAL,)             # what setfattr shows for "see the status"

    def setup(self):
        super().setup()
        self.make("a", behind=True)

    def run(self):
        os.setxattr(self.path("a"), "user.weir.policy", b"fast")

    def policy(self):
        try:
            return os.getxattr(self.path("a"), "user.weir.policy").decode()
        except OSError as error:
            assert error.errno == errno.ENODATA, error
            return None

    def marked(self):
        return "trusted.weir.disk" in os.listxattr(self.below("a"))

    def done(self):
        return self.policy() == "fast" and self.marked() and self.both("a", OLD)

    def undone(self):
        return self.policy() is None and not self.marked()


class PolicyOfOpen(Policy):
    def setup(self):
        super().setup()
        self.open("a")


class PolicyOfDirectory(Policy):
    def run(self):
        os.setxattr(self.dir, "user.weir.policy", b"fast")

    def policy(self):
        try:
            return os.getxattr(self.dir, "user.weir.policy").decode()
        except OSError as error:
            assert error.errno == errno.ENODATA, error
            return None

    def marked(self):
        return "trusted.weir.disk" in os.listxattr(self.store)


class Replace(Policy):
    def setup(self):
        super().setup()
        os.setxattr(self.path("a"), "user.weir.policy", b"watch")

    def undone(self):
        return self.policy() == "watch" and self.marked()


class Clear(Replace):
    def run(self):
        os.removexattr(self.path("a"), "user.weir.policy")

    def done(self):
        """A mark that could not be removed stays, with a header that says "none"."""
        return self.policy() is None


class UnlinkDisk(Replace):
    extra = ()

    def run(self):
        os.unlink(self.path("a"))

    def done(self):
        return self.both("a", None)


class RenameOverDisk(Replace):
    extra = ()

    def setup(self):
        super().setup()
        self.make("b", NEW)

    def run(self):
        os.rename(self.path("b"), self.path("a"))

    def done(self):
        return self.both("a", NEW) and self.both("b", None)

    def undone(self):
        return super().undone() and self.both("a", OLD) and self.both("b", NEW)


class WriteDisk(Write):
    def setup(self):
        super().setup()
        os.setxattr(self.path("a"), "user.weir.policy", b"watch")


class Status(Policy):
    extra = ()

    def run(self):
        os.getxattr(self.path("a"), "user.weir.status")

    def done(self):
        return True


NAMES = (Create, Mkdir, Fifo, Symlink, Readlink, Link, Unlink, UnlinkOpen, CloseUnlinked, Rmdir,
         Rename, RenameOver, RenameOverOpen, Exchange, Lookup, Listing, Statfs, SyncDirectory)
BYTES = (Open, Read, Write, Grow, Sync, Truncate, TruncateClosed, Allocate, SeekData, CopyRange)
ATTRIBUTES = (Chmod, Chown, Times, SetXattr, GetXattr, ListXattr, RemoveXattr)
POLICIES = (Policy, PolicyOfOpen, PolicyOfDirectory, Replace, Clear, UnlinkDisk, RenameOverDisk,
            WriteDisk, Status)
ALL = NAMES + BYTES + ATTRIBUTES + POLICIES
