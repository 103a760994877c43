# SPDX-License-Identifier: GPL-2.0-or-later
"""The worker is killed again and again under load, and nobody sees anything of it.

Short forms of tests/resume/soak, which says how to repeat one: the seed is in pytest's header.
"""
import pytest

import nfs_run


@pytest.mark.parametrize("way", ("on", "off"))
def test_kills_under_a_mixed_load(soak, way):
    result = soak(seconds=6, kills=60, passthrough=way, open_files=100)
    assert result.kills >= 12


def test_a_stopped_worker_and_dropped_caches(soak):
    result = soak(seconds=5, kills=60, also=("stop", "drop-caches"), open_files=100, names=2)
    assert result.kills >= 5


def test_upgrades_between_kills(soak):
    result = soak(seconds=5, kills=60, also=("upgrade",), open_files=100, names=2)
    assert result.kills >= 4


def test_kills_below_an_nfs_server(soak):
    result = soak(nfs_run.NfsRun, seconds=5, kills=60, data=1, names=2)
    assert result.kills >= 5
