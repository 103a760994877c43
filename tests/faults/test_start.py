# SPDX-License-Identifier: GPL-2.0-or-later
"""A call or an allocation fails while the worker starts.

At a mount it either works or says what is wrong, and the next mount works.  When the worker is
started again under a living mount, the holder tries until it succeeds: clients see a pause.
"""
import errno
import os
import signal

import pytest

import faults_rig as rig
import inject
import policy_rig
import weir as weirs

POINTS = 400
KINDS = [(errno.EIO, inject.FILES), (errno.ENOMEM, inject.MEMORY | inject.STARTS)]


def used(mounted, policies):
    """A datastore with files and policies, not mounted."""
    mount = mounted(options="passthrough=off,policies=" + policies.path, seconds=170)
    mount.expect_log(".")
    policy_rig.make_disk(mount.in_mount("disk"), 16)
    policy_rig.attach(mount.in_mount("disk"), "watch")
    for i in range(20):
        rig.write_new(mount.in_mount("f%d" % i), b"x")
    return mount


def looks_good(mount):
    assert policy_rig.own(mount.in_mount("disk")) == "watch"
    assert rig.read(mount.in_mount("disk"))[:rig.BLOCK] == policy_rig.pattern(0)
    assert len(os.listdir(mount.path)) == 21


def came_up(mount):
    """False: it was in the mount table for a moment, and went when the start failed."""
    try:
        looks_good(mount)
        return True
    except (OSError, AssertionError):
        assert mount.process.wait(20) == 1, mount.log()
        rig.eventually(lambda: not mount.is_mounted(), "unmounted")
        return False


@pytest.mark.parametrize("number,classes", KINDS, ids=("EIO", "ENOMEM"))
def test_a_mount_works_or_says_why_not(mounted, injector, policies, long_form, number, classes):
    mount = used(mounted, policies)
    mount.stop()
    refused = 0
    for nth in range(1, POINTS, 1 if long_form else 17):
        before = len(mount.log())
        injector.arm(nth, number, classes)
        try:
            mount.start()
        except AssertionError as error:
            assert "the worker ended with" in str(error), "%s\n%s" % (injector.disarm(), error)
            assert mount.log()[before:].strip(), "nothing was said"
            mount.process = None
            refused += 1
        fault = injector.disarm()
        if mount.process and came_up(mount):
            mount.stop()
        elif mount.process:
            refused += 1
            mount.process = None
        if not fault.fired:
            break
    assert refused
    mount.start()
    looks_good(mount)
    mount.stop()
    code, words = rig.check(mount)
    assert code == 0, words


@pytest.mark.parametrize("number,classes", KINDS, ids=("EIO", "ENOMEM"))
def test_a_restart_goes_on_until_it_succeeds(mounted, injector, policies, long_form, number,
                                             classes):
    mount = used(mounted, policies)
    if weirs.KIND != "weir" or mount.worker() == mount.process.pid:
        pytest.skip("nobody starts the worker again")
    fd = os.open(mount.in_mount("disk"), os.O_RDWR)
    try:
        for nth in range(1, POINTS, 1 if long_form else 17):
            pid = rig.worker(mount)
            data = policy_rig.pattern(nth % 16, nth)
            injector.arm(nth, number, classes)
            os.kill(pid, signal.SIGKILL)
            try:
                os.pwrite(fd, data, nth % 16 * rig.BLOCK)
            except OSError as error:    # the fault may meet the request itself
                assert error.errno == number, error
            fault = injector.disarm()
            os.pwrite(fd, data, nth % 16 * rig.BLOCK)
            assert os.pread(fd, rig.BLOCK, nth % 16 * rig.BLOCK) == data
            assert len(os.listdir(mount.path)) == 21
            if not fault.fired:
                break
    finally:
        os.close(fd)
    mount.stop()
    rig.check_no_damage(mount)
