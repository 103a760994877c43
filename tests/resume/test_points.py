# SPDX-License-Identifier: GPL-2.0-or-later
"""The worker is killed at a system call of an operation that must not run twice.

A part of the points, chosen by the seed; tests/resume/sweep takes all of them.
"""
import os
import random
import time

import pytest

import points

STEP = 9
SECONDS = 7                             # for each way; what is not reached is another seed's


@pytest.mark.parametrize("way", ("on", "off"))
def test_the_first_result_is_the_one_that_is_told(victim, seed, way):
    one = victim("passthrough=" + way)
    draw = random.Random(seed)
    faults, total = [], 0
    end = time.monotonic() + SECONDS
    for operation in draw.sample(points.OPERATIONS, len(points.OPERATIONS)):
        if time.monotonic() > end:
            break
        top = os.path.join(one.point, operation.name.replace(" ", "-"))
        os.mkdir(top)
        n, bad = points.sweep(one, operation, top, step=STEP, first=draw.randrange(1, STEP + 1))
        total, faults = total + n, faults + bad
    assert not faults, "\n".join(faults)
    assert total > 20
