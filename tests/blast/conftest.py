# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/blast/conftest.py - failing(options): a mount whose worker has the stage "crash"."""
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "holder"))

import failing as failings  # noqa: E402
import held as helds        # noqa: E402


@pytest.fixture
def failing(directory):
    made = []

    def make(options=""):
        place = os.path.join(directory, str(len(made)))
        os.mkdir(place)
        made.append(failings.Failing(place, options))
        return made[-1]

    yield make
    for one in made:
        one.finish()
        helds.wait_until(lambda h=one: not [pid for pid in h.pids if helds.alive(pid) and
                                            h.is_ours(pid)], "the end of all processes")
