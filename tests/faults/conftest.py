# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/faults/conftest.py - fixtures: a fault injector, and a state directory of its own."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "policy"))

import backing as backings  # noqa: E402
import inject               # noqa: E402
import policy_rig           # noqa: E402
import weir as weirs        # noqa: E402


@pytest.fixture
def long_form():
    """The whole sweep (tests/faults/long), not the part of it that tests/run has time for."""
    return bool(os.environ.get("WEIR_FAULTS_LONG"))


@pytest.fixture
def injector(directory, monkeypatch):
    """Faults for the workers that are started in this test."""
    if weirs.KIND != "weir" or "asan" in weirs.BUILD or "tsan" in weirs.BUILD:
        pytest.skip("the sanitizers want to be loaded first")
    made = inject.Injector(directory)
    for name, value in made.environment().items():
        monkeypatch.setenv(name, value)
    yield made
    made.close()


@pytest.fixture
def filesystem(directory):
    """filesystem("xfs", 320): a small filesystem of its own; goes after all mounts of the test."""
    made = []

    def make(kind="ext4", megabytes=16, options=""):
        place = backings.Backing(directory, "fs%d" % len(made), kind, megabytes, options)
        made.append(place)
        return place

    yield make
    problems = [problem for place in made for problem in place.close()]
    assert not problems, "\n".join(problems)


@pytest.fixture
def policies(directory):
    return policy_rig.PolicyDirectory(directory)
