# SPDX-License-Identifier: GPL-2.0-or-later
"""Thousands of disks open at once, and few descriptors: no guest notices.

weir keeps no descriptor for an open disk; those it has are a cache that gives way.
"""
import errno
import os
import resource
import threading

import pytest

import faults_rig as rig
import inject

DISKS = 3000


@pytest.fixture
def many_descriptors():
    """Ours: the test itself holds the disks open."""
    old = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (old[1], old[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, old)


@pytest.mark.parametrize("limit", (64, 200))
def test_thousands_of_open_disks_need_few_descriptors(mounted, many_descriptors, way, limit,
                                                      long_form):
    if limit != 64 and not long_form:
        pytest.skip("only in the long form")
    mount = mounted(options=way)
    pid = rig.worker(mount)
    os.mkdir(mount.in_mount("d"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, limit))
    fds = []
    try:
        for i in range(DISKS):
            fds.append(os.open(mount.in_mount("d", "%d" % i), os.O_RDWR | os.O_CREAT, 0o644))
        from_many_threads(fds, limit)
        for i in range(200):
            os.mkdir(mount.in_mount("d%d" % i))
        assert len(os.listdir(mount.in_mount("d"))) == DISKS
        for i in range(200):
            os.rmdir(mount.in_mount("d%d" % i))
        assert os.stat(mount.in_mount("d", "7")).st_size == 512
    finally:
        for fd in fds:
            os.close(fd)
    assert not rig.lines(mount, "descriptors left"), mount.log()
    assert rig.worker(mount) == pid


def from_many_threads(fds, seed):
    """Write and read all of them from 16 threads at once."""
    errors = []

    def run(part):
        try:
            for i in range(part, len(fds), 16):
                data = b"%08d" % (i + seed) * 64
                assert os.pwrite(fds[i], data, 0) == 512
                assert os.pread(fds[i], 512, 0) == data
                if not i % 5:
                    os.fsync(fds[i])
        except (OSError, AssertionError) as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(part,)) for part in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors[:3]


def test_a_lack_of_descriptors_that_passes_is_not_seen(mounted, injector, number=errno.ENFILE):
    """Once no descriptor can be had: weir closes what it does not need and tries again."""
    mount = mounted(options="passthrough=off,cache=none")
    os.mkdir(mount.in_mount("d"))
    for i in range(30):
        with open(mount.in_store("d", "f%d" % i), "wb") as f:
            f.write(b"x")
    for step in (lambda: rig.read(mount.in_mount("d", "f1")),
                 lambda: os.listdir(mount.in_mount("d")),
                 lambda: rig.write_new(mount.in_mount("d", "new"), b"new"),
                 lambda: os.rename(mount.in_mount("d", "f2"), mount.in_mount("d", "g2")),
                 lambda: os.truncate(mount.in_mount("d", "f3"), 100),
                 lambda: os.getxattr(mount.in_mount("d", "f4"), "user.weir.compliance"),
                 lambda: os.stat(mount.in_mount("d", "..", "d", "f5"))):
        with injector.armed(1, number, inject.OPENS):
            step()
    assert not rig.lines(mount, "descriptors left"), mount.log()


def test_the_daemon_raises_its_own_limit(mounted, monkeypatch):
    """Started with a low soft limit it takes what the hard limit allows."""
    mount = mounted(start=False)
    old = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, old[1]))
    try:
        mount.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, old)
    soft, hard = resource.prlimit(rig.worker(mount), resource.RLIMIT_NOFILE)
    assert soft == hard == old[1]
