# SPDX-License-Identifier: GPL-2.0-or-later
"""A policy's change that is cut off at any call, and then the worker is killed.

Everything from the n-th call on fails, which leaves what a kill or a power cut would.  `weir check`
finds no damage then, the next mount finishes or takes back what was begun, and is in order.
"""
import errno
import os

import faults_rig as rig
import inject
import policy_rig

OPTIONS = "passthrough=off,policies="


def cut_off(injector, change):
    """How many calls the change has: it is cut off before each of them."""
    for nth in range(1, 80):
        with injector.armed(nth, errno.EIO, inject.CHANGES | inject.SYNCS, every=True) as fault:
            try:
                change(nth)
            except OSError as error:
                assert error.errno == errno.EIO, error
        if not fault.fired:
            return nth
    raise AssertionError("no end")


def begin(mounted, policies):
    mount = mounted(options=OPTIONS + policies.path)
    mount.expect_log(r"^(error|warning): ")
    for i in range(80):
        rig.write_new(mount.in_mount("f%d" % i), b"data")
    return mount


def after_the_cut(mount, allowed):
    """Kill, check, mount, look, check."""
    mount.kill()
    rig.check_no_damage(mount)
    mount.start()
    for i in range(80):
        path = mount.in_mount("f%d" % i)
        assert policy_rig.own(path) in allowed, i
        marked = "trusted.weir.disk" in os.listxattr(mount.in_store("f%d" % i))
        assert marked == (policy_rig.own(path) is not None), i
        assert rig.read(path) == b"data"
    mount.stop()
    code, words = rig.check(mount)
    assert code == 0, words


def test_an_attachment_that_was_cut_off_is_no_damage(mounted, injector, policies):
    mount = begin(mounted, policies)
    calls = cut_off(injector, lambda n: policy_rig.attach(mount.in_mount("f%d" % n), "watch"))
    assert calls > 5
    after_the_cut(mount, (None, "watch"))


def test_a_replacement_that_was_cut_off_is_the_old_or_the_new(mounted, injector, policies):
    mount = begin(mounted, policies)
    for i in range(80):
        policy_rig.attach(mount.in_mount("f%d" % i), "watch")
    cut_off(injector, lambda n: policy_rig.attach(mount.in_mount("f%d" % n), "fast"))
    after_the_cut(mount, ("watch", "fast"))


def test_a_clear_that_was_cut_off_is_done_or_not(mounted, injector, policies):
    mount = begin(mounted, policies)
    for i in range(80):
        policy_rig.attach(mount.in_mount("f%d" % i), "watch")
    cut_off(injector, lambda n: policy_rig.clear(mount.in_mount("f%d" % n)))
    after_the_cut(mount, ("watch", None))
