# SPDX-License-Identifier: GPL-2.0-or-later
"""statfs tells the datastore's numbers: hypervisors decide by them."""
import os

import pytest

FIELDS = ("f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree", "f_namemax")


@pytest.mark.parametrize("kind", ("ext4", "xfs", "btrfs", "dir"))
def test_statfs_is_the_datastores(mounted, kind):
    weir = mounted(backing=kind)
    os.mkdir(weir.in_mount("d"))
    for _ in range(20):                 # others use the filesystem of a plain directory too
        os.sync()
        mine, theirs = os.statvfs(weir.in_mount("d")), os.statvfs(weir.store)
        got = {name: getattr(mine, name) for name in FIELDS}
        want = {name: getattr(theirs, name) for name in FIELDS}
        if got == want:
            return
    assert got == want
