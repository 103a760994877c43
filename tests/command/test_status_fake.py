# SPDX-License-Identifier: GPL-2.0-or-later
"""weir status over a tree that answers as a mount would: layout, hostile names, odd answers."""
import json
import os
import subprocess
import time

import pytest

from cli import SECONDS, WEIR, answer, directories, disk, weir

INSPECT = {"read": {"ops": 12000, "bytes": 49152000,
                    "latency_us": {"mean": 33, "p50": 12.5, "p90": 100, "p99": 1234.5,
                                   "p999": 99999, "max": 2000000}},
           "write": {"ops": 0, "bytes": 0, "latency_us": {}},
           "block_sizes": {"4096": 12000}, "errors": 0, "since": "2026-11-22T05:00:00Z"}


@pytest.fixture
def tree(directory):
    """A datastore with a VM of two disks, one of them inherited from, and a raw disk."""
    disk(directory + "/vm1/vm1.vmdk", "vmdk monolithicFlat", disk={
        "extents": [{"file": "vm1-flat.vmdk", "type": "FLAT", "size": 1 << 30, "state": "ok"}]},
        policy={"name": "gold", "version": 3, "from": "vm1/", "inherited": True},
        compliance={"state": "compliant"}, way="daemon", stages=["inspect", "limit"],
        stats={"inspect": INSPECT})
    disk(directory + "/vm1/vm1-flat.vmdk")
    disk(directory + "/vm1/data.vmdk", "vmdk monolithicSparse", disk={
        "extents": [{"file": "data.vmdk", "type": "SPARSE", "size": 1 << 20, "state": "ok"}],
        "problem": "the grain table is cut off"})
    disk(directory + "/vm1/vm1.vmx", kind="vm")
    disk(directory + "/raw.img", size=5 << 30)
    disk(directory + "/notes.txt", kind="file")
    directories(directory)
    return directory


def lines(text):
    return [line.split() for line in text.splitlines()]


def test_table(tree):
    out, err = weir("status", tree)
    rows = lines(out)
    assert not err
    assert rows[0][:4] == ["DISK", "TYPE", "SIZE", "USED"]
    assert rows[1][:4] == ["raw.img", "raw", "5", "GiB"]
    assert rows[2][:2] == ["vm1/vm1.vmx", "VM"]
    assert out.splitlines()[3].startswith("  data.vmdk ")       # set in below its VM
    assert "problem: the grain table is cut off" in out.splitlines()[4]
    assert "gold (from vm1/)" in out.splitlines()[5] and "compliant" in out.splitlines()[5]
    assert "flat.vmdk" not in out and "notes.txt" not in out
    assert all(line == line.rstrip() for line in out.splitlines())


def test_page(tree):
    out, _ = weir("status", tree + "/vm1/vm1.vmdk")
    assert "vmdk monolithicFlat" in out and "gold, version 3 (from vm1/)" in out
    assert ["vm1-flat.vmdk", "FLAT", "1", "GiB", "ok"] in lines(out)
    assert ["read", "12k", "46.9", "MiB", "33", "us", "12.5", "us", "100", "us", "1.2", "ms",
            "100", "ms", "2", "s"] in lines(out)
    assert not any(line[:1] == ["write"] for line in lines(out))    # nothing was written


def test_json(tree):
    found = json.loads(weir("status", "--json", tree)[0])
    assert [os.path.relpath(one["at"], tree) for one in found] == [
        "raw.img", "vm1/vm1.vmx", "vm1/data.vmdk", "vm1/vm1.vmdk"]
    one = json.loads(weir("status", "--json", tree + "/raw.img")[0])
    assert len(one) == 1 and one[0]["disk"]["type"] == "raw"


def test_an_extent_does_not_hide_a_descriptor(tree):
    """A hostile descriptor cannot take another disk out of sight by claiming it."""
    disk(tree + "/vm1/evil.vmdk", disk={"extents": [{"file": "vm1.vmdk", "state": "ok"}]})
    out, _ = weir("status", tree)
    assert "  vm1.vmdk" in out and "  evil.vmdk" in out


@pytest.mark.parametrize("name", [
    b"a\033[31mb", b"a\nb", b"a\rb", b"\xff\xfe", "‮gpj".encode(), b"\xc2\x9bm", b"-n", b"%s%n",
    b"x" * 255, "ünï 日本".encode(),
])
def test_hostile_names(directory, name):
    with open(os.path.join(os.fsencode(directory), name), "wb"):
        pass
    answer(os.path.join(os.fsencode(directory), name), "status",
           {"weir": 1, "kind": "disk", "disk": {"type": "r\033w", "problem": "p\nq\033"}})
    directories(directory)
    out, _ = weir("status", directory)
    assert len(out.splitlines()) == 3                           # heading, disk, problem
    assert not any(ord(c) < 32 and c != "\n" or 0x7f <= ord(c) < 0xa0 or c == "‮"
                   for c in out)
    page = subprocess.run([WEIR, "status", "--", os.path.join(os.fsencode(directory), name)],
                          stdout=subprocess.PIPE, timeout=SECONDS, check=True).stdout
    assert b"\033" not in page and b"problem" not in page.split(b"\n")[0]


@pytest.mark.parametrize("status", [
    {}, {"kind": "disk"}, {"kind": 7, "disk": []}, {"kind": "disk", "disk": {"extents": {}}},
    {"kind": "disk", "disk": {"extents": [1, None, {"file": 7}], "chain": [None, {}]}},
    {"kind": "disk", "size": -1, "policy": "x", "compliance": 3, "stats": [1], "holders": [0]},
    {"kind": "disk", "stats": {"inspect": {"read": {"latency_us": 3, "ops": 9}, "x": [[[1]]]}}},
    {"kind": "disk", "policy": {"name": None, "inherited": True}, "stages": [1]},
])
def test_odd_answers(directory, status):
    """Whatever another version answers: shown as well as can be, no crash."""
    path = disk(directory + "/a.img")
    answer(path, "status", status)
    directories(directory)
    weir("status", directory)
    weir("status", path)
    weir("status", "--json", path)


def test_not_on_a_mount(directory):
    with open(directory + "/file", "wb"):
        pass
    for path in (directory, directory + "/file"):
        assert "not on a weir mount" in weir("status", path, code=1)[1]
    assert "No such file" in weir("status", directory + "/none", code=1)[1]
    answer(directory + "/file", "status", "no json")
    assert "no JSON" in weir("status", directory + "/file", code=1)[1]


def test_watch_shows_rates_of_the_interval(tree):
    """The first table has averages, the next ones what happened since the one before."""
    path = tree + "/vm1/vm1.vmdk"
    with subprocess.Popen([WEIR, "status", "--watch=1", tree], stdout=subprocess.PIPE,
                          text=True) as watch:
        time.sleep(0.5)
        status = json.loads(os.getxattr(path, "user.weir.status"))
        status["stats"]["inspect"]["read"]["ops"] += 500
        status["stats"]["inspect"]["read"]["bytes"] += 500 * 10000
        answer(path, "status", status)
        time.sleep(1.2)
        watch.terminate()
        out = watch.communicate(timeout=SECONDS)[0]
    rows = [line.split() for line in out.splitlines() if "  vm1.vmdk" in line]
    assert len(rows) == 2
    reads, megabytes = float(rows[1][-4]), float(rows[1][-2])
    assert 400 < reads < 520 and 4.0 < megabytes < 5.2, out


def test_events(directory):
    """Oldest first, each once; --json has an object a line."""
    events = [{"seq": n, "time": "2026-11-22T05:28:27.%03dZ" % n, "event": "policy-attached",
               "path": "a\n%d.img" % n, "policy": "gold", "text": "It is so"} for n in (1, 2, 3)]
    answer(directory, "events.0", events[:2])
    answer(directory, "events.2", events[2:])
    answer(directory, "events.3", [])
    out, _ = weir("events", directory)
    assert len(out.splitlines()) == 3 and "a\\n3.img: It is so" in out.splitlines()[2]
    out, _ = weir("events", "--json", directory)
    assert [json.loads(line)["seq"] for line in out.splitlines()] == [1, 2, 3]
    with subprocess.Popen([WEIR, "events", "--follow", directory], stdout=subprocess.PIPE,
                          text=True) as follow:
        time.sleep(0.5)
        answer(directory, "events.3", [dict(events[0], seq=4, path="late.img")])
        answer(directory, "events.4", [])
        time.sleep(0.6)
        follow.terminate()
        out = follow.communicate(timeout=SECONDS)[0]
    assert len(out.splitlines()) == 4 and "late.img" in out
    assert "not the root" in weir("events", "/usr", code=1)[1]


def test_space_of_extents_is_the_disk_s(tree):
    """USED adds up the files of a disk; --json has their statuses as "files"."""
    answer(tree + "/vm1/vm1-flat.vmdk", "status",
           {"weir": 1, "kind": "disk", "disk": {"type": "raw"}, "allocated": 8 << 20})
    row = [line for line in lines(weir("status", tree)[0]) if line[0] == "vm1.vmdk"][0]
    assert row[5:7] == ["8", "MiB"]
    assert "Used          8 MiB" in weir("status", tree + "/vm1/vm1.vmdk")[0]
    one = json.loads(weir("status", "--json", tree + "/vm1/vm1.vmdk")[0])[0]
    assert [file["at"] for file in one["files"]] == [tree + "/vm1/vm1-flat.vmdk"]
    disk(tree + "/vm1/out.vmdk", disk={"extents": [{"file": "../raw.img"}, {"file": "/etc/x"}]})
    assert "files" not in json.loads(weir("status", "-j", tree + "/vm1/out.vmdk")[0])[0]
