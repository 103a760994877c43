# SPDX-License-Identifier: GPL-2.0-or-later
"""weir policy: files are judged with file, line and key; attaching needs a weir mount."""
import json
import os

import pytest

from cli import answer, directories, disk, weir

GOOD = """weir: 1
name: gold
version: 3
description: Quick.
stages:
  limit: {iops: 2000}
  inspect: {}
"""


def write(directory, name, text):
    path = os.path.join(directory, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def test_shipped_policies():
    out, err = weir("policy", "list")
    assert not err
    names = [line.split()[0] for line in out.splitlines()[1:]]
    assert "silver" in names and names == sorted(names)
    for name in names:
        shown, _ = weir("policy", "show", name)
        assert shown.startswith(name + ", version ") and "/%s.yaml" % name in shown
        assert json.loads(weir("policy", "show", "--json", name)[0])["name"] == name


def test_a_directory_of_ones_own(directory):
    write(directory, "gold.yaml", GOOD)
    out, _ = weir("policy", "list", "--policies=" + directory)
    assert [line.split()[:2] for line in out.splitlines()] == [["NAME", "VERSION"], ["gold", "3"]]
    out, _ = weir("policy", "show", "-p", directory, "gold")
    assert "iops" in out and "2000" in out
    assert "gold" in weir("policy", "show", "-p", directory, "silver", code=1)[1]
    write(directory, "bad.yaml", "weir: 1\n")
    out, err = weir("policy", "list", "-p", directory, code=1)
    assert "gold" in out and "bad.yaml" in err


@pytest.mark.parametrize("old, new, line, word", [
    ("limit:", "limt:", 6, "limt"), ("iops: 2000", "iops: lots", 6, "iops"),
    ("weir: 1", "weir: 2", 1, "weir"), ("version: 3", "version: -3", 3, "version"),
    ("name: gold", "name: ../gold", 2, "name"),
])
def test_check_says_where(directory, old, new, line, word):
    good = write(directory, "gold.yaml", GOOD)
    assert "gold, version 3" in weir("policy", "check", good)[0]
    assert "gold, version 3" in weir("policy", "check", "-p", directory, "gold")[0]
    bad = write(directory, "bad.yaml", GOOD.replace(old, new).replace("gold", "bad"))
    out, err = weir("policy", "check", bad, good, code=1)
    assert "%s:%d:" % (bad, line) in err and word in err
    assert good in out                          # the others are looked at all the same


def test_check_of_what_is_no_policy(directory):
    weir("policy", "check", directory, code=1)
    weir("policy", "check", directory + "/none", code=1)
    weir("policy", "check", "/dev/null", code=1)
    _, err = weir("policy", "check", write(directory, "x.yaml", "\033[31m: ["), code=1)
    assert "\033" not in err


def test_nothing_is_written_to_an_ordinary_file(directory):
    path = write(directory, "file", "")
    for arguments in (["set", "gold", path], ["clear", path], ["apply", path],
                      ["set", "-n", "gold", path]):
        assert "not on a weir mount" in weir("policy", *arguments, code=1)[1]
    assert not os.listxattr(path)


def test_set_clear_and_dry_run_on_a_fake(directory):
    """What the command writes and reads; the real thing is in tests/mount."""
    path = disk(directory + "/a.img", policy={"name": "gold", "version": 3},
                compliance={"state": "pending", "why": "held open by process 7"})
    directories(directory)
    out, _ = weir("policy", "set", "gold", path)
    assert "policy gold: pending" in out and "process 7" in out
    assert os.getxattr(path, "user.weir.policy") == b"gold"
    answer(path, "plan.silver", {"policy": "silver", "would": "replace", "replaces": "gold",
                                 "pending": True, "needs": "the file must be closed",
                                 "holders": [{"pid": 7, "command": "qemu"}]})
    out, _ = weir("policy", "set", "--dry-run", "silver", path)
    assert "would get policy silver instead of gold" in out
    assert "must be closed" in out and "qemu" in out
    answer(path, "plan.nix", {"policy": "nix", "would": "fail", "why": "no such policy"})
    assert "no such policy" in weir("policy", "set", "-n", "nix", path, code=1)[0]
    assert os.getxattr(path, "user.weir.policy") == b"gold"
    weir("policy", "clear", path)
    assert "user.weir.policy" not in os.listxattr(path)
    weir("policy", "clear", path)
    weir("policy", "apply", path)
    assert os.getxattr(path, "user.weir.apply") == b"1"


def test_one_failure_does_not_stop_the_others(directory):
    path = disk(directory + "/a.img")
    directories(directory)
    weir("policy", "set", "gold", directory + "/none", path, code=1)
    assert os.getxattr(path, "user.weir.policy") == b"gold"
