# SPDX-License-Identifier: GPL-2.0-or-later
"""What one way of access wrote all others see at once: descriptors, mappings, O_DIRECT, stat."""
import contextlib
import fcntl
import json
import mmap
import os
import time

import pytest

import syscalls

PAGE = mmap.PAGESIZE
MODES = {"buffered": os.O_RDWR, "direct": os.O_RDWR | os.O_DIRECT,
         "synchronous": os.O_RDWR | os.O_DSYNC, "append": os.O_RDWR | os.O_APPEND,
         "read-only": os.O_RDONLY}


@pytest.fixture
def disk(weir):
    """A file of 64 pages, made through the mount."""
    with open(weir.in_mount("disk.img"), "wb") as f:
        f.write(bytes(range(256)) * (64 * PAGE // 256))
    return weir.in_mount("disk.img")


@contextlib.contextmanager
def opened(path, flags):
    fd = os.open(path, flags)
    try:
        yield fd
    finally:
        os.close(fd)


def aligned(data):
    buffer = mmap.mmap(-1, len(data))
    buffer[:] = data
    return buffer


@pytest.mark.parametrize("writer", ("buffered", "direct", "synchronous"))
@pytest.mark.parametrize("reader", ("buffered", "direct", "read-only"))
def test_write_is_seen_by_other_descriptors(disk, writer, reader):
    with opened(disk, MODES[writer]) as w, opened(disk, MODES[reader]) as r:
        buffer = mmap.mmap(-1, PAGE)
        for turn in range(64):
            data = bytes([turn + 1]) * PAGE
            assert os.pwritev(w, [aligned(data)], turn * PAGE) == PAGE
            assert os.preadv(r, [buffer], turn * PAGE) == PAGE
            assert buffer[:] == data


@pytest.mark.parametrize("how", ("buffered", "direct"))
def test_write_is_seen_in_a_mapping_and_back(disk, how):
    with opened(disk, MODES[how]) as fd, opened(disk, os.O_RDWR) as plain:
        with mmap.mmap(plain, 64 * PAGE) as area:
            buffer = mmap.mmap(-1, PAGE)
            for turn in range(64):
                at = turn * PAGE
                os.pwritev(fd, [aligned(bytes([turn]) * PAGE)], at)
                assert area[at:at + PAGE] == bytes([turn]) * PAGE
                area[at:at + 3] = b"map"
                assert os.pread(plain, 3, at) == b"map"
                os.preadv(fd, [buffer], at)
                assert buffer[:3] == b"map"


def test_a_mapping_outlives_its_descriptor_and_name(weir, disk):
    with opened(disk, os.O_RDWR) as fd:
        area = mmap.mmap(fd, PAGE)
    with area:
        area[:4] = b"here"
        with open(disk, "rb") as f:
            assert f.read(4) == b"here"
        os.unlink(disk)
        assert area[:4] == b"here"
        area[:4] = b"more"
        area.flush()
    assert os.listdir(weir.path) == []


def test_two_mappings_share_their_pages(disk):
    with opened(disk, os.O_RDWR) as one, opened(disk, os.O_RDWR) as two:
        with mmap.mmap(one, PAGE) as a, mmap.mmap(two, PAGE) as b:
            a[10:14] = b"here"
            assert b[10:14] == b"here"
            b[10:14] = b"back"
            assert a[10:14] == b"back"


def test_a_mapping_is_in_the_datastore_after_msync(weir, disk):
    with opened(disk, os.O_RDWR) as fd, mmap.mmap(fd, PAGE) as area:
        area[:4] = b"sync"
        area.flush()
        with open(weir.in_store("disk.img"), "rb") as f:
            assert f.read(4) == b"sync"


def facts(st):
    return st.st_size, st.st_mtime_ns, st.st_blocks > 0


@pytest.mark.parametrize("how", ("buffered", "synchronous", "append"))
def test_attributes_right_after_each_write(disk, how):
    """By descriptor, by another descriptor, by name: size grows, mtime and ctime move."""
    os.stat(disk)
    with opened(disk, MODES[how]) as fd, opened(disk, os.O_RDONLY) as other:
        os.fstat(other)
        for turn in range(20):
            before = os.fstat(fd)
            time.sleep(0.012)           # coarser clocks than the kernel's tick do not exist
            os.pwrite(fd, b"x" * 1000, before.st_size)
            after = os.stat(disk)
            assert after.st_size == before.st_size + 1000
            assert after.st_mtime_ns > before.st_mtime_ns, turn
            assert after.st_ctime_ns > before.st_ctime_ns
            assert facts(os.fstat(fd)) == facts(os.fstat(other)) == facts(after)
            os.fsync(fd)
            assert os.fstat(other).st_blocks * 512 >= after.st_size


def test_attributes_after_each_direct_write(disk):
    with opened(disk, MODES["direct"]) as fd:
        for turn in range(20):
            before = os.stat(disk)
            time.sleep(0.012)
            os.pwritev(fd, [aligned(b"d" * PAGE)], (64 + turn) * PAGE)
            after = os.stat(disk)
            assert after.st_size == (65 + turn) * PAGE
            assert after.st_mtime_ns > before.st_mtime_ns


def test_mtime_after_a_mapped_write_and_msync(disk):
    before = os.stat(disk).st_mtime_ns
    time.sleep(0.012)
    with opened(disk, os.O_RDWR) as fd, mmap.mmap(fd, PAGE) as area:
        area[:4] = b"mmap"
        area.flush()
        deadline = time.monotonic() + 1.5       # as for a change behind weir's back
        while os.stat(disk).st_mtime_ns <= before and time.monotonic() < deadline:
            time.sleep(0.02)
    assert os.stat(disk).st_mtime_ns > before


def test_truncate_takes_effect_on_open_files_and_mappings(disk):
    with opened(disk, os.O_RDWR) as fd, opened(disk, os.O_RDWR) as other:
        with mmap.mmap(other, 64 * PAGE) as area:
            os.ftruncate(fd, 100)
            assert os.fstat(other).st_size == 100
            assert os.pread(other, 1000, 0) == bytes(range(100))
            assert area[100:PAGE] == bytes(PAGE - 100)
            os.ftruncate(fd, 3 * PAGE)
            assert area[:3 * PAGE] == bytes(range(100)) + bytes(3 * PAGE - 100)
            with opened(disk, os.O_RDWR | os.O_TRUNC):
                assert os.fstat(fd).st_size == 0
            assert os.pread(fd, 10, 0) == b""


def test_punched_holes_read_as_zeros_everywhere(disk):
    with opened(disk, os.O_RDWR) as fd, opened(disk, os.O_RDWR) as other:
        with mmap.mmap(other, 64 * PAGE) as area:
            assert area[PAGE] == 0 and area[PAGE + 1] == 1
            before = os.fstat(fd).st_blocks
            syscalls.fallocate(fd, 3, PAGE, 4 * PAGE)
            assert area[PAGE:5 * PAGE] == os.pread(other, 4 * PAGE, PAGE) == bytes(4 * PAGE)
            os.fsync(fd)
            assert os.fstat(fd).st_blocks < before
            assert os.lseek(fd, 0, os.SEEK_HOLE) == PAGE
            assert os.lseek(fd, PAGE, os.SEEK_DATA) == 5 * PAGE


def test_a_mapped_write_is_no_hole(weir, way, request):
    """Before any msync: `cp` asks SEEK_DATA what it has to copy."""
    if way == "passthrough=off" and weir.is_weir():
        request.applymarker(pytest.mark.xfail(
            reason="the kernel does not flush mapped pages before it asks a FUSE daemon: "
                   "docs/filesystem.md"))
    path = weir.in_mount("sparse")
    with open(path, "wb") as f:
        f.truncate(16 * PAGE)
    with opened(path, os.O_RDWR) as fd, mmap.mmap(fd, 16 * PAGE) as area:
        area[8 * PAGE] = 1
        assert os.lseek(fd, 0, os.SEEK_DATA) == 8 * PAGE
        assert os.lseek(fd, 8 * PAGE, os.SEEK_HOLE) == 9 * PAGE


def test_append_can_be_switched_on_and_off(weir, way):
    """Off only where the daemon writes: see DOCUMENTED in model_worker.py."""
    with opened(weir.in_mount("f"), os.O_RDWR | os.O_CREAT) as fd:
        os.pwrite(fd, b"12345", 0)
        fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND)
        os.write(fd, b"6")
        assert os.pread(fd, 10, 0) == b"123456"
        fcntl.fcntl(fd, fcntl.F_SETFL, 0)
        os.lseek(fd, 0, os.SEEK_SET)
        os.write(fd, b"x")
        assert os.pread(fd, 10, 0) == b"x23456"
    if way == "passthrough=on" and weir.is_weir():
        return
    with opened(weir.in_mount("f"), os.O_RDWR | os.O_APPEND) as fd:
        fcntl.fcntl(fd, fcntl.F_SETFL, 0)
        os.pwrite(fd, b"y", 0)
        assert os.pread(fd, 10, 0) == b"y23456"


def test_many_opens_of_one_file(disk):
    fds = []
    try:
        for turn in range(600):
            fds.append(os.open(disk, MODES[sorted(MODES)[turn % len(MODES)]]))
        os.pwrite(fds[[f % len(MODES) for f in range(600)].index(1)], b"hello", 0)
        for turn, fd in enumerate(fds):
            if turn % len(MODES) != sorted(MODES).index("direct"):
                assert os.pread(fd, 5, 0) == b"hello"
    finally:
        for fd in fds:
            os.close(fd)
    with open(disk, "rb") as f:
        assert f.read(5) == b"hello"


def test_opened_and_closed_many_times(disk):
    for turn in range(2000):
        with opened(disk, os.O_RDWR) as fd:
            os.pwrite(fd, b"%04d" % turn, 0)
    with open(disk, "rb") as f:
        assert f.read(4) == b"1999"


def test_descriptors_of_the_worker_are_bounded(only_weir, weir):
    """Neither known nor once opened files keep descriptors."""
    before = weir.descriptors()
    for number in range(3000):
        with open(weir.in_mount("f%d" % number), "wb") as f:
            f.write(b"x")
    for number in range(3000):
        with open(weir.in_mount("f%d" % number), "rb") as f:
            f.read()
    assert weir.descriptors() - before < 1200
    with contextlib.ExitStack() as stack:
        for number in range(400):
            stack.enter_context(open(weir.in_mount("f%d" % number), "rb"))
    assert weir.descriptors() - before < 1200


def status(path):
    return json.loads(os.getxattr(path, "user.weir.status"))


def test_status_tells_the_way(only_weir, weir, way, disk):
    """Also for a file that was created, not opened."""
    wanted = "passthrough" if way == "passthrough=on" else "daemon"
    with opened(weir.in_mount("new.img"), os.O_RDWR | os.O_CREAT | os.O_EXCL) as fd:
        os.write(fd, b"x")
        assert status(weir.in_mount("new.img"))["way"] == wanted
        with opened(disk, os.O_RDONLY):
            assert status(disk)["way"] == wanted
    assert status(disk)["way"] == "closed"


def test_cache_none_gives_the_same_bytes(only_weir, mounted):
    weir = mounted(options="passthrough=off,cache=none")
    path = weir.in_mount("f")
    with opened(path, os.O_RDWR | os.O_CREAT) as fd, opened(path, os.O_RDONLY) as other:
        os.pwrite(fd, b"hello", 3)
        assert os.pread(other, 100, 0) == b"\0\0\0hello"
        os.ftruncate(fd, 5)
        assert os.pread(other, 100, 0) == b"\0\0\0he"
