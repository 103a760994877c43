# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the guest's tests.  What cannot be had here (root, QEMU, a kernel) skips, loudly."""
import os
import shutil
import sys
import threading

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "nfs")]

import guest_qemu   # noqa: E402
import guest_rig    # noqa: E402

LIMIT = 150                     # seconds; below the time limit in tests/pytest.ini
SERVERS = ("ganesha.nfsd", "rpcbind", "ip", "nsenter")


def why_not():
    if os.geteuid() != 0:
        return "needs root: it mounts and makes network namespaces"
    absent = [name for name in SERVERS if not shutil.which(name)]
    if absent:
        return "needs " + ", ".join(absent)
    return guest_qemu.missing()


@pytest.fixture(scope="session")
def possible():
    reason = why_not()
    if reason:
        pytest.skip("NO GUEST AS WITNESS: " + reason)


@pytest.fixture
def guest_rig_of(possible):
    """guest_rig_of(disks): a rig with its disks made; taken down at the end, whatever happened."""
    made = []

    def make(disks=None):
        rig = guest_rig.GuestRig(disks, limit=LIMIT)
        watchdog = threading.Timer(LIMIT - 10, rig.emergency)
        watchdog.daemon = True
        made.append((rig, watchdog))
        watchdog.start()
        rig.open()
        rig.prepare()
        return rig

    yield make
    for rig, watchdog in made:
        watchdog.cancel()
        rig.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    rig = getattr(item, "guest_rig", None)
    if rig and call.when == "call":
        report.sections.append(("the guest", rig.numbers()))
        if report.failed:
            report.sections.append(("the rig's logs", rig.logs()))
            if rig.guest.process:
                report.sections.append(("the guest's console and words", rig.guest.logs()))
