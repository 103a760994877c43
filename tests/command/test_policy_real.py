# SPDX-License-Identifier: GPL-2.0-or-later
"""weir policy, status and events with a real mount: what a user sees from attach to clear."""
import json
import os
import subprocess
import threading

import pytest

from cli import WEIR, weir

GOLD = "weir: 1\nname: gold\nversion: %d\nstages:\n  limit: {iops: %d}\n  inspect: {}\n"


@pytest.fixture
def place(mounted, directory):
    """A mount with a policy directory of its own and two raw disks."""
    policies = directory + "/policies"
    os.mkdir(policies)
    with open(policies + "/gold.yaml", "w", encoding="ascii") as file:
        file.write(GOLD % (1, 100000))
    mount = mounted(options="passthrough=off,policies=" + policies)
    mount.policies = policies
    os.mkdir(mount.path + "/vm1")
    for name in ("vm1/a.img", "vm1/b.img"):
        with open(os.path.join(mount.path, name), "wb") as image:
            image.write(os.urandom(512) * 2048)
    return mount


def row(mount, name):
    """The words of a disk's row in the table."""
    out, _ = weir("status", mount.path)
    return [line.split() for line in out.splitlines() if name in line.split()[0]][0]


def test_attach_status_clear(place):
    path = place.path + "/vm1/a.img"
    assert "policy gold: compliant" in weir("policy", "set", "gold", path)[0]
    assert {"gold", "compliant"} <= set(row(place, "a.img"))
    assert "gold" not in row(place, "b.img")
    assert "no policy" in weir("policy", "clear", path)[0]
    weir("policy", "clear", path)                   # once more: nothing to do is no failure
    assert "gold" not in row(place, "a.img")


def test_inherited_and_nearer(place):
    weir("policy", "set", "gold", place.path + "/vm1")
    out, _ = weir("status", place.path + "/vm1/b.img")
    assert "gold, version 1 (from vm1" in out
    weir("policy", "set", "gold", place.path + "/vm1/b.img")
    out, _ = weir("status", place.path + "/vm1/b.img")
    assert "gold, version 1\n" in out


def test_dry_run_changes_nothing(place):
    path = place.path + "/vm1/a.img"
    out, _ = weir("policy", "set", "--dry-run", "gold", path)
    assert "would get policy gold" in out and "100000" in out
    assert "gold" not in row(place, "a.img")
    out, _ = weir("policy", "set", "--dry-run", "silver", path, code=1)
    assert "would be refused" in out and "gold" in out      # names those there are
    weir("policy", "set", "gold", path)
    assert "would lose its policy gold" in weir("policy", "clear", "-n", path)[0]
    assert "gold" in row(place, "a.img")


def test_refused_says_why(place):
    path = place.path + "/vm1/a.img"
    _, err = weir("policy", "set", "nix", path, code=1)
    assert path in err and "nix" in err and "Invalid" not in err
    _, err = weir("policy", "set", "../gold", path, code=1)
    assert "name" in err


def test_out_of_date_until_applied(place):
    path = place.path + "/vm1/a.img"
    weir("policy", "set", "gold", path)
    with open(place.policies + "/gold.yaml", "w", encoding="ascii") as file:
        file.write(GOLD % (2, 50000))
    assert "out-of-date" in row(place, "a.img")
    assert "version 1" in weir("status", path)[0]
    weir("policy", "apply", place.path)
    assert "compliant" in row(place, "a.img")
    assert "version 2" in weir("status", path)[0]


def test_counters_and_rates(place):
    path = place.path + "/vm1/a.img"
    weir("policy", "set", "gold", path)
    with open(path, "r+b", buffering=0) as image:
        for n in range(200):
            os.pwrite(image.fileno(), b"x" * 4096, n * 4096)
        os.fsync(image.fileno())
        out, _ = weir("status", path)
        assert "Stage inspect" in out and "Stage limit" in out and "P99.9" in out
        assert [line for line in out.splitlines() if line.split()[:1] == ["write"]]
        found = json.loads(weir("status", "--json", path)[0])[0]
        assert found["stats"]["inspect"]["write"]["bytes"] >= 200 * 4096
        assert found["way"] == "daemon" and found["opens"] == 1


def test_events_tell_it_in_order(place):
    path = place.path + "/vm1/a.img"
    lines = []
    with subprocess.Popen([WEIR, "events", "--follow", "--json", place.path],
                          stdout=subprocess.PIPE, text=True) as follow:
        reader = threading.Thread(target=lambda: lines.extend(follow.stdout))
        reader.start()
        try:
            weir("policy", "set", "gold", path)
            weir("policy", "clear", path)
            reader.join(1)
        finally:
            follow.terminate()
            reader.join(10)
    events = [json.loads(line) for line in lines]
    names = [event["event"] for event in events]
    assert [name for name in names if name.startswith("policy-")] == [
        "policy-attached", "policy-cleared"]
    assert names[0] == "mounted"
    assert [event["seq"] for event in events] == sorted({event["seq"] for event in events})
    assert len(weir("events", place.path)[0].splitlines()) >= 3


def test_trusted_names(mounted):
    """With policy-xattr=trusted the command finds the other name by itself."""
    mount = mounted(options="passthrough=off,policy-xattr=trusted")
    path = mount.path + "/a.img"
    with open(path, "wb") as image:
        image.write(b"x" * 8192)
    weir("policy", "set", "observe", path)
    assert "observe" in weir("status", path)[0]
    weir("policy", "apply", path)
    weir("policy", "clear", path)
    assert "observe" not in weir("status", path)[0]


def test_others_may_look_and_not_attach(place):
    path = place.path + "/vm1/a.img"
    for directory in ("", "/vm1"):
        os.chmod(place.path + directory, 0o755)

    def nobody():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    _, err = weir("policy", "set", "gold", path, code=1, preexec_fn=nobody, cwd="/")
    assert "only root" in err
    assert "a.img" in weir("status", place.path, preexec_fn=nobody, cwd="/")[0]


def test_pending_names_the_holder(mounted):
    """A disk open in passthrough gets its policy when it is closed, and it is said who has it."""
    mount = mounted(options="passthrough=on")
    path = mount.path + "/a.img"
    with open(path, "wb") as image:
        image.write(b"x" * 8192)
    with open(path, "rb") as image:
        image.read(1)
        if json.loads(weir("status", "--json", path)[0])[0]["way"] != "passthrough":
            pytest.skip("no passthrough here")
        with subprocess.Popen(["sleep", "60"], stdin=image) as sleeper:
            try:
                out, _ = weir("policy", "set", "-n", "observe", path)
                assert "must be closed" in out and "sleep" in out
                assert "pending" in weir("policy", "set", "observe", path)[0]
                out, _ = weir("status", path)
                assert "pending" in out and "process %d (sleep)" % sleeper.pid in out
            finally:
                sleeper.kill()
    out, _ = weir("status", path)
    assert "compliant" in out
