#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/resume/names_load.py - change names in a tree of one's own and check every result.

    names_load.py SIDE SEED SECONDS [--behind DIRECTORY] [--signals] [--lie N]

SIDE is a directory, or nfs:VERSION:SERVER:EXPORT:BELOW (sides.py).  The tree is made in it.  Every
call's result is compared with the model's (tree.py), and the tree itself again and again.  A
difference is printed as "FAULT ..." with the calls before it; the process then goes on in another
tree, and ends with 1.  Ends at SIGTERM or after SECONDS, with the whole tree compared.
--behind: the same tree in the datastore; compared at the end, past all caches.
--signals: calls are interrupted every few milliseconds.
--lie N: one of N calls that must succeed is made twice, and the second result counts, as when a
resent request runs again: that must be found, and so the harness proves itself.
"""
import argparse
import collections
import errno
import fcntl
import os
import random
import signal
import stat
import sys
import time

import sides
import syscalls
import tree as trees

NAMES = [b"n%d" % i for i in range(12)]
XATTRS = ["user.one", "user.two", "trusted.three"]
FAULTS_MAX = 10
HELD_MAX = 24
BIG = 400                               # names in the directory that is listed slowly


class Fault(Exception):
    """A result that cannot be."""


class Held:
    """An open file whose contents are known, whatever became of its names."""

    def __init__(self, fd, node):
        self.fd = fd
        self.node = node


class Listing:
    """A directory being read bit by bit; names touched meanwhile may be there or not."""

    def __init__(self, fd, node, path):
        self.fd = fd
        self.node = node
        self.path = path
        self.count = len(node.entries)
        self.stay = set(node.entries)
        self.seen = []


class Load:
    """One tree and the calls on it; see the head of the file."""

    def __init__(self, side, generator, lie):
        self.side = side
        self.random = generator
        self.lie = lie
        self.tree = trees.Tree()
        self.history = collections.deque(maxlen=3000)
        self.held, self.listings, self.locks = [], [], []
        self.count = self.counter = 0
        self.worst = 0.0
        self.top = b""
        self.actions = [(row[1], row[2]) for row in self.table() if row[0] in side.can]

    def table(self):
        return (("create", self.do_create, 16), ("mkdir", self.do_mkdir, 5),
                ("mknod", self.do_mknod, 3), ("symlink", self.do_symlink, 5),
                ("link", self.do_link, 7), ("unlink", self.do_unlink, 14),
                ("rmdir", self.do_rmdir, 4), ("rename", self.do_rename, 14),
                ("noreplace", self.do_noreplace, 4), ("exchange", self.do_exchange, 5),
                ("xattr", self.do_setxattr, 8), ("xattr", self.do_removexattr, 4),
                ("chmod", self.do_chmod, 4), ("truncate", self.do_truncate, 3),
                ("held", self.do_hold, 6), ("held", self.do_use_held, 8),
                ("listing", self.do_listing, 10), ("lock", self.do_lock, 2),
                ("create", self.do_check_one, 10), ("create", self.do_check_directory, 3))

    # -- running ----------------------------------------------------------------------------

    def enter(self, top):
        """Begin a tree; its own calls are checked like all others."""
        self.top = top
        self.side.mkdir(top)
        self.side.mkdir(top + b"/big")
        big = trees.Node("directory", 0o755)
        self.tree.root.entries[b"big"] = big
        for i in range(BIG if "listing" in self.side.can else 40):
            name = b"stays-%04d" % i
            st = self.side.create(self.at(b"big/" + name), b"")
            big.entries[name] = trees.Node("file", stat.S_IMODE(st.st_mode), b"", st.st_ino)

    def at(self, path):
        return os.path.join(self.top, path)

    def run(self, name, expected, call, *arguments):
        """Make a call that must come to @expected; returns whether it succeeded, and its value."""
        begin = time.monotonic()
        value, got, more = None, 0, ""
        try:
            value = call(*arguments)
            if self.lie and not expected and self.random.randrange(self.lie) == 0:
                value = call(*arguments)
        except OSError as error:
            got, more = error.errno, str(error)
        if expected == errno.ENOTEMPTY and got == errno.EEXIST:
            got = expected              # rename on xfs
        self.worst = max(self.worst, time.monotonic() - begin)
        self.count += 1
        self.history.append("%.3f %s%r -> %s" % (time.time(), name, tuple(
            a for a in arguments if isinstance(a, (bytes, str, int))), sides.name_of(got)))
        if got != expected:
            raise Fault("%s should come to %s, came to %s %s" % (
                name, sides.name_of(expected), sides.name_of(got), more))
        return not got, value

    def step(self):
        actions, weights = zip(*self.actions)
        self.random.choices(actions, weights)[0]()

    # -- choosing ---------------------------------------------------------------------------

    def some_place(self):
        """A path whose directory exists; what it names may exist or not."""
        places = [p for p in self.tree.directories() if p != b""]
        return os.path.join(self.random.choice(places), self.random.choice(NAMES))

    def some_existing(self, kinds=("file", "symlink", "fifo")):
        found = [path for path, node in self.tree.walk()
                 if node.kind in kinds and not path.startswith(b"big/stays")]
        return self.random.choice(found) if found and self.random.random() < 0.9 \
            else self.some_place()

    def touched(self, *paths):
        for path in paths:
            head, tail = trees.split(path)
            directory = self.tree.find(head)
            for listing in self.listings:
                if listing.node is directory:
                    listing.stay.discard(tail)

    # -- calls ------------------------------------------------------------------------------

    def do_create(self):
        path = self.some_place()
        there = self.tree.find(path)
        if there and there.kind != "file" and self.side.version == 4:
            return                      # libnfs: another error
        self.counter += 1
        content = b"%d.%d" % (os.getpid(), self.counter)
        mode = self.random.choice((0o644, 0o600, 0o755))
        good, st = self.run("create", self.tree.errno_of_making(path), self.side.create,
                            self.at(path), content, mode)
        if good:
            self.touched(path)
            self.tree.made(path, trees.Node("file", mode, content, st.st_ino))

    def do_mkdir(self):
        path = self.some_place()
        if path.count(b"/") > 4:
            return
        if self.run("mkdir", self.tree.errno_of_making(path), self.side.mkdir, self.at(path))[0]:
            self.touched(path)
            self.tree.made(path, trees.Node("directory", 0o755))

    def do_mknod(self):
        path = self.some_place()
        kind = self.random.choice((stat.S_IFREG, stat.S_IFIFO))
        if self.run("mknod", self.tree.errno_of_making(path), self.side.mknod, self.at(path),
                    kind | 0o644)[0]:
            self.touched(path)
            self.tree.made(path, trees.Node(
                "file" if kind == stat.S_IFREG else "fifo", 0o644))

    def do_symlink(self):
        path = self.some_place()
        self.counter += 1
        target = b"to/%d" % self.counter
        if self.run("symlink", self.tree.errno_of_making(path), self.side.symlink, target,
                    self.at(path))[0]:
            self.touched(path)
            self.tree.made(path, trees.Node("symlink", 0o777, target))

    def do_link(self):
        old, new = self.some_existing(), self.some_place()
        source = self.tree.find(old)
        if source and source.is_directory():
            return
        if source and source.kind == "symlink" and self.side.version:
            return                      # libnfs links what it points to
        if self.run("link", self.tree.errno_of_link(old, new), self.side.link, self.at(old),
                    self.at(new))[0]:
            self.touched(new)
            self.tree.linked(old, new)

    def do_unlink(self):
        path = self.some_existing()
        node = self.tree.find(path)
        if node and node.is_directory() and self.side.version:
            return                      # servers differ in the error
        if self.run("unlink", self.tree.errno_of_unlink(path), self.side.unlink, self.at(path))[0]:
            self.touched(path)
            self.tree.removed(path)

    def do_rmdir(self):
        path = self.some_existing(("directory",))
        node = self.tree.find(path)
        if path == b"big" or node and not node.is_directory() and self.side.version == 4:
            return                      # NFSv4 has one call to remove anything
        if self.run("rmdir", self.tree.errno_of_rmdir(path), self.side.rmdir, self.at(path))[0]:
            self.touched(path)
            self.tree.removed(path)

    def rename_paths(self):
        old = self.some_existing(("file", "symlink", "fifo", "directory"))
        new = self.some_place() if self.random.random() < 0.6 else self.some_existing()
        if old == b"big" or new == b"big" or not self.tree.can_rename(old, new):
            return None
        return old, new

    def do_rename(self, flags=0):
        paths = self.rename_paths()
        if not paths:
            return
        old, new = paths
        expected = self.tree.errno_of_rename(old, new, flags == syscalls.RENAME_NOREPLACE)
        if expected in (errno.EISDIR, errno.ENOTDIR) and self.side.version:
            return
        if self.run("rename", expected, self.side.rename, self.at(old), self.at(new), flags)[0]:
            self.touched(old, new)
            self.tree.renamed(old, new)

    def do_noreplace(self):
        self.do_rename(syscalls.RENAME_NOREPLACE)

    def do_exchange(self):
        paths = self.rename_paths()
        if not paths:
            return
        if self.run("exchange", self.tree.errno_of_exchange(*paths), self.side.rename,
                    *map(self.at, paths), syscalls.RENAME_EXCHANGE)[0]:
            self.touched(*paths)
            self.tree.exchanged(*paths)

    def do_setxattr(self):
        path = self.some_existing(("file", "directory"))
        node = self.tree.find(path)
        if node and node.kind not in ("file", "directory"):
            return
        name = self.random.choice(XATTRS)
        flags = self.random.choice((0, os.XATTR_CREATE, os.XATTR_REPLACE))
        value = b"%d" % self.random.randrange(1 << 30)
        if self.run("setxattr", self.tree.errno_of_setxattr(path, name, flags), os.setxattr,
                    self.side.path(self.at(path)), name, value, flags)[0]:
            node.xattrs[name] = value

    def do_removexattr(self):
        path = self.some_existing(("file", "directory"))
        node = self.tree.find(path)
        if node and node.kind not in ("file", "directory"):
            return
        name = self.random.choice(list(node.xattrs) if node and node.xattrs and
                                  self.random.random() < 0.8 else XATTRS)
        if self.run("removexattr", self.tree.errno_of_removexattr(path, name), os.removexattr,
                    self.side.path(self.at(path)), name)[0]:
            del node.xattrs[name]

    def do_chmod(self):
        path = self.some_existing(("file", "directory"))
        node = self.tree.find(path)
        if node and node.kind == "symlink":
            return
        if node and node.is_directory() and self.side.version == 4:
            return                      # libnfs opens it as a file
        mode = self.random.choice((0o644, 0o700, 0o755, 0o640))
        if self.run("chmod", 0 if node else errno.ENOENT, self.side.chmod, self.at(path), mode)[0]:
            node.mode = mode

    def do_truncate(self):
        path = self.some_existing(("file",))
        node = self.tree.find(path)
        if not node or node.kind != "file":
            return
        size = self.random.randrange(20)
        self.run("truncate", 0, self.side.truncate, self.at(path), size)
        node.content = node.content[:size].ljust(size, b"\0")

    # -- files that stay open ---------------------------------------------------------------

    def do_hold(self):
        """Open a file; often take its name away at once, or rename over it."""
        if len(self.held) >= HELD_MAX:
            held = self.held.pop(self.random.randrange(len(self.held)))
            self.run("close", 0, os.close, held.fd)
        path = self.some_existing(("file",))
        node = self.tree.find(path)
        if not node or node.kind != "file":
            return
        flags = self.random.choice((os.O_RDWR, os.O_RDWR | os.O_APPEND))
        _, fd = self.run("open", 0, os.open, self.side.path(self.at(path)), flags)
        self.held.append(Held(fd, node))
        if self.random.random() < 0.6:
            self.run("unlink", 0, self.side.unlink, self.at(path))
            self.touched(path)
            self.tree.removed(path)

    def do_use_held(self):
        if not self.held:
            return
        held = self.random.choice(self.held)
        node = held.node
        which = self.random.randrange(5)
        if which == 0:
            data = b"%d|" % self.random.randrange(1 << 20)
            self.run("write held", 0, os.lseek, held.fd, 0, os.SEEK_END)
            good, n = self.run("write held", 0, os.write, held.fd, data)
            if good and n != len(data):
                raise Fault("short write of %d for %d" % (n, len(data)))
            node.content += data
        elif which == 1:
            self.check_difference("held file", node, self.run("fstat", 0, os.fstat, held.fd)[1])
        elif which == 2:
            mode = self.random.choice((0o600, 0o644, 0o660))
            self.run("fchmod", 0, os.fchmod, held.fd, mode)
            node.mode = mode
        elif which == 3 and node.nlink == 0:
            expected = errno.EEXIST if "user.held" in node.xattrs else 0
            if self.run("fsetxattr", expected, os.setxattr, held.fd, "user.held", b"x",
                        os.XATTR_CREATE)[0]:
                node.xattrs["user.held"] = b"x"
        else:
            self.check_content(node, self.run("read held", 0, os.pread, held.fd, 1 << 20, 0)[1])

    def do_listing(self):
        """Go on with a listing, or begin one."""
        if self.listings and (len(self.listings) > 2 or self.random.random() < 0.85):
            return self.listing_step(self.random.choice(self.listings))
        path = b"big" if self.random.random() < 0.6 else \
            self.random.choice(list(self.tree.directories()))
        node = self.tree.find(path)
        # Of two listings at once the kernel's own cache (FOPEN_CACHE_DIR) tells the younger one
        # what the older one found: names made between their beginnings may be missing.
        if path == b"" or any(x.node is node for x in self.listings):
            return None
        _, fd = self.run("opendir", 0, os.open, self.side.path(self.at(path)),
                         os.O_RDONLY | os.O_DIRECTORY)
        self.listings.append(Listing(fd, node, path))
        return None

    def listing_step(self, listing):
        try:
            entries = syscalls.getdents(listing.fd, 1024)
        except OSError as error:
            if error.errno != errno.ENOENT:     # what a removed directory gives
                raise Fault("getdents came to %s" % sides.name_of(error.errno)) from None
            entries, listing.stay = [], set()
        self.count += 1
        listing.seen += [e[3] for e in entries]
        if entries:
            return
        self.listings.remove(listing)
        os.close(listing.fd)
        seen = collections.Counter(listing.seen)
        lost = [n for n in listing.stay if not seen[n]]
        twice = [n for n in listing.stay if seen[n] > 1]
        if listing.node.nlink and (lost or twice):
            raise Fault("a listing of %r (%d names then, %d now, %d told) lost %r and told twice %r"
                        % (listing.path, listing.count, len(listing.node.entries),
                           len(listing.seen), lost[:5], twice[:5]))

    def do_lock(self):
        """A lock taken long ago is still there: another open file cannot have it."""
        if not self.locks:
            self.side.create(self.at(b"lock"), b"")
            self.locks = [os.open(self.side.path(self.at(b"lock")), os.O_RDWR) for _ in range(2)]
            self.tree.root.entries[b"lock"] = trees.Node("file", 0o644)
            self.run("flock", 0, fcntl.flock, self.locks[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.run("flock of another", errno.EAGAIN, fcntl.flock, self.locks[1],
                 fcntl.LOCK_EX | fcntl.LOCK_NB)

    # -- comparing --------------------------------------------------------------------------

    def check_difference(self, what, node, st):
        text = trees.difference(node, st, self.side.can)
        if text:
            raise Fault("%s %s" % (what, text))
        if not node.ino and node.kind != "directory":
            node.ino = st.st_ino

    def check_content(self, node, got):
        if got != node.content:
            raise Fault("contents are %r, should be %r" % (got[:60], node.content[:60]))

    def do_check_one(self):
        found = list(self.tree.walk())
        self.check_path(*self.random.choice(found))

    def check_path(self, path, node):
        self.check_difference(os.fsdecode(path), node,
                              self.run("lstat", 0, self.side.lstat, self.at(path))[1])
        if node.kind == "file":
            self.check_content(node, self.run("read", 0, self.side.read, self.at(path), 1 << 20)[1])
        elif node.kind == "symlink":
            self.check_content(node, self.run("readlink", 0, self.side.readlink, self.at(path))[1])
        if "xattr" in self.side.can and node.kind in ("file", "directory"):
            self.check_xattrs(path, node)

    def check_xattrs(self, path, node):
        full = self.side.path(self.at(path))
        _, names = self.run("listxattr", 0, os.listxattr, full)
        if sorted(names) != sorted(node.xattrs):
            raise Fault("%s has attributes %r, should have %r" % (path, names, list(node.xattrs)))
        for name, value in node.xattrs.items():
            if self.run("getxattr", 0, os.getxattr, full, name)[1] != value:
                raise Fault("%s: attribute %s is wrong" % (path, name))

    def do_check_directory(self):
        self.check_directory(self.random.choice(list(self.tree.directories())))

    def check_directory(self, path):
        _, names = self.run("list", 0, self.side.list, self.at(path))
        want = sorted(self.tree.find(path).entries)
        if names != want:
            raise Fault("%r should have %r more and %r less" % (
                path, sorted(set(want) - set(names))[:6], sorted(set(names) - set(want))[:6]))

    def check_all(self):
        for path in list(self.tree.directories()):
            self.check_directory(path)
        for path, node in list(self.tree.walk()):
            self.check_path(path, node)
        for held in self.held:
            self.check_difference("held", held.node, os.fstat(held.fd))
            self.check_content(held.node, os.pread(held.fd, 1 << 20, 0))

    def close(self):
        for fd in [h.fd for h in self.held] + [x.fd for x in self.listings] + self.locks:
            try:
                os.close(fd)
            except OSError as error:
                print("FAULT close came to %s" % sides.name_of(error.errno), flush=True)


def told(load, seed, error):
    print("FAULT %.3f names seed %d tree %s: %s" % (time.time(), seed, load.top.decode(), error),
          flush=True)
    lines = list(load.history)
    path = max(lines[-1].split("'"), key=len) if lines else ""
    for line in [x for x in lines[:-30] if path in x] + lines[-30:]:
        print("    " + line, flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("side")
    parser.add_argument("seed", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--signals", action="store_true")
    parser.add_argument("--behind", default="")
    parser.add_argument("--lie", type=int, default=0)
    arguments = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # libnfs takes EINTR for an error
    syscalls.die_with_parent(signal.SIGKILL)
    os.umask(0)
    if arguments.signals:
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 0.003, 0.003)
    end = time.monotonic() + arguments.seconds
    generator = random.Random(arguments.seed)
    side = sides.side_from(arguments.side)
    faults = count = 0
    worst = 0.0
    while faults < FAULTS_MAX:
        load = Load(side, generator, arguments.lie)
        try:
            load.enter(b"names-%d-%d" % (arguments.seed, faults))
            while not signal.sigpending() and time.monotonic() < end:
                load.step()
            load.check_all()
            if arguments.behind:
                load.side = sides.Local(arguments.behind)
                load.check_all()
            broken = False
        except (Fault, OSError) as error:
            told(load, arguments.seed, error)
            faults, broken = faults + 1, True
        load.close()
        load.side = side
        count, worst = count + load.count, max(worst, load.worst)
        if not broken:
            break
    signal.setitimer(signal.ITIMER_REAL, 0)
    side.close()
    print("operations %d faults %d worst_ms %.1f" % (count, faults, worst * 1000), flush=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
