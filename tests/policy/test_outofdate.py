# SPDX-License-Identifier: GPL-2.0-or-later
"""A policy file that changes makes its disks out-of-date, and changes nothing until it is applied."""
import errno
import os
import signal
import subprocess

import pytest

import weir as weirs
from policy_rig import (Load, attach, compliance, eventually, fails, get, last_event, make_disk,
                        own, refused, stats, status, words)

COMMAND = weirs.program("weir")


@pytest.fixture(params=("passthrough=on", "passthrough=off"))
def weir(request, managed):
    weir = managed(request.param)
    weir.policies.write("mine", version=1, iops=1000)
    weir.disk = make_disk(weir.in_mount("d", "a.img"))
    return weir


def limit_of(disk):
    """The number that the running stack has; the disk must be open."""
    return stats(disk)["limit"]["iops"]


def current(disk):
    return status(disk)["compliance"]["current"]["stages"]["limit"]["iops"]


def apply_by_xattr(weir):
    os.setxattr(weir.disk, "user.weir.apply", b"1")


def apply_by_command(weir):
    subprocess.run([COMMAND, "policy", "apply", weir.disk], check=True, timeout=20)


def apply_by_signal(weir):
    os.kill(weir.process.pid, signal.SIGHUP)


HOWS = {"xattr": apply_by_xattr, "command": apply_by_command, "SIGHUP": apply_by_signal}


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("target", ("file", "directory"))
def test_edited_and_applied(weir, how, target):
    attach({"file": weir.disk, "directory": weir.in_mount("d")}[target], "mine")
    with open(weir.disk, "rb"):
        assert limit_of(weir.disk) == 1000
        weir.policies.write("mine", version=2, iops=2000)
        assert compliance(weir.disk) == "out-of-date"
        now = status(weir.disk)["compliance"]
        assert now["expected"]["stages"]["limit"]["iops"] == 2000
        assert now["current"]["stages"]["limit"]["iops"] == 1000 == limit_of(weir.disk)
        assert status(weir.disk)["policy"]["version"] == 1
        begin = last_event(weir)
        HOWS[how](weir)
        eventually(lambda: compliance(weir.disk) == "compliant", "the policy to be applied")
        assert limit_of(weir.disk) == 2000 and status(weir.disk)["policy"]["version"] == 2
        assert "policy-applied" in words(weir, begin)


def test_a_change_without_a_new_version(weir):
    """Somebody forgot to count up: the text counts."""
    attach(weir.disk, "mine")
    weir.policies.write("mine", version=1, iops=3000)
    assert compliance(weir.disk) == "out-of-date"
    apply_by_xattr(weir)
    assert compliance(weir.disk) == "compliant" and current(weir.disk) == 3000


def test_back_to_the_old_text(weir):
    attach(weir.disk, "mine")
    weir.policies.write("mine", version=2, iops=2000)
    assert compliance(weir.disk) == "out-of-date"
    weir.policies.write("mine", version=1, iops=1000)
    assert compliance(weir.disk) == "compliant"


def test_other_stages(weir):
    """The new version has another stack: it is rebuilt under a running load."""
    live = weir.options.startswith("passthrough=off")
    attach(weir.disk, "mine")
    with Load(weir.disk) as load:
        load.makes(100)
        weir.policies.write("mine", version=2, limit=False)
        assert compliance(weir.disk) == "out-of-date"
        apply_by_xattr(weir)
        assert status(weir.disk)["stages"] == ["inspect"]
        assert "limit" not in stats(weir.disk)
        load.makes(100)
        weir.policies.write("mine", version=3, iops=10000)
        apply_by_xattr(weir)
        assert limit_of(weir.disk) == 10000 or not live
        load.makes(100)


def test_a_new_attachment_takes_the_new_text(weir):
    """Two disks may be at two versions; each says its own."""
    other = make_disk(weir.in_mount("b.img"))
    attach(weir.disk, "mine")
    weir.policies.write("mine", version=2, iops=2000)
    attach(other, "mine")
    with open(weir.disk, "rb"), open(other, "rb"):
        assert (limit_of(weir.disk), limit_of(other)) == (1000, 2000)
        assert (compliance(weir.disk), compliance(other)) == ("out-of-date", "compliant")


@pytest.mark.parametrize("how", ("removed", "broken", "unreadable settings"))
def test_a_lost_file_changes_nothing(weir, how):
    attach(weir.disk, "mine")
    with open(weir.disk, "rb"):
        if how == "removed":
            weir.policies.remove("mine")
        else:
            weir.policies.write_text("mine", "weir: [" if how == "broken" else
                                     "weir: 1\nname: mine\nversion: 2\nstages: {limit: {iops: x}}\n")
        assert compliance(weir.disk) == "unknown" and limit_of(weir.disk) == 1000
        fails(errno.EINVAL, apply_by_xattr, weir)
        assert "mine" in refused(weir.disk)
        if how != "removed":
            assert "mine.yaml" in refused(weir.disk)
        assert limit_of(weir.disk) == 1000 and own(weir.disk) == "mine"
    weir.expect_log("not all policies could be applied")
    apply_by_signal(weir)
    weir.stop()
    weir.start()
    assert own(weir.disk) == "mine" and compliance(weir.disk) == "unknown"
    with open(weir.disk, "rb") as f:
        assert f.read(4) == bytes(4)
        assert limit_of(weir.disk) == 1000 and status(weir.disk)["way"] == "daemon"
    weir.policies.write("mine", version=1, iops=1000)
    assert compliance(weir.disk) == "compliant"


def test_out_of_date_over_a_remount(weir):
    attach(weir.disk, "mine")
    weir.policies.write("mine", version=2, iops=2000)
    weir.restart()
    assert compliance(weir.disk) == "out-of-date"
    with open(weir.disk, "rb"):
        assert limit_of(weir.disk) == 1000
        apply_by_xattr(weir)
        assert limit_of(weir.disk) == 2000


def test_two_broken_files(weir):
    """Each of them is a refusal of its own; the first is the sentence."""
    disks = [make_disk(weir.in_mount("d", "%d.img" % i)) for i in range(4)]
    for disk in disks:
        attach(disk, "mine")
    weir.policies.write_text("mine", "weir: [")
    fails(errno.EINVAL, os.setxattr, weir.in_mount("d"), "user.weir.apply", b"1")
    assert "mine.yaml" in refused(weir.in_mount("d"))
    assert [compliance(disk) for disk in disks] == ["unknown"] * 4


def test_one_broken_file_does_not_stop_the_others(weir):
    """SIGHUP brings up what it can."""
    weir.policies.write("other", version=1, iops=1000)
    other = make_disk(weir.in_mount("b.img"))
    third = make_disk(weir.in_mount("c.img"))
    attach(third, "mine")
    attach(weir.disk, "other")
    attach(other, "mine")
    weir.policies.write_text("other", "weir: [")
    weir.policies.write("mine", version=2, iops=2000)
    weir.expect_log("not all policies could be applied")
    apply_by_signal(weir)
    eventually(lambda: compliance(other) == compliance(third) == "compliant", "the good ones")
    assert compliance(weir.disk) == "unknown" and get(weir.disk, "policy") == "other"
