# SPDX-License-Identifier: GPL-2.0-or-later
"""DATASTORE/.weir is invisible and unreachable through the mount; its name cannot be made there."""
import errno
import os
import subprocess

import pytest

import syscalls

pytestmark = pytest.mark.usefixtures("only_weir")

# Each gets the path of .weir and that of an ordinary file; none may succeed.
REFUSED = {
    "stat": lambda hidden, f: os.lstat(hidden),
    "access": lambda hidden, f: os.stat(hidden + "/"),
    "open": lambda hidden, f: os.close(os.open(hidden, os.O_RDONLY)),
    "open_path": lambda hidden, f: os.close(os.open(hidden, os.O_PATH)),
    "create": lambda hidden, f: os.close(os.open(hidden, os.O_CREAT | os.O_RDWR)),
    "create_exclusive": lambda hidden, f: os.close(
        os.open(hidden, os.O_CREAT | os.O_EXCL | os.O_RDWR)),
    "mkdir": lambda hidden, f: os.mkdir(hidden),
    "mknod": lambda hidden, f: os.mknod(hidden),
    "mkfifo": lambda hidden, f: os.mkfifo(hidden),
    "symlink": lambda hidden, f: os.symlink("x", hidden),
    "link_to": lambda hidden, f: os.link(f, hidden),
    "link_from": lambda hidden, f: os.link(hidden, f + "2"),
    "rename_to": lambda hidden, f: os.rename(f, hidden),
    "rename_directory_to": lambda hidden, f: os.rename(os.path.dirname(f), hidden),
    "rename_from": lambda hidden, f: os.rename(hidden, f + "2"),
    "noreplace_to": lambda hidden, f: syscalls.renameat2(
        os.fsencode(f), os.fsencode(hidden), syscalls.RENAME_NOREPLACE),
    "exchange": lambda hidden, f: syscalls.renameat2(
        os.fsencode(f), os.fsencode(hidden), syscalls.RENAME_EXCHANGE),
    "exchange_back": lambda hidden, f: syscalls.renameat2(
        os.fsencode(hidden), os.fsencode(f), syscalls.RENAME_EXCHANGE),
    "rmdir": lambda hidden, f: os.rmdir(hidden),
    "unlink": lambda hidden, f: os.unlink(hidden),
    "listdir": lambda hidden, f: os.listdir(hidden),
    "chdir": lambda hidden, f: os.chdir(hidden),
    "chmod": lambda hidden, f: os.chmod(hidden, 0o777),
    "chown": lambda hidden, f: os.lchown(hidden, 1, 1),
    "truncate": lambda hidden, f: os.truncate(hidden, 0),
    "setxattr": lambda hidden, f: os.setxattr(hidden, "user.x", b"1"),
    "listxattr": lambda hidden, f: os.listxattr(hidden),
    "handle": lambda hidden, f: syscalls.name_to_handle(hidden),
    "below": lambda hidden, f: os.stat(hidden + "/state"),
    "create_below": lambda hidden, f: os.close(os.open(hidden + "/x", os.O_CREAT | os.O_RDWR)),
    "rename_into": lambda hidden, f: os.rename(f, hidden + "/x"),
    "mount_of_itself": lambda hidden, f: os.stat(os.path.dirname(f) + "/../.weir"),
}


@pytest.fixture
def place(mounted):
    weir = mounted()
    os.mkdir(weir.in_mount("d"))
    with open(weir.in_mount("d", "f"), "w", encoding="ascii") as f:
        f.write("f")
    return weir


@pytest.mark.parametrize("what", sorted(REFUSED))
def test_never_succeeds(place, what):
    before = sorted(os.listdir(place.in_store(".weir")))
    with pytest.raises(OSError) as caught:
        REFUSED[what](place.in_mount(".weir"), place.in_mount("d", "f"))
    assert caught.value.errno in (errno.EPERM, errno.EACCES, errno.ENOENT)
    assert os.listdir(place.path) == ["d"]
    assert os.listdir(place.in_mount("d")) == ["f"]
    assert sorted(os.listdir(place.in_store(".weir"))) == before


def test_is_not_listed(place):
    assert os.path.isdir(place.in_store(".weir"))
    assert ".weir" not in os.listdir(place.path)
    fd = os.open(place.path, os.O_RDONLY)
    names, part = [], syscalls.getdents(fd)
    while part:
        names += [entry[3] for entry in part]
        part = syscalls.getdents(fd)
    os.close(fd)
    assert sorted(names) == [b".", b"..", b"d"]


def test_a_symlink_to_it_leads_nowhere(place):
    os.symlink(".weir", place.in_mount("s"))
    os.symlink(".weir/state", place.in_mount("t"))
    for name in ("s", "t"):
        with pytest.raises(FileNotFoundError):
            os.stat(place.in_mount(name))


def test_other_directories_may_have_such_a_name(place):
    os.mkdir(place.in_mount("d", ".weir"))
    with open(place.in_mount("d", ".weir", "x"), "w", encoding="ascii") as f:
        f.write("x")
    assert ".weir" in os.listdir(place.in_mount("d"))
    with pytest.raises(OSError):
        os.rename(place.in_mount("d", ".weir"), place.in_mount(".weir"))
    with pytest.raises(OSError):
        os.link(place.in_mount("d", ".weir", "x"), place.in_mount(".weir"))


def test_an_empty_datastore_looks_empty_and_can_be_emptied(place):
    subprocess.run("rm -rf %s/*" % place.path, shell=True, check=True, timeout=20)
    assert os.listdir(place.path) == []
    assert os.stat(place.path).st_nlink >= 1


def test_is_private_in_the_datastore_too(place):
    assert os.stat(place.in_store(".weir")).st_mode & 0o077 == 0
