# SPDX-License-Identifier: GPL-2.0-or-later
"""Kills at moments that random ones hardly meet: the first start, a mount just made, an umount."""
import json
import os
import signal
import subprocess
import time

import pytest

import victim as victims


def holder_of(point):
    """Pid of the weir-holder that serves a mount point."""
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        try:
            with open("/proc/%d/cmdline" % pid, "rb") as f:
                words = f.read().split(b"\0")
        except OSError:
            continue
        if victims.name_of(pid) == "weir-holder" and os.fsencode(point) in words:
            return pid
    return None


class Background:
    """Stands for Popen: a holder that is nobody's child."""

    def __init__(self, pid):
        self.pid = pid
        self.returncode = 0

    def poll(self):
        return None if victims.state_of(self.pid)[0] else 0

    def wait(self, seconds):
        end = time.monotonic() + seconds
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("weir-holder", seconds)
            time.sleep(0.01)
        return 0


@pytest.mark.parametrize("delay_ms", (0, 1, 5))
def test_a_kill_right_after_weir_mount_returned(victim, place, delay_ms):
    one = victim(start=False)
    code, said = one.weir("mount", one.store, one.point)
    assert code == 0, said
    one.holder = Background(holder_of(one.point))
    victims.janitor.remember(place, one.holder.pid)
    time.sleep(delay_ms / 1000)
    os.kill(one.worker(), signal.SIGKILL)
    os.mkdir(os.path.join(one.point, "made"))
    assert os.listdir(one.store) != []


def test_a_kill_during_the_first_start(victim):
    """Mounted and well, or not mounted, said so, and nothing left; never in between."""
    outcomes = set()
    for delay_ms in (0, 1, 2, 4, 8, 12, 20):
        one = victim(start=False)
        holder = subprocess.Popen(
            [victims.weirs.program("weir"), "mount", "-f", one.store, one.point],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True)
        victims.janitor.remember(one.watched, holder.pid)
        one.holder = holder
        pid = one.next_worker(0)
        assert pid, "no worker ever"
        time.sleep(delay_ms / 1000)
        one.kill_worker(pid)
        deadline = time.monotonic() + 10
        while holder.poll() is None and not (one.is_mounted() and one.worker(pid)):
            assert time.monotonic() < deadline, "neither mounted nor ended"
            time.sleep(0.002)
        if holder.poll() is None:
            os.mkdir(os.path.join(one.point, "made"))
            outcomes.add("mounted")
        else:
            said = holder.stdout.read().decode(errors="replace")
            assert holder.returncode == 1 and "worker" in said, (holder.returncode, said)
            assert not one.is_mounted()
            one.holder = None
            one.start()
            outcomes.add("refused")
        os.stat(one.point)
        assert one.stop() == []
        holder.stdout.close()
    assert outcomes


@pytest.mark.parametrize("delay_ms", (0, 1, 2, 4, 8))
def test_a_kill_during_umount(victim, delay_ms):
    one = victim()
    path = os.path.join(one.point, "file")
    with open(path, "wb") as f:
        f.write(b"kept")
    pid = one.worker()
    umount = subprocess.Popen([victims.weirs.program("weir"), "umount", one.point],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    time.sleep(delay_ms / 1000)
    one.kill_worker(pid)
    said, _ = umount.communicate(timeout=20)
    assert umount.returncode == 0, said
    assert not one.is_mounted()
    assert one.holder.wait(10) == 0
    one.holder = None
    one.start()
    with open(path, "rb") as f:
        assert f.read() == b"kept"


def test_a_worker_that_dies_at_once_is_started_again_and_again(victim):
    """Ten in a row, each killed at birth; then it serves, and files are still open."""
    one = victim("passthrough=off")
    fd = os.open(os.path.join(one.point, "file"), os.O_RDWR | os.O_CREAT)
    os.write(fd, b"before")
    os.unlink(os.path.join(one.point, "file"))
    pid = 0
    for _ in range(10):
        pid = one.next_worker(pid)
        assert pid, "no worker comes any more"
        one.kill_worker(pid)
    assert os.pread(fd, 100, 0) == b"before"
    assert os.fstat(fd).st_nlink == 0
    os.close(fd)


@pytest.mark.parametrize("delay_ms", (0, 30, 300, 1300))
def test_a_directory_moved_below_a_policy_is_below_it_for_the_next_worker(victim, delay_ms):
    """Nothing but the worker that died knew where it lies now: the kernel does not ask again."""
    one = victim("passthrough=on")
    for name in ("covered", "plain"):
        os.mkdir(os.path.join(one.point, name))
    os.setxattr(os.path.join(one.point, "covered"), "user.weir.policy", b"observe")
    time.sleep(0.5)
    os.mkdir(os.path.join(one.point, "plain", "d"))
    os.close(os.open(os.path.join(one.point, "plain", "d", "f"), os.O_CREAT | os.O_RDWR))
    time.sleep(delay_ms / 1000)         # what is new goes from the slate to the catalog
    os.stat(os.path.join(one.point, "plain", "d", "f"))
    os.rename(os.path.join(one.point, "plain", "d"), os.path.join(one.point, "covered", "d"))
    one.next_worker(one.kill_worker())
    path = os.path.join(one.point, "covered", "d", "f")
    fd = os.open(path, os.O_RDWR)
    status = json.loads(os.getxattr(path, "user.weir.status"))
    os.close(fd)
    assert status["path"] == "covered/d/f", status
    assert status["way"] == "daemon" and status["policy"]["name"] == "observe", status
    os.link(path, os.path.join(one.point, "covered", "g"))
