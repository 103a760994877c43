# SPDX-License-Identifier: GPL-2.0-or-later
"""A policy stays with the disk and not with its name: renames, replacements, copies, removal."""
import os
import subprocess
import time

import pytest

import syscalls
from policy_rig import (attach, compliance, covered, eventually, holds_patterns, make_disk, own,
                        status)

MARK = "trusted.weir.disk"
NOTICED = 1.5                           # seconds until a change behind weir's back is seen


@pytest.fixture(params=("passthrough=on", "passthrough=off"))
def weir(request, managed):
    weir = managed(request.param)
    weir.disk = make_disk(weir.in_mount("a.img"))
    attach(weir.disk, "watch")
    return weir


def mark(weir, name):
    return os.getxattr(weir.in_store(name), MARK)


def headers(weir):
    return len(os.listdir(weir.in_store(".weir", "disks")))


def is_disk(weir, name, policy="watch"):
    path = weir.in_mount(name)
    assert own(path) == policy and covered(path) == (policy, name)
    assert compliance(path) == "compliant" and holds_patterns(path)


@pytest.mark.parametrize("behind", (False, True), ids=("inside", "behind"))
def test_renamed(weir, behind):
    before = mark(weir, "a.img")
    place = weir.in_store if behind else weir.in_mount
    os.mkdir(weir.in_mount("d"))
    os.rename(place("a.img"), place("d", "b.img"))
    time.sleep(NOTICED if behind else 0)
    is_disk(weir, "d/b.img")
    assert mark(weir, "d/b.img") == before
    make_disk(weir.in_mount("a.img"))
    assert not covered(weir.in_mount("a.img"))
    weir.restart()
    is_disk(weir, "d/b.img")
    assert not covered(weir.in_mount("a.img"))


def test_renamed_behind_while_not_mounted(weir):
    weir.stop()
    os.rename(weir.in_store("a.img"), weir.in_store("b.img"))
    weir.start()
    is_disk(weir, "b.img")


@pytest.mark.parametrize("is_open", (False, True), ids=("closed", "open"))
def test_renamed_over(weir, is_open):
    """What an editor or qemu-img does: the new file takes over the assignment, with an id of its own."""
    before = mark(weir, "a.img")
    new = make_disk(weir.in_mount("new.img"))
    assert not covered(new)
    fd = os.open(weir.disk, os.O_RDWR) if is_open else None
    os.rename(new, weir.disk)
    is_disk(weir, "a.img")
    assert mark(weir, "a.img") != before
    if is_open:
        os.pwrite(fd, b"old", 0)
        os.close(fd)
    eventually(lambda: headers(weir) == 1, "the old disk's header to go")
    is_disk(weir, "a.img")
    weir.restart()
    is_disk(weir, "a.img")


def test_renamed_over_by_one_with_a_policy(weir):
    """It has a policy of its own and keeps it."""
    other = make_disk(weir.in_mount("b.img"))
    attach(other, "slow")
    kept = mark(weir, "b.img")
    os.rename(other, weir.disk)
    is_disk(weir, "a.img", "slow")
    assert mark(weir, "a.img") == kept and headers(weir) == 1


def test_exchanged(weir):
    other = make_disk(weir.in_mount("b.img"))
    attach(other, "slow")
    syscalls.renameat2(os.fsencode(weir.disk), os.fsencode(other), syscalls.RENAME_EXCHANGE)
    is_disk(weir, "a.img", "slow")
    is_disk(weir, "b.img", "watch")
    weir.restart()
    is_disk(weir, "a.img", "slow")
    is_disk(weir, "b.img", "watch")


def test_a_directory_is_renamed(weir):
    disk = make_disk(weir.in_mount("d", "e", "b.img"))
    attach(weir.in_mount("d"), "slow")
    os.rename(weir.in_mount("d"), weir.in_mount("f"))
    assert covered(weir.in_mount("f", "e", "b.img")) == ("slow", "f/")
    os.mkdir(weir.in_mount("d"))
    assert not covered(weir.in_mount("d")) and not os.path.exists(disk)
    weir.restart()
    assert covered(weir.in_mount("f", "e", "b.img")) == ("slow", "f/")


@pytest.mark.parametrize("is_open", (False, True), ids=("closed", "open"))
def test_unlinked(weir, is_open):
    fd = os.open(weir.disk, os.O_RDWR) if is_open else None
    os.unlink(weir.disk)
    if is_open:
        assert os.pread(fd, 8, 0) == bytes(8)
        os.close(fd)
    eventually(lambda: headers(weir) == 0, "the header to go")
    assert not covered(make_disk(weir.disk))
    assert status(weir.path)["disks"] == []
    weir.restart()
    assert not covered(weir.disk) and status(weir.path)["disks"] == []


def test_one_of_two_names_is_unlinked(weir):
    os.link(weir.disk, weir.in_mount("b.img"))
    os.unlink(weir.disk)
    assert own(weir.in_mount("b.img")) == "watch" and headers(weir) == 1
    os.unlink(weir.in_mount("b.img"))
    assert headers(weir) == 0


def test_a_directory_is_removed(weir):
    os.mkdir(weir.in_mount("d"))
    attach(weir.in_mount("d"), "slow")
    assert headers(weir) == 2
    os.rmdir(weir.in_mount("d"))
    assert headers(weir) == 1
    os.mkdir(weir.in_mount("d"))
    assert not covered(weir.in_mount("d"))


def test_removed_behind(weir):
    """A new file of that name is not the disk, also when it takes over the inode number."""
    os.unlink(weir.in_store("a.img"))
    time.sleep(NOTICED)
    make_disk(weir.in_store("a.img"))
    time.sleep(NOTICED)
    assert not covered(weir.disk) and holds_patterns(weir.disk)
    weir.restart()
    assert not covered(weir.disk) and holds_patterns(weir.disk)


@pytest.mark.parametrize("running", (True, False), ids=("mounted", "not mounted"))
def test_a_copy_is_not_the_disk(weir, running):
    """cp -a behind weir's back copies the mark: the original goes on, the copy has no policy."""
    if not running:
        weir.stop()
    subprocess.run(["cp", "-a", weir.in_store("a.img"), weir.in_store("copy.img")], check=True)
    assert mark(weir, "copy.img") == mark(weir, "a.img")
    if not running:
        weir.start()
    is_disk(weir, "a.img")
    copy = weir.in_mount("copy.img")
    assert own(copy) is None and not covered(copy)
    attach(copy, "slow")                # a disk of its own, with an id of its own
    assert mark(weir, "copy.img") != mark(weir, "a.img") and headers(weir) == 2
    is_disk(weir, "a.img")
    is_disk(weir, "copy.img", "slow")
    os.unlink(copy)
    is_disk(weir, "a.img")
    assert headers(weir) == 1


def test_a_copy_is_removed(weir):
    """With it goes nothing of the original's."""
    subprocess.run(["cp", "-a", weir.in_store("a.img"), weir.in_store("copy.img")], check=True)
    os.unlink(weir.in_mount("copy.img"))
    is_disk(weir, "a.img")
    weir.restart()
    is_disk(weir, "a.img")


def test_a_copy_takes_the_place_of_the_original(weir):
    """A restored backup: cp -a away, and back over it behind weir's back."""
    weir.stop()
    subprocess.run(["cp", "-a", weir.in_store("a.img"), weir.in_store("copy.img")], check=True)
    os.rename(weir.in_store("copy.img"), weir.in_store("a.img"))
    weir.start()
    assert own(weir.disk) is None and holds_patterns(weir.disk)
    attach(weir.disk, "slow")
    is_disk(weir, "a.img", "slow")
