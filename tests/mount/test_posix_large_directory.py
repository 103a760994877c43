# SPDX-License-Identifier: GPL-2.0-or-later
"""A directory of 20,000 files: complete, each name once, also while it changes."""
import os
import shutil

import pytest

import syscalls

FILES = 20_000


@pytest.fixture
def large(weir):
    """Made behind weir: making it is not what is tested here."""
    os.mkdir(weir.in_store("d"))
    for number in range(FILES):
        os.close(os.open(weir.in_store("d", "file-number-%d" % number), os.O_CREAT | os.O_WRONLY))
    return weir


def names_of(fd, size=4096):
    found, part = [], syscalls.getdents(fd, size)
    while part:
        found += [entry[3] for entry in part]
        yield found
        part = syscalls.getdents(fd, size)


def wanted():
    return {b"file-number-%d" % number for number in range(FILES)} | {b".", b".."}


def test_is_listed_completely(large):
    fd = os.open(large.in_mount("d"), os.O_RDONLY)
    try:
        for size in (300, 4096, 65536):
            os.lseek(fd, 0, os.SEEK_SET)
            found = []
            for found in names_of(fd, size):
                pass
            assert len(found) == FILES + 2 and set(found) == wanted()
    finally:
        os.close(fd)


def test_what_stays_is_listed_once_while_others_come_and_go(large):
    fd = os.open(large.in_mount("d"), os.O_RDONLY)
    found, turn = [], 0
    try:
        for found in names_of(fd):
            open(large.in_mount("d", "other-%d" % turn), "wb").close()
            if turn % 2:
                os.unlink(large.in_mount("d", "other-%d" % (turn - 1)))
            if turn % 6 == 5:
                os.rename(large.in_mount("d", "other-%d" % turn),
                          large.in_mount("d", "other-renamed-%d" % turn))
            turn += 1
    finally:
        os.close(fd)
    files = [name for name in found if not name.startswith(b"other-")]
    assert len(files) == len(set(files)), "listed twice"
    assert set(files) == wanted()


def test_can_be_removed_while_being_read(large):
    """As rm -r does it: every file is met, though each batch removes what it met."""
    fd = os.open(large.in_mount("d"), os.O_RDONLY)
    removed = 0
    try:
        for found in names_of(fd, 32768):
            for name in found[removed:]:
                if name not in (b".", b".."):
                    os.unlink(os.fsencode(large.in_mount("d")) + b"/" + name)
            removed = len(found)
    finally:
        os.close(fd)
    assert os.listdir(large.in_mount("d")) == []
    os.rmdir(large.in_mount("d"))


def test_every_file_is_what_readdir_said(large):
    """readdirplus: the attributes that come with the names."""
    sizes = {}
    for number in range(0, FILES, 10):
        os.truncate(large.in_store("d", "file-number-%d" % number), number)
        sizes["file-number-%d" % number] = number
    for entry in os.scandir(large.in_mount("d")):
        st = entry.stat(follow_symlinks=False)
        assert (st.st_size, st.st_ino) == (sizes.get(entry.name, 0), entry.inode())
    shutil.rmtree(large.in_mount("d"))
