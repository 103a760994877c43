# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/holder/conftest.py - held(word): a private holder with a stub for its worker."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import held as helds  # noqa: E402


@pytest.fixture
def held(directory):
    made = []

    def make(word="serve"):
        place = os.path.join(directory, str(len(made)))
        os.mkdir(place)
        made.append(helds.Held(place, word))
        return made[-1]

    yield make
    for one in made:
        one.end()
        helds.wait_until(lambda h=one: not [pid for pid in h.pids if helds.alive(pid) and
                                            h.is_ours(pid)], "the end of all processes")
