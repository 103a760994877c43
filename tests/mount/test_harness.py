# SPDX-License-Identifier: GPL-2.0-or-later
"""The harness itself: what it makes, kills and leaves behind."""
import os

import pytest

import backing as backings


@pytest.mark.parametrize("kind", backings.KINDS)
def test_a_file_written_through_the_mount_is_in_the_datastore(mounted, kind):
    weir = mounted(backing=kind)
    with open(weir.in_mount("a"), "wb") as f:
        f.write(b"hello")
    with open(weir.in_store("a"), "rb") as f:
        assert f.read() == b"hello"


def test_a_killed_worker_can_be_started_again(mounted):
    weir = mounted()
    if weir.kind == "bind":
        pytest.skip("no process to kill")
    with open(weir.in_mount("a"), "wb") as f:
        f.write(b"hello")
    for _ in range(3):
        weir.kill()
        assert not weir.is_mounted()
        weir.start()
        assert os.listdir(weir.path).count("a") == 1


def test_a_restarted_mount_shows_the_same_files(mounted):
    weir = mounted()
    os.mkdir(weir.in_mount("d"))
    if weir.kind == "bind":
        pytest.skip("nothing to restart")
    weir.restart()
    assert os.path.isdir(weir.in_mount("d"))
