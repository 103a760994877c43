# SPDX-License-Identifier: GPL-2.0-or-later
"""The state directory's filesystem is full, fails, or is read-only: what needs no catalog goes on.

New files get ids that only the worker's memory knows; when the catalog can be written again they
are committed, and a restart finds all of them.
"""
import errno
import os
import threading
import time

import pytest

import faults_rig as rig
import inject
import policy_rig
import syscalls

MANY = 21000                            # more than the slate's ring of promises (16384)
KINDS = ("ext4", "xfs", "btrfs")
SHORT = (("ext4", "passthrough=off"), ("btrfs", "passthrough=off"))
MEGABYTES = {"ext4": 24, "xfs": 320, "btrfs": 160}


def many(base, count, first=0):
    """Files in directories of 1,000; returns their paths."""
    paths = []
    for i in range(first, first + count):
        folder = os.path.join(base, "%03d" % (i // 1000))
        if not i % 1000:
            os.makedirs(folder, exist_ok=True)
        paths.append(os.path.join(folder, "%05d" % i))
    for path in paths:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
    return paths


class Guest(threading.Thread):
    """Writes, reads back and syncs an open disk until it is told to end."""

    def __init__(self, path):
        super().__init__()
        self.fd = os.open(path, os.O_RDWR)
        self.error, self.rounds, self.longest, self.ending = None, 0, 0.0, False
        self.start()

    def run(self):
        try:
            while not self.ending:
                began = time.monotonic()
                data = policy_rig.pattern(self.rounds % 256, self.rounds)
                os.pwrite(self.fd, data, self.rounds % 256 * rig.BLOCK)
                assert os.pread(self.fd, rig.BLOCK, self.rounds % 256 * rig.BLOCK) == data
                os.fsync(self.fd)
                self.rounds += 1
                self.longest = max(self.longest, time.monotonic() - began)
        except (OSError, AssertionError) as error:
            self.error = error

    def end(self):
        self.ending = True
        self.join(20)
        os.close(self.fd)
        assert not self.error, self.error
        assert self.rounds > 3


def start(filesystem, mounted, policies, kind, way="passthrough=off"):
    place = filesystem(kind, MEGABYTES[kind])
    state = os.path.join(place.path, "state")
    mount = mounted(options="%s,state=%s,policies=%s" % (way, state, policies.path), seconds=170,
                    megabytes=2048)      # inodes for 60,000 files
    mount.state, mount.place = state, place
    policy_rig.make_disk(mount.in_mount("disk"), 256)
    return mount


def works(mount):
    return rig.lines(mount, "commits work again")


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_state_filesystem_stops_no_file(filesystem, mounted, policies, kind, way,
                                               long_form):
    """Thousands of new files and I/O to an open disk; then room, and what the kernel (or an NFS
    client) still has is the same file after a restart."""
    if not long_form and (kind, way) not in SHORT:
        pytest.skip("only in the long form")
    mount = start(filesystem, mounted, policies, kind, way)
    mount.expect_log("catalog: cannot")
    guest = Guest(mount.in_mount("disk"))
    ballast = rig.fill(mount.place.path)
    count = MANY if kind == "ext4" and way == "passthrough=off" else 3000
    try:
        eat_the_room_kept(mount)
        paths = many(mount.in_mount("new"), count)
        held = os.open(paths[-1], os.O_RDWR)
        known = [os.open(path, os.O_PATH) for path in paths[-300:]]
        handles = [syscalls.name_to_handle(path) for path in paths[-300:]]
        try:
            os.pwrite(held, b"held", 0)
            os.rename(paths[0], paths[0] + "-moved")
            os.unlink(paths[1])
            assert len(os.listdir(mount.in_mount("new", "000"))) == 999
            assert rig.lines(mount, "cannot commit"), mount.log()
            rig.empty(ballast)
            rig.eventually(lambda: works(mount), "commits work again")
            assert os.pread(held, 4, 0) == b"held"
            time.sleep(1.5)             # what was never promised follows in the next commit
        finally:
            for fd in [held, *known]:
                os.close(fd)
    finally:
        rig.empty(ballast)
        guest.end()
    assert len(rig.lines(mount, "cannot commit")) <= 3, mount.log()
    assert rig.lines(mount, "No space left on device"), mount.log()
    mount.restart()
    assert rig.read(paths[-1]) == b"held"
    for path, handle in zip(paths[-300:], handles):
        assert rig.inode_by_handle(mount.path, handle) == os.stat(path).st_ino
    assert os.path.exists(paths[0] + "-moved") and not os.path.exists(paths[1])
    mount.stop()
    words = rig.check_no_damage(mount, mount.state)
    assert "good" in words, words


def eat_the_room_kept(mount):
    """The catalog keeps some megabytes for itself: use them up."""
    for i in range(60):
        many(mount.in_mount("filler%d" % i), 1000)
        if rig.lines(mount, "cannot commit"):
            return
    raise AssertionError("60,000 new files fit into a full filesystem")


@pytest.mark.parametrize("number", (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT))
def test_a_policy_is_attached_although_the_catalog_cannot_be_written(
        filesystem, mounted, injector, policies, long_form, number):
    """The header is what counts: nobody waits for the catalog, and the next mount mends it."""
    if not long_form and number != errno.ENOSPC:
        pytest.skip("only in the long form")
    mount = start(filesystem, mounted, policies, "ext4")
    mount.expect_log("catalog: cannot")
    device = os.stat(mount.state).st_dev
    with injector.armed(1, number, inject.CHANGES | inject.SYNCS, device, every=True) as fault:
        rig.write_new(mount.in_mount("new"), b"new")
        began = time.monotonic()
        policy_rig.attach(mount.in_mount("disk"), "watch")
        assert time.monotonic() - began < 5
        assert policy_rig.own(mount.in_mount("disk")) == "watch"
        assert rig.read(mount.in_mount("new")) == b"new"
    assert fault.fired
    rig.eventually(lambda: works(mount) or not rig.lines(mount, "cannot commit"), "commits again")
    mount.restart()
    assert policy_rig.own(mount.in_mount("disk")) == "watch"
    mount.stop()
    rig.check_no_damage(mount, mount.state)


def test_a_write_protected_state_filesystem_stops_no_file(filesystem, mounted, policies):
    """As a filesystem that met an error does it: errors=remount-ro."""
    place = filesystem("ext4", 24, "errors=remount-ro")
    state = os.path.join(place.path, "state")
    mount = mounted(options="passthrough=off,state=%s,policies=%s" % (state, policies.path))
    mount.expect_log("catalog: cannot|catalog: .* cannot be opened")
    policy_rig.make_disk(mount.in_mount("disk"), 256)
    guest = Guest(mount.in_mount("disk"))
    try:
        rig.trigger_error(place)
        paths = many(mount.in_mount("new"), 200)
        assert rig.read(paths[7]) == b""
        rig.eventually(lambda: rig.lines(mount, "cannot commit"), "told")
    finally:
        guest.end()
    mount.stop()


def test_a_mount_with_a_full_state_filesystem_says_what_to_do(filesystem, mounted, policies):
    place = filesystem("ext4", 16)
    rig.fill(place.path)
    mount = mounted(options="state=%s/state" % place.path, start=False)
    mount.expect_log(".")
    process = mount.spawn()
    assert process.wait(20) == 1
    assert "No space left on device" in mount.log() and place.path in mount.log(), mount.log()
