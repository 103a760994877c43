# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/resume/conftest.py - a private directory with a janitor, and mounts whose worker is killed.

    def test_something(victim):
        one = victim(options="passthrough=off")
        ... os.kill(one.worker(), 9) ... one.point ...
"""
import os
import shutil
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import run as runs          # noqa: E402
import victim as victims    # noqa: E402


def pytest_collection_modifyitems(items):
    missing = [] if os.geteuid() == 0 else ["root"]
    missing += [] if victims.weirs.KIND == "weir" else ["weir itself"]
    for item in items:
        if missing:
            item.add_marker(pytest.mark.skip(reason="needs " + ", ".join(missing)))
        elif "nfs" in item.name and not shutil.which("ganesha.nfsd"):
            item.add_marker(pytest.mark.skip(reason="needs nfs-ganesha"))


@pytest.fixture
def place():
    directory = victims.RunDirectory()
    yield directory.path
    left = victims.backings.mounts_below(directory.path)
    for point in reversed(left):
        victims.syscalls.umount2(point, victims.syscalls.MNT_DETACH)
    directory.close()
    assert not left, "mounts left: %r" % left


@pytest.fixture
def victim(place, request):
    """victim(options="", ...): a mount; its end is checked, whatever the test did."""
    made = []

    def make(options="", start=True):
        made.append(victims.Victim(place, options, name=str(len(made))))
        return made[-1].start() if start else made[-1]

    yield make
    problems = []
    for one in reversed(made):
        problems += one.finish() + one.close()
        request.node.add_report_section("teardown", "log", one.log()[-4000:])
    assert not problems, "\n".join(problems)


@pytest.fixture
def seed(request):
    return request.config.getoption("--weir-seed")


@pytest.fixture
def soak(place, seed):
    """soak(seconds=..., kills=..., ...): a run (run.py) without a fault; its result."""
    def go(kind=runs.Run, **settings):
        result = kind(place, runs.Settings(seed=seed, **settings)).go()
        print(result.line(), result.events)
        assert not result.faults, "\n".join(result.faults)[:6000] + "\n" + result.line()
        return result
    return go
