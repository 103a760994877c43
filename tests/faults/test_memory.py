# SPDX-License-Identifier: GPL-2.0-or-later
"""No memory: a worker that gets none answers ENOMEM and lives; one that is killed is replaced."""
import errno
import os
import resource
import signal
import time

import pytest

import faults_rig as rig
import inject
import policy_rig

CGROUPS = "/sys/fs/cgroup/memory"


class Group:
    """A memory cgroup (version 1) of the test's own."""

    def __init__(self, megabytes):
        self.path = os.path.join(CGROUPS, "weir-test-%d" % os.getpid())
        os.mkdir(self.path)
        self.write("memory.limit_in_bytes", megabytes << 20)

    def write(self, name, value):
        with open(os.path.join(self.path, name), "w", encoding="ascii") as f:
            f.write(str(value))

    def kills(self):
        with open(os.path.join(self.path, "memory.oom_control"), encoding="ascii") as f:
            return int(dict(line.split() for line in f).get("oom_kill", 0))

    def close(self):
        for pid in open(os.path.join(self.path, "cgroup.procs"), encoding="ascii").read().split():
            with open(os.path.join(CGROUPS, "cgroup.procs"), "w", encoding="ascii") as f:
                f.write(pid)
        os.rmdir(self.path)


@pytest.fixture
def group():
    if not os.access(CGROUPS, os.W_OK):
        pytest.skip("no memory cgroups of version 1 here")
    made = Group(4096)
    yield made
    for _ in range(50):
        try:
            made.close()
            return
        except OSError:
            time.sleep(0.1)
    made.close()


def test_no_address_space_is_enomem_and_passes(mounted, way):
    """RLIMIT_AS: whatever needs memory fails with ENOMEM, and works when there is some again."""
    mount = mounted(options=way)
    mount.expect_log("^(error|warning): ")
    policy_rig.make_disk(mount.in_mount("disk"), 64)
    pid = rig.worker(mount)
    fd = os.open(mount.in_mount("disk"), os.O_RDWR)
    try:
        resource.prlimit(pid, resource.RLIMIT_AS, (1 << 20, resource.RLIM_INFINITY))
        for i in range(2000):
            allowed(os.mkdir, mount.in_mount("d%d" % i))
            if way == "passthrough=on":             # the kernel's own matter
                assert os.pwrite(fd, policy_rig.pattern(i % 64), i % 64 * rig.BLOCK) == rig.BLOCK
            else:
                allowed(os.pwrite, fd, policy_rig.pattern(i % 64), i % 64 * rig.BLOCK)
        resource.prlimit(pid, resource.RLIMIT_AS,
                         (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        rig.write_new(mount.in_mount("after"), b"after")
        for i in range(64):
            assert os.pread(fd, rig.BLOCK, i * rig.BLOCK) == policy_rig.pattern(i)
    finally:
        os.close(fd)
    assert rig.worker(mount) == pid
    mount.stop()
    rig.check_no_damage(mount)


def test_every_allocation_fails_for_a_while(mounted, injector):
    """Nobody gets memory for a moment: open disks answer ENOMEM or go on, the worker lives."""
    mount = mounted(options="passthrough=off,cache=none")
    mount.expect_log("^(error|warning): ")
    policy_rig.make_disk(mount.in_mount("disk"), 64)
    pid = rig.worker(mount)
    fd = os.open(mount.in_mount("disk"), os.O_RDWR)
    try:
        with injector.armed(1, errno.ENOMEM, inject.MEMORY, every=True):
            for i in range(200):
                allowed(os.pread, fd, rig.BLOCK, i % 64 * rig.BLOCK)
                allowed(os.mkdir, mount.in_mount("d%d" % i))
                allowed(os.listdir, mount.path)
        for i in range(64):
            assert os.pread(fd, rig.BLOCK, i * rig.BLOCK) == policy_rig.pattern(i)
        rig.write_new(mount.in_mount("after"), b"after")
    finally:
        os.close(fd)
    assert rig.worker(mount) == pid
    mount.stop()
    rig.check_no_damage(mount)


def allowed(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        assert error.errno in (errno.ENOMEM, errno.EEXIST), error


def test_a_worker_killed_for_memory_is_replaced(mounted, group):
    """The cgroup of the worker has too little: the kernel kills it, a new one goes on."""
    mount = mounted(options="passthrough=off")
    mount.expect_log("was killed by signal 9")
    policy_rig.make_disk(mount.in_mount("disk"), 64)
    pid = rig.worker(mount)
    fd = os.open(mount.in_mount("disk"), os.O_RDWR)
    try:
        group.write("cgroup.procs", pid)
        group.write("memory.limit_in_bytes", 1 << 20)   # what it has is elsewhere; new pages count
        paths = []
        for i in range(30000):
            path = mount.in_mount("new%d" % i)
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644))
            paths.append(path)
            if not i % 100 and rig.worker(mount) != pid:
                break
        if not group.kills():
            pytest.skip("the kernel killed nobody here")
        assert rig.worker(mount) != pid
        group.write("memory.limit_in_bytes", 1 << 32)
        for i in range(64):
            assert os.pread(fd, rig.BLOCK, i * rig.BLOCK) == policy_rig.pattern(i)
        assert all(os.path.exists(path) for path in paths)
    finally:
        os.close(fd)
    mount.stop()
    rig.check_no_damage(mount)


def test_a_killed_worker_is_replaced_under_load(mounted, way):
    """SIGKILL, as the kernel's last resort does it, in the middle of writes."""
    mount = mounted(options=way)
    mount.expect_log("was killed by signal 9")
    fd = os.open(mount.in_mount("disk"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        for i in range(60):
            if not i % 20:
                os.kill(rig.worker(mount), signal.SIGKILL)
            assert os.pwrite(fd, policy_rig.pattern(i), i * rig.BLOCK) == rig.BLOCK
            os.fsync(fd)
        for i in range(60):
            assert os.pread(fd, rig.BLOCK, i * rig.BLOCK) == policy_rig.pattern(i)
    finally:
        os.close(fd)
    mount.stop()
    rig.check_no_damage(mount)
