# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/mount/disks.py - what the tests of disks share: descriptors on disk, and their status."""
import json
import os
import sys
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(SOURCE, "tests", "recognise"))

import images  # noqa: E402, F401

SECTORS = 16384
SIZE = SECTORS * 512


def status(path):
    return json.loads(os.getxattr(path, "user.weir.status"))


def disk(path):
    return status(path)["disk"]


def events(mount, name):
    """The texts of all events @name, as (path, text)."""
    found = json.loads(os.getxattr(mount.path, "user.weir.events.0"))
    return [(e.get("path"), e["text"]) for e in found if e["event"] == name]


def wait_event(mount, name, path, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for where, text in events(mount, name):
            if where == path:
                return text
        time.sleep(0.05)
    raise AssertionError("no event %s for %s" % (name, path))


def write(path, content=b"", size=None):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(content)
        if size is not None:
            f.truncate(size)
    return path


def flat(directory, name, extent=None, parent=None, cid="11111111", parent_cid=None, size=SIZE):
    """A descriptor NAME.vmdk with one flat extent beside it; returns the descriptor's path."""
    extent = extent or name + "-flat.vmdk"
    if size is not None:
        write(os.path.join(directory, name + "-flat.vmdk"), size=size)
    parent_cid = parent_cid or ("22222222" if parent else "ffffffff")
    return write(os.path.join(directory, name + ".vmdk"), images.descriptor_bytes(
        "vmfs", ['RW %d VMFS "%s"' % (SECTORS, extent)], cid=cid, parent_cid=parent_cid,
        parent=parent))


def chain(directory, names):
    """Flat disks, each the parent of the next; returns the path of the last one."""
    for i, name in enumerate(names):
        path = flat(directory, name, cid="%08x" % (i + 1), parent_cid="%08x" % i if i else None,
                    parent=names[i - 1] + ".vmdk" if i else None)
    return path
