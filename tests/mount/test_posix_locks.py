# SPDX-License-Identifier: GPL-2.0-or-later
"""Locks hold between processes: POSIX, open file description (QEMU's), flock; and end with them."""
import errno
import fcntl
import os
import signal
import struct
import time

import pytest

import syscalls
from operations import FLOCK

F_OFD_SETLKW = 38
KINDS = ("posix", "ofd", "flock")
WAIT = {"posix": fcntl.F_SETLKW, "ofd": F_OFD_SETLKW}
TRY = {"posix": fcntl.F_SETLK, "ofd": syscalls.F_OFD_SETLK}


def lock(fd, kind, exclusive=True, wait=False, start=0, length=0):
    if kind == "flock":
        fcntl.flock(fd, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) |
                    (0 if wait else fcntl.LOCK_NB))
        return
    flock = struct.pack(FLOCK, fcntl.F_WRLCK if exclusive else fcntl.F_RDLCK, 0, start, length, 0)
    fcntl.fcntl(fd, (WAIT if wait else TRY)[kind], flock)


class Holder:
    """A process that opens a file and holds a lock until it is told to go."""

    def __init__(self, path, kind, **how):
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            fd = os.open(path, os.O_RDWR)
            lock(fd, kind, **how)
            os.write(writer, b"x")
            signal.pause()
        os.close(writer)
        assert os.read(reader, 1) == b"x"
        os.close(reader)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


@pytest.fixture
def held(weir, request):
    """(path, holder factory); holders die with the test."""
    path = weir.in_mount("disk.img")
    with open(path, "wb") as f:
        f.truncate(1 << 20)
    holders = []

    def hold(kind, **how):
        holders.append(Holder(path, kind, **how))
        return holders[-1]

    yield path, hold
    for holder in holders:
        try:
            holder.kill()
        except (ProcessLookupError, ChildProcessError):
            pass


def refused(path, kind, **how):
    with open(path, "r+b") as f:
        try:
            lock(f.fileno(), kind, **how)
        except OSError as error:
            assert error.errno in (errno.EAGAIN, errno.EACCES)
            return True
    return False


@pytest.mark.parametrize("kind", KINDS)
def test_conflicts_are_refused_until_the_holder_dies(held, kind):
    path, hold = held
    holder = hold(kind)
    assert refused(path, kind)
    assert refused(path, kind, exclusive=False)
    holder.kill()
    assert not refused(path, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_shared_locks_go_together(held, kind):
    path, hold = held
    hold(kind, exclusive=False)
    assert not refused(path, kind, exclusive=False)
    assert refused(path, kind)


@pytest.mark.parametrize("kind", ("posix", "ofd"))
def test_ranges_do_not_disturb_each_other(held, kind):
    path, hold = held
    hold(kind, start=100, length=10)
    assert refused(path, kind, start=105, length=1)
    assert not refused(path, kind, start=110, length=10)
    assert not refused(path, kind, start=90, length=10)


@pytest.mark.parametrize("kind", KINDS)
def test_a_waiter_gets_the_lock(held, kind):
    path, hold = held
    holder = hold(kind)
    pid = os.fork()
    if pid == 0:
        fd = os.open(path, os.O_RDWR)
        lock(fd, kind, wait=True)
        os._exit(0)
    time.sleep(0.1)
    assert os.waitpid(pid, os.WNOHANG) == (0, 0), "did not wait"
    holder.kill()
    deadline = time.monotonic() + 5
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            pytest.fail("the waiter waits still")
        time.sleep(0.01)


def test_locks_of_images_as_qemu_takes_them(held):
    """Single bytes from 100 (permissions) and 200 (sharing) on, shared OFD locks."""
    path, hold = held
    for byte in (100, 101, 201, 203):
        hold("ofd", exclusive=False, start=byte, length=1)
    assert refused(path, "ofd", start=201, length=1)
    assert not refused(path, "ofd", start=202, length=1)
