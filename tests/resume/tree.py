# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/resume/tree.py - what a directory tree must look like, and what each call must come to.

A Tree is changed by nobody but its owner, so for every call there is exactly one right result.
errno_of_*() say it beforehand (0 or an errno), the others make the change in the model.  Paths
are bytes relative to the tree's root, b"" is the root.
"""
import errno
import os
import stat


class Node:
    """One inode; a directory has entries."""

    def __init__(self, kind, mode, content=b"", ino=0):
        self.kind = kind                # file, directory, symlink, fifo
        self.mode = mode
        self.content = content          # or the target of a symlink
        self.ino = ino
        self.nlink = 1
        self.xattrs = {}
        self.entries = {} if kind == "directory" else None

    def is_directory(self):
        return self.entries is not None


def split(path):
    head, _, tail = path.rpartition(b"/")
    return head, tail


class Tree:
    """See the head of the file."""

    def __init__(self):
        self.root = Node("directory", 0o755)

    def find(self, path):
        node = self.root
        for part in filter(None, path.split(b"/")):
            node = node.entries.get(part) if node and node.is_directory() else None
        return node

    def directories(self, node=None, path=b""):
        node = node or self.root
        yield path
        for name, child in node.entries.items():
            if child.is_directory():
                yield from self.directories(child, os.path.join(path, name))

    def walk(self, node=None, path=b""):
        """(path, node) of everything below the root."""
        node = node or self.root
        for name, child in node.entries.items():
            below = os.path.join(path, name)
            yield below, child
            if child.is_directory():
                yield from self.walk(child, below)

    # -- making -----------------------------------------------------------------------------

    def errno_of_making(self, path):
        return errno.EEXIST if self.find(path) else 0

    def made(self, path, node):
        head, tail = split(path)
        self.find(head).entries[tail] = node

    def errno_of_link(self, old, new):
        source = self.find(old)
        if not source:
            return errno.ENOENT
        if self.find(new):
            return errno.EEXIST
        return errno.EPERM if source.is_directory() else 0

    def linked(self, old, new):
        node = self.find(old)
        node.nlink += 1
        self.made(new, node)

    # -- removing ---------------------------------------------------------------------------

    def errno_of_unlink(self, path):
        node = self.find(path)
        if not node:
            return errno.ENOENT
        return errno.EISDIR if node.is_directory() else 0

    def errno_of_rmdir(self, path):
        node = self.find(path)
        if not node:
            return errno.ENOENT
        if not node.is_directory():
            return errno.ENOTDIR
        return errno.ENOTEMPTY if node.entries else 0

    def removed(self, path):
        head, tail = split(path)
        node = self.find(head).entries.pop(tail)
        node.nlink -= 1

    # -- renaming ---------------------------------------------------------------------------

    def can_rename(self, old, new):
        """Not into itself, nor over what it lies in: those are the kernel's to refuse."""
        return not (old == new or new.startswith(old + b"/") or old.startswith(new + b"/"))

    def errno_of_rename(self, old, new, noreplace=False):
        source, target = self.find(old), self.find(new)
        if not source:
            return errno.ENOENT
        if not target:
            return 0
        if noreplace:
            return errno.EEXIST
        if source is target:
            return 0
        if source.is_directory():
            if not target.is_directory():
                return errno.ENOTDIR
            return errno.ENOTEMPTY if target.entries else 0
        return errno.EISDIR if target.is_directory() else 0

    def renamed(self, old, new):
        source, target = self.find(old), self.find(new)
        if source is target:
            return                      # two names of one file: rename(2) leaves both
        if target:
            self.removed(new)
        head, tail = split(old)
        del self.find(head).entries[tail]
        self.made(new, source)

    def errno_of_exchange(self, old, new):
        return 0 if self.find(old) and self.find(new) else errno.ENOENT

    def exchanged(self, old, new):
        one, other = self.find(old), self.find(new)
        self.made(old, other)
        self.made(new, one)

    # -- attributes -------------------------------------------------------------------------

    def errno_of_setxattr(self, path, name, flags):
        node = self.find(path)
        if not node:
            return errno.ENOENT
        if flags == os.XATTR_CREATE and name in node.xattrs:
            return errno.EEXIST
        if flags == os.XATTR_REPLACE and name not in node.xattrs:
            return errno.ENODATA
        return 0

    def errno_of_removexattr(self, path, name):
        node = self.find(path)
        if not node:
            return errno.ENOENT
        return 0 if name in node.xattrs else errno.ENODATA


def difference(node, st, can):
    """What is wrong with the result of a stat, or None."""
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink",
             stat.S_IFIFO: "fifo"}
    kind = kinds.get(stat.S_IFMT(st.st_mode), "?")
    if kind != node.kind:
        return "is a %s, should be a %s" % (kind, node.kind)
    if node.ino and st.st_ino != node.ino:
        return "has inode number %d, should have %d" % (st.st_ino, node.ino)
    if not node.is_directory() and "nlink" in can and st.st_nlink != node.nlink:
        return "has %d links, should have %d" % (st.st_nlink, node.nlink)
    if node.kind != "symlink" and stat.S_IMODE(st.st_mode) != node.mode:
        return "has mode %o, should have %o" % (stat.S_IMODE(st.st_mode), node.mode)
    if node.kind == "file" and st.st_size != len(node.content):
        return "has %d bytes, should have %d" % (st.st_size, len(node.content))
    return None
