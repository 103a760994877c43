# SPDX-License-Identifier: GPL-2.0-or-later
"""The datastore's own filesystem is full, over a quota, read-only or broken, for real.

The writer gets the errno, everybody else goes on, the log says what to do (once, not for every
request), and when the fault is gone everything works, with every acknowledged byte.
"""
import errno
import os

import pytest

import backing as backings
import faults_rig as rig
import policy_rig
import syscalls

WORDS = {
    errno.ENOSPC: "make room on the datastore's filesystem",
    errno.EDQUOT: "raise the quota",
    errno.EROFS: "refuses writes",
    errno.EIO: "kernel's log",
}


def write_until_it_fails(path, number, chunk=1 << 16):
    """Append until there is an error; returns the bytes that were acknowledged."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
    written = 0
    try:
        while written < 1 << 30:
            data = policy_rig.pattern(written // rig.BLOCK)[:rig.BLOCK] * (chunk // rig.BLOCK)
            written += os.pwrite(fd, data, written)
    except OSError as error:
        assert error.errno == number, error
        return written
    finally:
        os.close(fd)
    raise AssertionError("no end")


def said_once(mount, number):
    """The log has one line about it, and that says what to do."""
    found = rig.lines(mount, WORDS[number])
    assert len(found) == 1, mount.log()
    assert os.strerror(number) in found[0]


SHORT = (("ext4", "passthrough=on"), ("ext4", "passthrough=off"), ("btrfs", "passthrough=off"))


@pytest.mark.parametrize("kind", ("ext4", "xfs", "btrfs"))
def test_a_full_datastore_is_enospc_for_the_writer_alone(mounted, policies, kind, way, long_form):
    if not long_form and (kind, way) not in SHORT:
        pytest.skip("only in the long form")
    mount = mounted(backing=kind, options=way + ",policies=" + policies.path,
                    megabytes=320 if kind == "xfs" else 160)
    policy_rig.make_disk(mount.in_mount("disk"), 64)
    ballast = rig.fill(mount.store, 4 << 20)
    fd = os.open(mount.in_mount("disk"), os.O_RDWR)
    try:
        written = write_until_it_fails(mount.in_mount("big"), errno.ENOSPC)
        assert os.path.getsize(mount.in_mount("big")) >= written
        again(mount, fd)
        if way == "passthrough=off":    # in passthrough the kernel answers
            for _ in range(20):
                rig.fails(errno.ENOSPC, write_until_full, mount.in_mount("big"))
            said_once(mount, errno.ENOSPC)
        os.unlink(mount.in_mount("big"))            # deleting works in a full datastore
        rig.empty(ballast)
        rig.write_new(mount.in_mount("after"), b"after")
    finally:
        rig.empty(ballast)
        os.close(fd)
    mount.stop()
    rig.check_no_damage(mount)


def write_until_full(path):
    fd = os.open(path, os.O_WRONLY)
    try:
        for i in range(64):
            os.pwrite(fd, b"x" * 65536, (1 << 30) + i * 65536)
        os.fsync(fd)
    finally:
        os.close(fd)


def again(mount, fd):
    """What needs no new space goes on: an open disk is overwritten and read, names are found."""
    for i in range(8):
        data = policy_rig.pattern(i, 7)
        if mount.backing.kind != "btrfs":           # which writes nothing in place
            assert os.pwrite(fd, data, i * rig.BLOCK) == rig.BLOCK
        assert len(os.pread(fd, rig.BLOCK, i * rig.BLOCK)) == rig.BLOCK
    assert "disk" in os.listdir(mount.path)
    assert os.stat(mount.in_mount("disk")).st_size == 64 * rig.BLOCK


# ---- quota --------------------------------------------------------------------------------

USER = 4321


def quota_on(place):
    """Skips where the kernel has no such quotas; a qgroup of btrfs limits a subvolume instead."""
    if place.kind == "btrfs":
        backings.run("btrfs", "quota", "enable", place.path)
        return
    syscalls.umount2(place.path)
    try:
        if place.kind == "ext4":
            backings.run("tune2fs", "-O", "quota", place.image)
        place.options = "uquota" if place.kind == "xfs" else ""
        place.mount()
    except RuntimeError:
        if place.kind == "ext4":
            backings.run("tune2fs", "-O", "^quota", place.image)
        place.options = ""
        place.mount()
        pytest.skip("this kernel has no quotas for " + place.kind)


def set_quota(place, kilobytes):
    if place.kind == "xfs":
        backings.run("xfs_quota", "-x", "-c", "limit bhard=%dk #%d" % (kilobytes, USER),
                     place.path)
    elif place.kind == "ext4":
        backings.run("setquota", "-u", str(USER), "0", str(kilobytes), "0", "0", place.path)
    else:
        backings.run("btrfs", "qgroup", "limit", "%dk" % kilobytes, place.path)


def as_user(call, *arguments):
    """In a child that is the user: its exit code is the errno."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(USER)
            os.setuid(USER)
            call(*arguments)
            os._exit(0)
        except OSError as error:
            os._exit(error.errno)
        except BaseException:           # no test's own handling in the child
            os._exit(255)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("kind", ("ext4", "xfs", "btrfs"))
def test_a_quota_is_edquot_for_the_writer(mounted, policies, kind, way):
    """Guests' files belong to a user; weir writes them as root, and the quota holds all the same."""
    mount = mounted(backing=kind, options=way + ",policies=" + policies.path, megabytes=320,
                    start=False)
    quota_on(mount.backing)
    mount.start()
    os.mkdir(mount.in_mount("home"))
    os.chown(mount.in_mount("home"), USER, USER)
    set_quota(mount.backing, 20480)
    path = mount.in_mount("home", "disk")
    assert as_user(write_until_it_fails, path, errno.EDQUOT) == 0
    assert 1 << 20 < os.path.getsize(path) <= 20 << 20
    if way == "passthrough=off":
        rig.fails(errno.EDQUOT, write_until_full, path)
        said_once(mount, errno.EDQUOT)
    if kind != "btrfs":
        rig.write_new(mount.in_mount("other"), b"x" * 4000000)      # root's own
    set_quota(mount.backing, 65536)
    assert as_user(rig.write_new, path + "3", b"x" * 70000) == 0
    mount.stop()
    rig.check_no_damage(mount)


# ---- read-only, broken --------------------------------------------------------------------

def test_a_write_protected_datastore_is_erofs_and_reads_go_on(mounted, policies, way):
    """As ext4 does it when it meets an error; the mount over it lives and says so."""
    mount = mounted(options=way + ",policies=" + policies.path,
                    store_options="errors=remount-ro")
    mount.expect_log("catalog: cannot|cannot be opened again|could not be drained")
    policy_rig.make_disk(mount.in_mount("disk"), 64)
    pid = rig.worker(mount)
    fd = os.open(mount.in_mount("disk"), os.O_RDWR)
    try:
        os.fsync(fd)
        rig.trigger_error(mount.backing)
        for i in range(64):
            assert os.pread(fd, rig.BLOCK, i * rig.BLOCK) == policy_rig.pattern(i)
        for i in range(20):
            rig.fails((errno.EROFS, errno.EIO), os.pwrite, fd, b"x" * rig.BLOCK, 0)
        rig.fails((errno.EROFS, errno.EIO), os.mkdir, mount.in_mount("d"))
        assert os.listdir(mount.path) == ["disk"]
        if way == "passthrough=off":
            assert len(rig.lines(mount, WORDS[errno.EROFS])) == 1, mount.log()
    finally:
        os.close(fd)
    assert rig.worker(mount) == pid and rig.alive(pid)
    mount.stop()


def block_or_error(fd, block):
    try:
        return os.pread(fd, rig.BLOCK, block * rig.BLOCK)
    except OSError as error:
        return error.errno


def test_a_bad_medium_is_eio_for_who_reads_it(mounted, policies, way, filesystem, long_form):
    """The image under the datastore's loop device loses its end: what lies there is EIO."""
    mount = mounted(backing="ext4", megabytes=64, options=way + ",policies=" + policies.path)
    mount.expect_log("catalog: cannot|cannot be opened again|could not be drained")
    pid = rig.worker(mount)
    policy_rig.make_disk(mount.in_mount("disk"), 64)
    with open(mount.in_mount("lost"), "wb") as f:
        for i in range(40 << 8):
            f.write(policy_rig.pattern(i))
        f.flush()
        os.fsync(f.fileno())
    mount.restart()
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
        f.write("3")
    fd = os.open(mount.in_mount("lost"), os.O_RDONLY)
    whole = os.path.getsize(mount.backing.image)
    try:
        os.truncate(mount.backing.image, 24 << 20)
        bad = good = 0
        native = os.open(mount.in_store("lost"), os.O_RDONLY)
        try:
            for i in range(0, 40 << 8, 64):
                want = block_or_error(native, i)
                assert block_or_error(fd, i) == want
                bad += want == errno.EIO
                good += want == policy_rig.pattern(i)
        finally:
            os.close(native)
        assert bad > 10 and good > 10, (bad, good)
        assert os.listdir(mount.path)
        if way == "passthrough=off":
            said_once(mount, errno.EIO)
    finally:
        os.close(fd)
        os.truncate(mount.backing.image, whole)
    pid = rig.worker(mount)
    assert rig.alive(pid)
    assert mount.is_mounted()
