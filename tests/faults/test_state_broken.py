# SPDX-License-Identifier: GPL-2.0-or-later
"""The medium below the state directory cannot be read any more.

LMDB reads through a mapping, where that is a signal (SIGBUS) and not an error.  Who needs a page
that cannot be read gets EIO; open disks go on, the worker lives; with the medium back all is there.
"""
import errno
import os
import shutil
import subprocess

import faults_rig as rig
import policy_rig
import syscalls
from test_state_full import Guest, many

FILES = 20000


def drop_caches():
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
        f.write("3")


def first_block(path):
    """Where a file lies on its filesystem, in bytes."""
    words = subprocess.run(["filefrag", "-e", "-b4096", path], stdout=subprocess.PIPE, check=True,
                           timeout=20).stdout.decode().split("\n")
    return int(words[3].split()[3].rstrip(".")) * 4096


def outcome(path):
    try:
        os.stat(path)
        return 0
    except OSError as error:
        return error.errno


def test_a_catalog_that_cannot_be_read_is_eio_and_no_death(filesystem, mounted, policies, way):
    place = filesystem("ext4", 64)
    state = os.path.join(place.path, "state")
    mount = mounted(options="%s,state=%s,policies=%s" % (way, state, policies.path), seconds=100)
    mount.expect_log("catalog: |EXT4")
    policy_rig.make_disk(mount.in_mount("disk"), 256)
    paths = many(mount.in_mount("many"), FILES)
    mount.restart()                     # the memory knows none of them
    os.stat(mount.in_mount("disk"))
    pid = rig.worker(mount)
    guest = Guest(mount.in_mount("disk"))
    whole = os.path.getsize(place.image)
    shutil.copyfile(place.image, place.image + ".copy")
    try:
        cut = first_block(os.path.join(state, "catalog", "data.mdb")) + (1 << 20)
        drop_caches()
        os.truncate(place.image, cut)
        found = [outcome(path) for path in paths[::40]]
        assert set(found) <= {0, errno.EIO} and errno.EIO in found, set(found)
        os.listdir(mount.path)
        assert rig.worker(mount) == pid and rig.alive(pid), mount.log()
    finally:
        guest.end()
        os.truncate(place.image, whole)
    mount.kill()
    syscalls.umount2(place.path)
    os.replace(place.image + ".copy", place.image)
    place.mount()
    mount.start()
    assert not any(outcome(path) for path in paths)
    mount.stop()
    rig.check_no_damage(mount, state)
