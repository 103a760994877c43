# SPDX-License-Identifier: GPL-2.0-or-later
"""A file handle, as an NFS server keeps it, means one file for ever: that file, or ESTALE.

Files carry their own name as content, so that a handle which reaches another file is seen.
"""
import errno
import os
import struct
import time

import pytest

import syscalls

COMMIT_SECONDS = 2                      # by then new node ids are durable
FUSE_HANDLE = 0x81                      # FILEID_INO64_GEN: node id and generation
ENDS = ("stop", "kill")


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def end(weir, how):
    """Stop or kill the worker; what is known has been made durable before."""
    if how == "kill":
        time.sleep(COMMIT_SECONDS)
        weir.kill()
    else:
        weir.stop()


def open_handle(weir, handle, flags=os.O_RDONLY):
    root = os.open(weir.path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return syscalls.open_by_handle(root, handle, flags)
    finally:
        os.close(root)


def read_handle(weir, handle):
    """What the file of a handle says; None when the handle is stale."""
    try:
        fd = open_handle(weir, handle)
    except OSError as error:
        assert error.errno == errno.ESTALE, "a handle gives %s" % error
        return None
    try:
        return os.read(fd, 100).decode()
    finally:
        os.close(fd)


def handle_of(weir, *names):
    return syscalls.name_to_handle(weir.in_mount(*names))


def test_a_handle_opens_its_file(weir):
    write(weir.in_mount("a"), "a")
    write(weir.in_mount("b"), "b")
    handles = {name: handle_of(weir, name) for name in "ab"}
    assert {name: read_handle(weir, handle) for name, handle in handles.items()} == \
        {"a": "a", "b": "b"}


@pytest.mark.parametrize("how", ENDS)
def test_handles_survive_the_worker(only_weir, weir, how):
    for number in range(50):
        os.makedirs(weir.in_mount("d%d" % (number % 5), "e"), exist_ok=True)
        write(weir.in_mount("d%d" % (number % 5), "e", "f%d" % number), str(number))
    handles = [handle_of(weir, "d%d" % (n % 5), "e", "f%d" % n) for n in range(50)]
    directory = handle_of(weir, "d3", "e")
    root = handle_of(weir)
    for _ in range(2):
        end(weir, how)
        weir.start()
        assert [read_handle(weir, handle) for handle in handles] == [str(n) for n in range(50)]
        fd = open_handle(weir, directory, os.O_RDONLY | os.O_DIRECTORY)
        assert "f3" in os.listdir(fd)
        os.close(fd)
        os.close(open_handle(weir, root))
        assert handle_of(weir, "d0", "e", "f0") == handles[0]


def test_handles_taken_just_before_a_kill_never_reach_another_file(only_weir, weir):
    for turn in range(4):
        names = ["t%d-%d" % (turn, n) for n in range(100)]
        for name in names:
            write(weir.in_mount(name), name)
        handles = {name: handle_of(weir, name) for name in names}
        weir.kill()
        weir.start()
        for name in names:              # new ids for others must not be those
            write(weir.in_mount("other-" + name), "other")
            handle_of(weir, "other-" + name)
        for name, handle in handles.items():
            assert read_handle(weir, handle) in (name, None)


@pytest.mark.parametrize("how", ENDS)
def test_deleted_while_the_worker_was_away_is_stale(only_weir, weir, how):
    """ext4 gives the inode numbers of the deleted files to the new ones."""
    for number in range(60):
        write(weir.in_mount("f%d" % number), str(number))
    handles = [handle_of(weir, "f%d" % n) for n in range(60)]
    end(weir, how)
    old = {os.stat(weir.in_store("f%d" % n)).st_ino for n in range(0, 60, 2)}
    for number in range(0, 60, 2):
        os.unlink(weir.in_store("f%d" % number))
    for number in range(60):
        write(weir.in_store("f%d" % number if number % 2 == 0 else "new%d" % number), "another")
    new = {entry.inode() for entry in os.scandir(weir.store)}
    assert old & new, "no inode number was used again: the test shows nothing"
    weir.start()
    got = [read_handle(weir, handle) for handle in handles]
    assert got == [None if n % 2 == 0 else str(n) for n in range(60)]


def test_deleted_behind_weir_is_stale(only_weir, weir):
    for number in range(20):
        write(weir.in_mount("f%d" % number), str(number))
    handles = [handle_of(weir, "f%d" % n) for n in range(20)]
    for number in range(20):
        os.unlink(weir.in_store("f%d" % number))
    for number in range(20):
        write(weir.in_store("f%d" % number), "another")
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        assert {read_handle(weir, h) for h in handles} <= {None, *map(str, range(20))}
    assert [read_handle(weir, handle) for handle in handles] == [None] * 20


def test_deleted_through_the_mount_is_stale(weir):
    write(weir.in_mount("a"), "old")
    handle = handle_of(weir, "a")
    os.unlink(weir.in_mount("a"))
    write(weir.in_mount("a"), "new")
    assert read_handle(weir, handle) is None


def test_a_removed_directory_is_stale(weir):
    os.mkdir(weir.in_mount("d"))
    handle = handle_of(weir, "d")
    os.rmdir(weir.in_mount("d"))
    os.mkdir(weir.in_mount("d"))
    with pytest.raises(OSError) as caught:
        os.close(open_handle(weir, handle))
    assert caught.value.errno == errno.ESTALE


def test_rename_keeps_the_handle(weir):
    os.mkdir(weir.in_mount("d"))
    write(weir.in_mount("a"), "a")
    handle = handle_of(weir, "a")
    os.rename(weir.in_mount("a"), weir.in_mount("d", "b"))
    assert handle_of(weir, "d", "b") == handle
    assert read_handle(weir, handle) == "a"
    os.rename(weir.in_mount("d"), weir.in_mount("e"))
    assert read_handle(weir, handle) == "a"


@pytest.mark.parametrize("how", ENDS)
def test_renamed_while_the_worker_was_away_keeps_the_handle(only_weir, weir, how):
    os.makedirs(weir.in_mount("d", "deep"))
    write(weir.in_mount("a"), "a")
    write(weir.in_mount("d", "deep", "b"), "b")
    handles = handle_of(weir, "a"), handle_of(weir, "d", "deep", "b")
    end(weir, how)
    os.rename(weir.in_store("a"), weir.in_store("d", "c"))
    os.rename(weir.in_store("d"), weir.in_store("e"))
    weir.start()
    assert [read_handle(weir, handle) for handle in handles] == ["a", "b"]


def test_rename_over_makes_the_old_handle_stale(weir):
    write(weir.in_mount("a"), "a")
    write(weir.in_mount("b"), "b")
    handles = handle_of(weir, "a"), handle_of(weir, "b")
    os.rename(weir.in_mount("a"), weir.in_mount("b"))
    assert [read_handle(weir, handle) for handle in handles] == ["a", None]


def test_exchange_keeps_both_handles(weir):
    write(weir.in_mount("a"), "a")
    write(weir.in_mount("b"), "b")
    handles = handle_of(weir, "a"), handle_of(weir, "b")
    syscalls.renameat2(os.fsencode(weir.in_mount("a")), os.fsencode(weir.in_mount("b")),
                       syscalls.RENAME_EXCHANGE)
    assert [read_handle(weir, handle) for handle in handles] == ["a", "b"]
    assert (handle_of(weir, "b"), handle_of(weir, "a")) == handles


def test_a_handle_lives_as_long_as_any_name(weir):
    write(weir.in_mount("a"), "a")
    handle = handle_of(weir, "a")
    os.link(weir.in_mount("a"), weir.in_mount("b"))
    assert handle_of(weir, "b") == handle
    os.unlink(weir.in_mount("a"))
    assert read_handle(weir, handle) == "a"
    if weir.is_weir():
        weir.restart()
        assert read_handle(weir, handle) == "a"


def test_a_symlink_has_a_handle_too(weir):
    os.symlink("nowhere", weir.in_mount("s"))
    handle = handle_of(weir, "s")
    fd = open_handle(weir, handle, os.O_PATH | os.O_NOFOLLOW)
    assert os.readlink("", dir_fd=fd) == "nowhere"
    os.close(fd)


def test_guessed_handles_reach_nothing_hidden(only_weir, weir):
    """Every node id near a known one, with several generations: never anything of .weir."""
    write(weir.in_mount("a"), "a")
    kind, raw = handle_of(weir, "a")
    assert kind == FUSE_HANDLE
    high, low, generation = struct.unpack("=III", raw[:12])
    known = (high << 32) | low
    guesses = {known + n for n in range(-600, 600)} | set(range(0, 600))
    for node in guesses - {known}:
        for number in {0, 1, generation}:
            guess = struct.pack("=III", (node >> 32) & 0xFFFFFFFF, node & 0xFFFFFFFF, number)
            try:
                fd = open_handle(weir, (kind, guess), os.O_PATH)
            except OSError as error:
                assert error.errno in (errno.ESTALE, errno.EINVAL), "node %d: %s" % (node, error)
                continue
            path = os.readlink("/proc/self/fd/%d" % fd)
            os.close(fd)
            assert ".weir" not in path and node == 1, "node %d is %s" % (node, path)


def test_handles_of_another_datastore_are_stale(only_weir, mounted):
    """Even the root's: whoever exports two mounts mixes nothing up, or only the roots."""
    one, two = mounted(), mounted()
    for weir in (one, two):
        for number in range(20):
            write(weir.in_mount("f%d" % number), weir.path)
    for number in range(20):
        assert read_handle(two, handle_of(one, "f%d" % number)) in (None, two.path)
