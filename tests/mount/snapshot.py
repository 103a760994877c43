# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/mount/snapshot.py - everything a directory tree says about itself, and differences of two.

A snapshot is a dict: relative name (bytes) -> dict of facts.  Names that share an inode carry the
same "links" list.  weir's own marks on the backing files (trusted.weir.*) do not count.
"""
import os
import stat

import syscalls
from model_worker import same_mode, same_times
from operations import Times

WHOLE = 4 << 20                         # files up to this size are read whole, holes included

MANY = 512                              # more data segments than this are not looked at


def facts_of(path, entry_inode):
    """Facts of one object, or the error it gives; @entry_inode is what readdir said."""
    try:
        return facts_from(path, os.lstat(path), entry_inode)
    except OSError as error:
        return {"error": str(error).split(":", maxsplit=1)[0], "inode": path}


def facts_from(path, st, entry_inode):
    facts = {
        "mode": st.st_mode, "nlink": st.st_nlink, "owner": (st.st_uid, st.st_gid),
        "rdev": st.st_rdev, "times": Times((st.st_atime_ns, st.st_mtime_ns, st.st_ctime_ns)),
        "xattrs": xattrs_of(path), "inode": (st.st_dev, st.st_ino),
    }
    if entry_inode is not None and entry_inode != st.st_ino:
        facts["inode of readdir"] = (entry_inode, st.st_ino)
    if stat.S_ISREG(st.st_mode):
        facts["size"] = st.st_size
        facts.update(contents_of(path, st.st_size))
    elif stat.S_ISLNK(st.st_mode):
        facts["size"] = st.st_size
        facts["target"] = os.readlink(path)
    return facts


def xattrs_of(path):
    names = os.listxattr(path, follow_symlinks=False)
    return {name: xattr_of(path, name) for name in sorted(names)
            if not name.startswith("trusted.weir.")}


def xattr_of(path, name):
    try:
        return os.getxattr(path, name, follow_symlinks=False)
    except OSError as error:
        return error.errno              # a malformed security.capability: EINVAL


def contents_of(path, size):
    """Bytes, and data segments; "loose" when unwritten extents make the segments a matter of luck."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NOATIME)
    try:
        segments = syscalls.seek_map(fd, MANY)
        loose = syscalls.has_unwritten_extents(fd)
        ranges = [(0, size)] if size <= WHOLE else segments
        parts = [(start, os.pread(fd, min(end - start, WHOLE), start)) for start, end in ranges]
    finally:
        os.close(fd)
    facts = {"data": strip_zeros(parts), "segments": segments, "loose": loose}
    lost = [at for at in facts["data"] if not any(a <= at < b for a, b in segments)]
    if lost and len(segments) < MANY:
        facts["data in what SEEK_HOLE calls a hole"] = lost
    return facts


def strip_zeros(parts):
    """Page-wise without zero pages, so that a hole and written zeros compare equal."""
    pages = {}
    for start, content in parts:
        for at in range(0, len(content), 4096):
            page = content[at:at + 4096]
            if page.strip(b"\0"):
                pages[start + at] = page
    return pages


def take(root):
    """Snapshot of everything below @root (bytes), and of it as name b""."""
    found = {b"": facts_of(root, None)}
    stack = [b""]
    while stack:
        directory = stack.pop()
        with os.scandir(os.path.join(root, directory)) as entries:
            for entry in entries:
                name = os.path.join(directory, entry.name)
                found[name] = facts_of(entry.path, entry.inode())
                if entry.is_dir(follow_symlinks=False):
                    stack.append(name)
    group_links(found)
    return found


def group_links(found):
    groups = {}
    for name, facts in found.items():
        groups.setdefault(facts.pop("inode"), []).append(name)
    for names in groups.values():
        for name in names:
            found[name]["links"] = sorted(names)


def loosen(trees):
    """What is loose in the datastore or on the twin is loose everywhere: FUSE cannot tell."""
    for name, facts in trees[1].items():
        facts["loose"] = any(tree.get(name, facts).get("loose") for tree in trees[1:])


def difference(mine, theirs, began, slack, times=True):
    """The first difference in words; None when equal.  @began as in model_worker.same_times."""
    for name in sorted(set(mine) | set(theirs)):
        if name not in mine or name not in theirs:
            return "%r is only in %s" % (name, "the twin" if name in theirs else "the mount")
        text = difference_of(mine[name], theirs[name], began, slack, times)
        if text:
            return "%r: %s" % (name, text)
    return None


def difference_of(mine, theirs, began, slack, times):
    for key in sorted(set(mine) | set(theirs)):
        a, b = mine.get(key), theirs.get(key)
        if a == b or key == "loose":
            continue
        if key == "mode" and same_mode(a, b):
            continue
        if key == "times" and (not times or stat.S_ISFIFO(theirs["mode"]) or same_times(a, b, began, slack)):
            continue
        if key == "segments" and (theirs["loose"] or within_pages(a, b)):
            continue
        if key == "data":
            wrong = sorted(at for at in set(a) | set(b) if a.get(at) != b.get(at))
            return "contents differ in the pages at %s" % wrong[:8]
        return "%s is %r, on the twin %r" % (key, a, b)
    return None


def within_pages(a, b):
    """The last segment may end at the file's end or at the end of its page."""
    return len(a) == len(b) and all(x[0] == y[0] and (x[1] + 4095) // 4096 == (y[1] + 4095) // 4096
                                    for x, y in zip(a, b))
