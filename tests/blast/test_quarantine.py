# SPDX-License-Identifier: GPL-2.0-or-later
"""A request that kills the worker again and again ends with its disk in quarantine, alone."""
import errno
import os
import signal
import time

import pytest

from failing import BLOCK, fails_with_eio, read_block
from held import wait_until


@pytest.mark.parametrize("marker, name", [("WEIR-SEGV", "SIGSEGV"), ("WEIR-ABRT", "SIGABRT")])
def test_three_faults(failing, marker, name):
    """The reader gets EIO, the others no error, the status the reason; resume lifts it."""
    mount = failing()
    bad = mount.disk("bad.img")
    loops = [mount.loop(mount.disk("good1.img")), mount.loop(mount.disk("good2.img")),
             mount.loop(mount.disk("past.img", None))]
    time.sleep(0.2)
    fd = mount.open(bad)
    mount.mark("bad.img", marker)
    begin = time.monotonic()
    with pytest.raises(OSError) as error:
        os.pread(fd, BLOCK, 3 * BLOCK)
    took = time.monotonic() - begin
    assert error.value.errno == errno.EIO
    assert mount.status()["starts"] == 4

    status = mount.json(bad)
    assert status["quarantine"]["faults"] == 3
    assert status["quarantine"]["signal"] == name
    assert status["quarantine"]["operation"] == "read"
    assert status["quarantine"]["stage"] == "crash"
    assert mount.json(mount.point)["quarantined"] == ["bad.img"]
    assert len(mount.events("disk-fault")) == 3
    assert len(mount.events("disk-quarantined")) == 1
    assert "bad.img is in quarantine after 3 faults" in mount.log()
    assert "quarantine" in mount.weir("status", bad)
    assert "quarantine" in mount.weir("status", mount.point)
    with open(os.path.join(mount.store, ".weir", "state", "faults"), encoding="ascii") as f:
        assert "stage crash" in f.read()

    assert fails_with_eio(os.pread, fd, BLOCK, 0)
    assert fails_with_eio(os.pwrite, fd, b"x", 0)
    assert fails_with_eio(os.fsync, fd)
    assert fails_with_eio(os.ftruncate, fd, 0)
    assert fails_with_eio(os.lseek, fd, 0, os.SEEK_DATA)
    assert read_block(bad) == errno.EIO     # open
    assert os.stat(bad).st_size == 64 * BLOCK
    os.rename(bad, bad + "2")
    os.rename(bad + "2", bad)

    mount.unmark("bad.img")
    assert "resumed" in mount.weir("resume", bad)
    assert os.pread(fd, BLOCK, 3 * BLOCK) == b"\3" * BLOCK
    assert "quarantine" not in mount.json(bad)
    assert len(mount.events("disk-resumed")) == 1
    mount.close(fd)
    assert mount.status()["starts"] == 4
    for loop in mount.end_loops():
        assert not loop.errors and loop.turns > 10
        print("turns %d, worst %.0f ms" % (loop.turns, 1000 * loop.worst))
    print("EIO after %.0f ms" % (1000 * took))


def test_two_faults_are_forgiven(failing):
    """Two faults are told; the readers see a pause, and the disk goes on."""
    mount = failing()
    bad = mount.disk("bad.img")
    fd = mount.open(bad)
    for starts in (2, 3):
        mount.mark("bad.img", "WEIR-ONCE")
        assert os.pread(fd, BLOCK, 3 * BLOCK) == bytes(9) + b"\3" * (BLOCK - 9)
        assert mount.status()["starts"] == starts
    assert "quarantine" not in mount.json(bad)
    assert len(mount.events("disk-fault")) == 2 and not mount.events("disk-quarantined")
    assert "fault 2 of 3 that put it in quarantine" in mount.log()


def test_an_unlinked_disk_can_be_thrown_away(failing):
    """unlink works in quarantine, also while the disk is open."""
    mount = failing()
    bad = mount.disk("bad.img")
    fd = mount.open(bad)
    mount.mark("bad.img", "WEIR-SEGV")
    assert fails_with_eio(os.pread, fd, BLOCK, 3 * BLOCK)
    os.unlink(bad)
    mount.marked.clear()
    mount.close(fd)
    assert not os.path.exists(bad)
    wait_until(lambda: not os.listdir(os.path.join(mount.store, ".weir", "orphans")), "the orphan")


def test_a_write_that_kills(failing):
    """The write is answered with EIO, and never reaches the file."""
    mount = failing()
    bad = mount.disk("bad.img")
    fd = mount.open(bad)
    assert fails_with_eio(os.pwrite, fd, b"WEIR-SEGV" + bytes(BLOCK - 9), 5 * BLOCK)
    mount.close(fd)
    assert mount.json(bad)["quarantine"]["operation"] == "write"
    with open(os.path.join(mount.store, "bad.img"), "rb") as f:
        assert f.read()[5 * BLOCK:6 * BLOCK] == b"\5" * BLOCK


def test_a_kill_blames_nobody(failing):
    """SIGKILL, as of the OOM killer, 20 times; and a fault signal that somebody sends."""
    mount = failing()
    path = mount.disk("disk.img")
    loop = mount.loop(path)
    worker = mount.worker()
    for number in [signal.SIGKILL] * 20 + [signal.SIGSEGV] * 4 + [signal.SIGABRT] * 4:
        os.kill(worker, number)
        worker = mount.serving(worker)["worker"]
        time.sleep(0.12)
    mount.end_loops()
    assert not loop.errors and loop.turns > 10
    assert mount.status()["starts"] == 29
    assert "quarantine" not in mount.json(path)
    assert not mount.events("disk-fault")


def test_quarantine_outlives_the_worker(failing):
    """It is in the slate: the next worker knows it without dying for it."""
    mount = failing()
    bad = mount.disk("bad.img")
    mount.mark("bad.img", "WEIR-ABRT")
    assert read_block(bad) == errno.EIO
    worker = mount.worker()
    os.kill(worker, signal.SIGKILL)
    mount.serving(worker)
    assert read_block(bad) == errno.EIO
    assert mount.status()["starts"] == 5
    assert mount.json(bad)["quarantine"]["signal"] == "SIGABRT"
    assert "resumed" in mount.weir("resume", mount.point)   # of the datastore: all
    mount.unmark("bad.img")
    assert read_block(bad) == b"\3" * BLOCK


def test_an_open_disk_that_cannot_be_built_again(failing):
    """The next worker dies over it before it serves anybody; the fourth leaves it alone."""
    mount = failing()
    bad, good = mount.disk("bad.img"), mount.disk("good.img")
    loop = mount.loop(good)
    fd = mount.open(bad)
    os.pread(fd, BLOCK, 0)
    mount.mark("bad.img", "WEIR-OPEN", 0)
    worker = mount.worker()
    os.kill(worker, signal.SIGKILL)
    assert fails_with_eio(os.pread, fd, BLOCK, 0)
    assert mount.json(bad)["quarantine"]["stage"] == "crash"
    assert mount.json(bad)["quarantine"]["faults"] == 3
    assert read_block(good, 0) is not None
    mount.unmark("bad.img", 0)
    assert "resumed" in mount.weir("resume", bad)
    assert os.pread(fd, BLOCK, 0) == bytes(BLOCK)
    assert not mount.end_loops()[0].errors


def test_an_open_that_kills(failing):
    """open itself is refused, before the stack is built."""
    mount = failing()
    bad = mount.disk("bad.img")
    mount.mark("bad.img", "WEIR-OPEN", 0)
    assert read_block(bad) == errno.EIO
    assert mount.json(bad)["quarantine"]["operation"] == "open"
    assert read_block(bad) == errno.EIO
    assert mount.status()["starts"] == 4
