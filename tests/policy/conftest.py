# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/policy/conftest.py - a mount with a policy directory of the test's own.

    def test_something(managed):
        weir = managed("passthrough=off")
        weir.policies.write("slow", iops=50)    # see policy_rig.py
"""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import policy_rig as rigs  # noqa: E402


@pytest.fixture(autouse=True)
def these_need_weir(only_weir):
    """No stand-in of the harness has policies."""


@pytest.fixture
def managed(mounted, directory):
    """managed(options="", ...): a Mount with .policies, a PolicyDirectory with a few in it."""
    def make(options="", start=True, **more):
        policies = rigs.PolicyDirectory(directory)
        mount = mounted(options=",".join(filter(None, (options, "policies=" + policies.path))),
                        start=start, **more)
        mount.policies = policies
        return mount

    return make


@pytest.fixture
def children():
    """children(...): a process as subprocess.Popen makes it, ended with the test."""
    made = []
    yield lambda *a, **k: made.append(rigs.spawn(*a, **k)) or made[-1]
    for child in made:
        rigs.end(child)
