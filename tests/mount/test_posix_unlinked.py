# SPDX-License-Identifier: GPL-2.0-or-later
"""An unlinked file lives while it is open, and its space comes back afterwards."""
import errno
import os
import time

import pytest

import syscalls

BIG = 64 << 20


@pytest.fixture(params=("unlink", "rename over", "unlinked by another user"))
def gone(request, weir):
    """A file whose only name is taken away while it is open: (mount, descriptor)."""
    fd = os.open(weir.in_mount("a"), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    os.write(fd, b"content")
    if request.param == "unlink":
        os.unlink(weir.in_mount("a"))
    elif request.param == "rename over":
        with open(weir.in_mount("b"), "w", encoding="ascii") as f:
            f.write("b")
        os.rename(weir.in_mount("b"), weir.in_mount("a"))
    else:
        os.chmod(weir.path, 0o777)
        unlink_as(weir.in_mount("a"), 1000)
    yield weir, fd
    os.close(fd)


def unlink_as(path, uid):
    pid = os.fork()
    if pid == 0:
        try:
            os.setresuid(uid, uid, uid)
            os.unlink(path)
        except OSError:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def test_goes_on_working(gone):
    _, fd = gone
    st = os.fstat(fd)
    assert (st.st_nlink, st.st_size) == (0, 7)
    assert os.pread(fd, 100, 0) == b"content"
    os.pwrite(fd, b"CONTENT and more", 0)
    os.ftruncate(fd, 10)
    os.fchmod(fd, 0o640)
    os.fchown(fd, 3, 4)
    os.utime(fd, ns=(1, 2_000_000_003))
    os.setxattr(fd, "user.x", b"1")
    assert os.getxattr(fd, "user.x") == b"1"
    os.fsync(fd)
    syscalls.fallocate(fd, 3, 0, 4)
    st = os.fstat(fd)
    assert (st.st_nlink, st.st_size, st.st_mode & 0o7777, st.st_uid, st.st_gid) == \
        (0, 10, 0o640, 3, 4)
    assert os.pread(fd, 100, 0) == b"\0\0\0\0ENT an"


def test_can_be_opened_again_only_through_proc(gone):
    _, fd = gone
    again = os.open("/proc/self/fd/%d" % fd, os.O_RDONLY)
    assert os.pread(again, 100, 0) == b"content"
    os.close(again)


def test_cannot_get_a_name_again(gone):
    weir, fd = gone
    with pytest.raises(OSError) as caught:
        syscalls.link_descriptor(fd, os.fsencode(weir.in_mount("again")))
    assert caught.value.errno == errno.ENOENT
    assert "again" not in os.listdir(weir.path)


def test_a_new_file_of_that_name_is_another(gone):
    weir, fd = gone
    with open(weir.in_mount("a"), "w", encoding="ascii") as f:
        f.write("another")
    assert os.pread(fd, 100, 0) == b"content"
    assert os.fstat(fd).st_ino != os.stat(weir.in_mount("a")).st_ino


def free_of(weir):
    os.sync()
    st = os.statvfs(weir.store)
    return st.f_bfree * st.f_frsize


def comes_back(weir, before):
    """The space of a big file, within two seconds."""
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline and free_of(weir) < before - BIG // 2:
        time.sleep(0.05)
    assert free_of(weir) > before - BIG // 2


def test_its_space_comes_back_at_the_last_close(weir):
    before = free_of(weir)
    with open(weir.in_mount("big"), "wb") as f, open(weir.in_mount("big"), "rb"):
        syscalls.fallocate(f.fileno(), 0, 0, BIG)
        os.unlink(weir.in_mount("big"))
        f.close()
        assert free_of(weir) < before - BIG // 2
    comes_back(weir, before)


def test_its_space_comes_back_after_a_kill(only_weir, weir):
    before = free_of(weir)
    fd = os.open(weir.in_mount("big"), os.O_RDWR | os.O_CREAT)
    syscalls.fallocate(fd, 0, 0, BIG)
    os.unlink(weir.in_mount("big"))
    weir.kill()
    try:
        os.close(fd)
    except OSError:
        pass                            # its filesystem is gone
    weir.start()
    assert os.listdir(weir.path) == []
    comes_back(weir, before)


def test_a_hard_link_keeps_it(weir):
    with open(weir.in_mount("a"), "wb") as f:
        os.link(weir.in_mount("a"), weir.in_mount("b"))
        os.unlink(weir.in_mount("a"))
        assert os.fstat(f.fileno()).st_nlink == os.stat(weir.in_mount("b")).st_nlink == 1
        syscalls.link_descriptor(f.fileno(), os.fsencode(weir.in_mount("c")))
        assert os.fstat(f.fileno()).st_nlink == 2
        os.unlink(weir.in_mount("b"))
        os.unlink(weir.in_mount("c"))
        assert os.fstat(f.fileno()).st_nlink == 0
    assert os.listdir(weir.path) == []


def test_a_removed_directory_is_empty_and_dead(weir):
    os.mkdir(weir.in_mount("d"))
    fd = os.open(weir.in_mount("d"), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.rmdir(weir.in_mount("d"))
        assert os.listdir(fd) == []
        assert os.fstat(fd).st_nlink == 0
        with pytest.raises(FileNotFoundError):
            os.open("x", os.O_CREAT | os.O_RDWR, dir_fd=fd)
        os.fsync(fd)
        os.fchmod(fd, 0o700)
        os.utime(fd, ns=(1, 2))
        st = os.fstat(fd)
        assert (st.st_mode & 0o777, st.st_mtime_ns) == (0o700, 2)
    finally:
        os.close(fd)
