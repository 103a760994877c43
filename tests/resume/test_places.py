# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a file lies decides which policy covers it: the next worker knows it as the dead one did.

The kernel does not look names up again for a second, so it is the slate and the catalog that must tell.
"""
import json
import os

import pytest

import victim as victims


@pytest.fixture
def mount():
    directory = victims.RunDirectory()
    victim = victims.Victim(directory.path, "")
    victim.start()
    os.mkdir(victim.point + "/covered")
    os.setxattr(victim.point + "/covered", "user.weir.policy", b"observe")
    os.mkdir(victim.point + "/plain")
    yield victim
    victim.finish()
    victim.close()
    directory.close()


def kill(victim):
    pid = victim.worker()
    os.kill(pid, 9)
    victim.next_worker(pid)


def status_when_open(path):
    with open(path, "r+b"):
        return json.loads(os.getxattr(path, "user.weir.status"))


@pytest.mark.parametrize("killed", [False, True])
def test_a_directory_moved_into_a_policy(mount, killed):
    os.mkdir(mount.point + "/plain/d")
    with open(mount.point + "/plain/d/f", "w", encoding="ascii"):
        pass
    os.rename(mount.point + "/plain/d", mount.point + "/covered/d")
    if killed:
        kill(mount)
    status = status_when_open(mount.point + "/covered/d/f")
    assert status["path"] == "covered/d/f"
    assert status["policy"]["name"] == "observe"
    assert status["way"] == "daemon"


def test_a_directory_moved_out_of_a_policy(mount):
    os.mkdir(mount.point + "/covered/d")
    with open(mount.point + "/covered/d/f", "w", encoding="ascii"):
        pass
    os.rename(mount.point + "/covered/d", mount.point + "/plain/d")
    kill(mount)
    assert "policy" not in status_when_open(mount.point + "/plain/d/f")


def test_links_when_the_first_parent_is_gone(mount):
    top = mount.point + "/covered"
    os.makedirs(top + "/x/d")
    os.mkdir(top + "/y")
    with open(top + "/x/d/f", "w", encoding="ascii"):
        pass
    os.rename(top + "/x/d", top + "/y/d")
    os.rmdir(top + "/x")
    kill(mount)
    os.link(top + "/y/d/f", top + "/g")


def test_the_other_name_of_a_file(mount):
    """Its first name, by which the catalog knew it, is gone."""
    with open(mount.point + "/plain/f", "w", encoding="ascii"):
        pass
    os.link(mount.point + "/plain/f", mount.point + "/plain/g")
    os.unlink(mount.point + "/plain/f")
    kill(mount)
    os.link(mount.point + "/plain/g", mount.point + "/plain/h")
    assert status_when_open(mount.point + "/plain/g")["path"] in ("plain/g", "plain/h")
