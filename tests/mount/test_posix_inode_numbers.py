# SPDX-License-Identifier: GPL-2.0-or-later
"""st_ino: one number for each file, for as long as the file exists."""
import os
import time

import pytest


def make_some(weir):
    os.mkdir(weir.in_mount("d"))
    for number in range(30):
        with open(weir.in_mount("d", "f%d" % number), "w", encoding="ascii"):
            pass
    os.symlink("f1", weir.in_mount("d", "s"))
    os.mkfifo(weir.in_mount("d", "p"))


def numbers(weir):
    return {entry.name: os.lstat(entry.path).st_ino for entry in os.scandir(weir.in_mount("d"))}


@pytest.mark.parametrize("how", ("stop", "kill"))
def test_inode_numbers_stay_over_a_restart(only_weir, weir, how):
    make_some(weir)
    before = numbers(weir), os.stat(weir.path).st_ino
    if how == "kill":
        time.sleep(2)
    getattr(weir, how)()
    weir.start()
    assert (numbers(weir), os.stat(weir.path).st_ino) == before


def test_inode_numbers_are_unlike(weir):
    make_some(weir)
    found = numbers(weir)
    assert len(set(found.values())) == len(found)


def test_readdir_and_stat_agree(weir):
    make_some(weir)
    for entry in os.scandir(weir.in_mount("d")):
        assert entry.inode() == os.lstat(entry.path).st_ino, entry.name


def test_inode_numbers_stay_over_rename_and_are_shared_by_links(weir):
    make_some(weir)
    before = os.stat(weir.in_mount("d", "f1")).st_ino
    os.rename(weir.in_mount("d", "f1"), weir.in_mount("g"))
    os.link(weir.in_mount("g"), weir.in_mount("d", "h"))
    assert os.stat(weir.in_mount("g")).st_ino == os.stat(weir.in_mount("d", "h")).st_ino == before


def test_hard_links_share_their_number_after_a_restart(only_weir, weir):
    make_some(weir)
    os.link(weir.in_mount("d", "f1"), weir.in_mount("h"))
    weir.restart()
    assert os.stat(weir.in_mount("h")).st_ino == os.stat(weir.in_mount("d", "f1")).st_ino
    assert os.stat(weir.in_mount("h")).st_nlink == 2
