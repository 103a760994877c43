# SPDX-License-Identifier: GPL-2.0-or-later
"""The worker of a real mount: what it may, what is left when its broker goes."""
import os
import signal
import stat
import subprocess
import time

import pytest

import disks
import weir as weirs
from builds import is_sanitized, not_sanitized
from disks import images

pytestmark = pytest.mark.usefixtures("only_weir")

CAPABILITIES = {
    "CHOWN": 0, "DAC_OVERRIDE": 1, "DAC_READ_SEARCH": 2, "FOWNER": 3, "FSETID": 4, "SETGID": 6,
    "SETUID": 7, "IPC_LOCK": 14, "MKNOD": 27, "LEASE": 28,
}


def status(pid, task=None):
    path = "/proc/%d/%sstatus" % (pid, "task/%s/" % task if task else "")
    with open(path, encoding="ascii") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def test_capabilities(weir):
    pid = weir.worker()
    expected = sum(1 << n for n in CAPABILITIES.values())
    for task in os.listdir("/proc/%d/task" % pid):
        s = status(pid, task)
        for line in ("CapEff", "CapPrm", "CapBnd"):
            assert int(s[line], 16) == expected, (task, line)
        assert int(s["CapInh"], 16) == 0 and int(s["CapAmb"], 16) == 0
        assert s["NoNewPrivs"] == "1"
        assert is_sanitized() or s["Seccomp"] == "2"
    assert not expected & 1 << 21       # CAP_SYS_ADMIN


@not_sanitized
@pytest.mark.parametrize("name", ("weir-worker", "weir-broker"))
def test_no_core_and_no_ptrace(weir, name):
    """Not dumpable: root without CAP_SYS_PTRACE may not look into it."""
    pid = weir.child(name)
    with open("/proc/%d/limits" % pid, encoding="ascii") as f:
        assert [line.split()[4:6] for line in f if "core file" in line] == [["0", "0"]]
    look = ["setpriv", "--bounding-set=-sys_ptrace", "readlink"]
    assert subprocess.run([*look, "/proc/%d/root" % pid], check=False).returncode != 0
    with subprocess.Popen([*look[:2], "sleep", "60"]) as dumpable:
        time.sleep(0.2)
        done = subprocess.run([*look, "/proc/%d/root" % dumpable.pid], check=False)
        dumpable.kill()
    assert done.returncode == 0         # one that is dumpable and may no more is no secret


@not_sanitized
def test_file_tree(weir):
    """Nothing of the host is there by name."""
    root = "/proc/%d/root" % weir.worker()
    for name in ("etc/passwd", "dev/null", "bin/sh", "run", "sys/kernel"):
        assert not os.path.exists(os.path.join(root, name)), name
    with open("/proc/%d/mountinfo" % weir.worker(), encoding="ascii") as f:
        options = {line.split()[4]: line.split()[5].split(",") for line in f}
    assert {"nodev", "nosuid", "noexec"} <= set(options["/"]) and "ro" in options["/"]
    assert all({"nodev", "nosuid", "noexec"} <= set(o) for o in options.values())
    assert weir.path not in options     # or it could never be unmounted


def test_descriptors(weir):
    """No file of anybody else's came with the start."""
    folder = "/proc/%d/fd" % weir.worker()
    for name in os.listdir(folder):
        try:
            target = os.readlink(os.path.join(folder, name))
        except FileNotFoundError:
            continue
        assert int(name) < 3 or target.startswith((
            weir.store, "/dev/fuse", "/memfd:weir-", "socket:", "anon_inode:", "/dev/null",
            "/.")), (name, target)


def test_trusted_names_through_the_mount(weir):
    path = weir.in_mount("file")
    disks.write(path, b"x")
    for name in ("trusted.a", "security.a"):
        os.setxattr(path, name, b"1")
        assert os.getxattr(weir.in_store("file"), name) == b"1"
        assert os.getxattr(path, name) == b"1" and name in os.listxattr(path)
        with pytest.raises(FileExistsError):
            os.setxattr(path, name, b"2", os.XATTR_CREATE)
        os.removexattr(path, name)
        with pytest.raises(OSError):
            os.getxattr(path, name)
    os.symlink("nowhere", weir.in_mount("link"))
    os.setxattr(weir.in_mount("link"), "trusted.a", b"1", follow_symlinks=False)
    assert os.getxattr(weir.in_store("link"), "trusted.a", follow_symlinks=False) == b"1"


def test_devices_can_be_made_but_not_opened_by_the_worker(weir):
    os.mknod(weir.in_mount("null"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
    assert stat.S_ISCHR(os.stat(weir.in_store("null")).st_mode)
    os.chmod(weir.in_mount("null"), 0o600)
    os.setxattr(weir.in_mount("null"), "trusted.a", b"1")
    os.unlink(weir.in_mount("null"))


def test_the_broker_dies(weir):
    """Then the worker has a new one, and is itself a new one; nobody sees more than a pause."""
    weir.expect_log("broker")
    weir.expect_log("was killed by signal 9")
    images.raw(weir.in_mount("disk.img"))
    broker, worker = weir.broker(), weir.worker()
    with open(weir.in_mount("disk.img"), "r+b", buffering=0) as f:
        os.kill(broker, signal.SIGKILL)
        f.write(b"x" * 4096)
        os.fsync(f.fileno())
        end = time.monotonic() + 10
        while weir.worker() == worker:
            assert time.monotonic() < end
            time.sleep(0.02)
        assert os.pread(f.fileno(), 4096, 0) == b"x" * 4096
    assert weir.broker() != broker
    os.setxattr(weir.in_mount("disk.img"), "trusted.a", b"1")
    assert disks.disk(weir.in_mount("disk.img"))["type"] == "raw"


def test_the_worker_dies_while_its_broker_works(weir):
    path = weir.in_mount("file")
    weir.expect_log("was killed by signal 9")
    disks.write(path, b"x")
    for i in range(20):
        os.setxattr(path, "trusted.n%d" % i, b"1")
        if i % 5 == 2:
            os.kill(weir.worker(), signal.SIGKILL)
        os.setxattr(path, "trusted.m%d" % i, b"1", os.XATTR_CREATE)
    names = os.listxattr(weir.in_store("file"))
    assert len([n for n in names if n.startswith(("trusted.n", "trusted.m"))]) == 40


@pytest.mark.parametrize("where", ("beside", "in the root directory", "beneath"))
def test_where_state_and_policies_may_lie(mounted, directory, where):
    weir = mounted(backing="dir", start=False)
    place = {"beside": os.path.dirname(weir.store), "beneath": weir.store,
             "in the root directory": "/"}[where]
    unique = os.path.basename(directory)
    state, policies = (os.path.join(place, n + unique) for n in ("state-", "policies-"))
    os.mkdir(policies)
    with open(os.path.join(policies, "mine.yaml"), "w", encoding="ascii") as f:
        f.write("weir: 1\nname: mine\nversion: 1\nstages: {inspect: {}}\n")
    weir.options = "state=%s,policies=%s" % (state, policies)
    try:
        weir.start()
        images.raw(weir.in_mount("disk.img"))
        os.setxattr(weir.in_mount("disk.img"), "user.weir.policy", b"mine")
        weir.restart()
        assert os.getxattr(weir.in_mount("disk.img"), "user.weir.policy") == b"mine"
        assert os.path.isdir(os.path.join(state, "catalog"))
        weir.stop()
    finally:
        os.system("rm -rf '%s' '%s'" % (state, policies))


def test_a_datastore_in_the_root_directory(mounted, directory):
    """Its parent is /: it is found elsewhere in the worker's tree."""
    weir = mounted(backing="dir", start=False)
    weir.store = "/weir-store-" + os.path.basename(directory)
    weir.expect_log("was killed by signal 9")
    os.mkdir(weir.store)
    try:
        weir.start()
        images.raw(weir.in_mount("disk.img"))
        os.setxattr(weir.in_mount("disk.img"), "user.weir.policy", b"silver")
        os.kill(weir.worker(), signal.SIGKILL)
        assert disks.status(weir.in_mount("disk.img"))["policy"]["name"] == "silver"
        assert "trusted.weir.disk" in os.listxattr(os.path.join(weir.store, "disk.img"))
        weir.stop()
    finally:
        os.system("rm -rf '%s'" % weir.store)


def test_a_mount_inside_the_datastore_stays_one(mounted):
    """It is no directory that could be removed, and nothing of it is shown."""
    weir = mounted(backing="dir", start=False)
    inner = weir.in_store("vm1", "inner")
    os.makedirs(inner)
    os.system("mount -t tmpfs none '%s' && touch '%s/x'" % (inner, inner))
    try:
        weir.start()
        with pytest.raises(OSError):
            os.listdir(weir.in_mount("vm1/inner"))
        with pytest.raises(OSError):
            os.rmdir(weir.in_mount("vm1/inner"))
        assert os.path.exists(os.path.join(inner, "x"))
        weir.stop()
    finally:
        os.system("umount '%s'" % inner)


def test_a_mountpoint_inside_the_datastore(mounted):
    """The worker does not hold its own mount."""
    weir = mounted(backing="dir", start=False)
    weir.path = weir.in_store("mnt")
    os.mkdir(weir.path)
    weir.expect_log("was killed by signal 9")
    weir.start()
    disks.write(weir.in_mount("file"), b"x")
    os.kill(weir.worker(), signal.SIGKILL)
    assert os.path.exists(weir.in_mount("file"))
    weir.stop()
    assert os.path.exists(weir.in_store("file"))
