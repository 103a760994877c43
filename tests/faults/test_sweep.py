# SPDX-License-Identifier: GPL-2.0-or-later
"""Fail the n-th call of the worker below an operation, for every n until none is left.

Whatever fails: the caller gets that very error or success, a failed operation has happened
wholly or not at all, tried again it works, the worker lives, and in the end `weir check` finds no
damage.  $WEIR_FAULTS_LONG: more errnos, both sides, every n.
"""
import errno
import os

import pytest

import cases
import faults_rig as rig
import inject

HIDDEN = (errno.EMFILE, errno.ENFILE)   # one that passes is not seen: idle descriptors give way
POINTS = 120                            # no operation has more calls than this
OPTIONS = ",cache=none,policies="


def true(question):
    """A file that is not there answers no."""
    try:
        return question()
    except FileNotFoundError:
        return False


class Sweep:
    """All points of all cases for one kind of fault."""

    def __init__(self, mount, injector, number, classes, extra=()):
        self.mount, self.injector = mount, injector
        self.number, self.classes, self.extra = number, classes, extra
        self.worker = rig.worker(mount)
        self.serial = self.points = 0
        self.wrong = []

    def attempt(self, case, nth):
        """One run with a fault at the @nth call: (the fault, what came of it)."""
        with self.injector.armed(nth, self.number, self.classes) as fault:
            try:
                case.run()
                result = 0
            except OSError as error:
                result = error.errno
        return fault, result

    def judge(self, case, result):
        """None, or what is wrong with the state after the faulty run."""
        if result in HIDDEN:
            return "shows %s to the caller" % errno.errorcode[result]
        if result == 0:
            return None if true(case.done) else "says it worked, and did not"
        if result != self.number and result not in case.extra + self.extra:
            return "gives %s" % errno.errorcode.get(result, result)
        if not case.torn and not true(case.done) and not true(case.undone):
            return "is half done"
        return None

    def again(self, case, result):
        """Without a fault it works, unless it had worked after all."""
        try:
            case.run()
        except OSError as error:
            if not true(case.done):
                return "tried again gives %s" % error
        return None if true(case.done) else "tried again did not work"

    def point(self, kind, nth):
        """False when the operation has fewer calls."""
        self.serial += 1
        case = kind(self.mount, kind.__name__, self.serial)
        case.setup()
        fault, result = self.attempt(case, nth)
        wrong = self.judge(case, result)
        if not wrong and result:
            wrong = self.again(case, result)
        if rig.worker(self.mount) != self.worker or not rig.alive(self.worker):
            raise AssertionError("%s, call %d, %s: the worker died\n%s" % (
                kind.__name__, nth, fault, self.mount.log()[-2000:]))
        if wrong:
            self.wrong.append("%s: call %d, %s: %s" % (kind.__name__, nth, fault, wrong))
        try:
            case.finish()
        except OSError as error:
            self.wrong.append("%s: call %d, %s: cleaning up: %s" % (
                kind.__name__, nth, fault, error))
        self.points += 1
        return fault.fired > 0

    def run(self, kinds, points=POINTS):
        for kind in kinds:
            for nth in range(1, points):
                if not self.point(kind, nth):
                    break


def prepared(mounted, policies, kind="ext4", way="passthrough=off"):
    mount = mounted(backing=kind, options=way + OPTIONS + policies.path, seconds=170)
    mount.expect_log(r"^(error|warning): ")
    return mount


def finish(mount, sweep, at_least):
    mount.stop()
    words = rig.check_no_damage(mount)
    assert not sweep.wrong, "%d of %d\n%s\n%s" % (len(sweep.wrong), sweep.points,
                                                  "\n".join(sweep.wrong), words)
    assert sweep.points >= at_least     # the injector is there and hits


SHORT = [
    (errno.EIO, inject.FILES),
    (errno.ENOSPC, inject.CHANGES),
    (errno.EMFILE, inject.OPENS),
    (errno.ENOMEM, inject.MEMORY | inject.STARTS),
]
LONG = SHORT + [
    (errno.EDQUOT, inject.CHANGES | inject.SYNCS),
    (errno.EROFS, inject.CHANGES),
    (errno.ENFILE, inject.OPENS),
    (errno.ENOMEM, inject.FILES),
]


@pytest.mark.parametrize("number,classes", LONG, ids=[
    "EIO", "ENOSPC", "EMFILE", "ENOMEM", "EDQUOT", "EROFS", "ENFILE", "ENOMEM-below"])
def test_a_failed_call_below_fails_the_caller_and_nothing_else(
        mounted, injector, policies, long_form, number, classes):
    if (number, classes) not in SHORT and not long_form:
        pytest.skip("only in the long form")
    mount = prepared(mounted, policies)
    sweep = Sweep(mount, injector, number, classes)
    few = not long_form and classes & inject.MEMORY     # allocations are many
    sweep.run(cases.ALL, 12 if few else POINTS)
    print("%d points" % sweep.points)
    finish(mount, sweep, 2 * len(cases.ALL))


@pytest.mark.parametrize("kind", ("xfs", "btrfs"))
def test_on_other_filesystems_it_is_the_same(mounted, injector, policies, way, kind, long_form):
    if not long_form:
        pytest.skip("only in the long form")
    mount = prepared(mounted, policies, kind, way)
    sweep = Sweep(mount, injector, errno.EIO, inject.FILES)
    sweep.run(cases.ALL)
    finish(mount, sweep, 2 * len(cases.ALL))
