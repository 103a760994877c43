# SPDX-License-Identifier: GPL-2.0-or-later
"""Assignments over a remount, a kill at any moment, and the loss of the catalog.

After a kill the assignment is the old or the new one, the same to everybody who can be asked: the
attribute, the status, the mark on the backing file and the disk's header below .weir/disks.
--weir-steps=N: N kills instead of the short form's 100.
"""
import os
import random
import shutil
import subprocess
import threading
import time

import pytest

import weir as weirs
from policy_rig import (attach, clear, compliance, covered, holds_patterns, make_disk, make_vmdk,
                        make_vmx, own, stats, status)

COMMAND = weirs.program("weir")
MARK = "trusted.weir.disk"
KILLS = 100


def mark(path):
    """The id on a backing file; None: it has none."""
    try:
        return os.getxattr(path, MARK)
    except OSError:
        return None


def headers(weir):
    return sorted(n for n in os.listdir(weir.in_store(".weir", "disks")))


def a_datastore(weir):
    """One assignment of each kind; returns what covers what."""
    folder = weir.in_mount("vm1")
    make_vmdk(folder, "vm1")
    attach(make_vmx(folder, "vm1", "vm1.vmdk"), "slow")
    make_vmdk(weir.in_mount("plain"), "own")
    attach(weir.in_mount("plain", "own.vmdk"), "watch")
    make_disk(weir.in_mount("plain", "raw.img"))
    attach(weir.in_mount("plain", "raw.img"), "fast")
    make_disk(weir.in_mount("dir", "below", "a.img"))
    attach(weir.in_mount("dir"), "never")
    make_disk(weir.in_mount("free.img"))
    return {
        "vm1/vm1.vmx": ("slow", "vm1/vm1.vmx"), "vm1/vm1.vmdk": ("slow", "vm1/vm1.vmx"),
        "vm1/vm1-flat.vmdk": ("slow", "vm1/vm1.vmx"),
        "plain/own.vmdk": ("watch", "plain/own.vmdk"),
        "plain/own-flat.vmdk": ("watch", "plain/own.vmdk"),
        "plain/raw.img": ("fast", "plain/raw.img"),
        "dir": ("never", "dir/"), "dir/below/a.img": ("never", "dir/"), "free.img": None,
    }


def shows(weir, expected):
    for name, cover in expected.items():
        assert covered(weir.in_mount(name)) == cover, name
    with open(weir.in_mount("plain", "raw.img"), "rb") as f:
        f.read(1)
        assert stats(weir.in_mount("plain", "raw.img"))["inspect"]["read"]["ops"] == 1
    for name, (_, origin) in ((n, c) for n, c in expected.items() if c):
        assert (own(weir.in_mount(name)) is not None) == (origin.rstrip("/") == name)
        assert compliance(weir.in_mount(name)) == "compliant"


@pytest.mark.parametrize("how", ("stop", "kill", "kill later"))
def test_all_of_it_is_there_again(managed, how):
    weir = managed()
    expected = a_datastore(weir)
    shows(weir, expected)
    ids = {name: mark(weir.in_store(name)) for name in expected}
    if how == "stop":
        weir.stop()
    else:
        time.sleep(2 if how == "kill later" else 0)
        weir.kill()
    weir.start()
    assert {name: mark(weir.in_store(name)) for name in expected} == ids
    shows(weir, expected)
    new = make_disk(weir.in_mount("dir", "below", "new.img"), 1)
    assert covered(new) == ("never", "dir/")
    clear(weir.in_mount("dir"))
    weir.restart()
    assert not covered(new)


# ---- a kill at any moment ---------------------------------------------------------------------

class Switcher:
    """Goes round a list of policies (None: clear) until the mount dies; knows what may be true."""

    def __init__(self, path, cycle):
        self.path = path
        self.cycle = cycle
        self.now = own(path)
        self.next = None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            for i in range(10 ** 6):
                self.next = self.cycle[i % len(self.cycle)]
                attach(self.path, self.next or "")
                self.now = self.next
        except OSError:
            pass                        # the mount is gone

    def allowed(self):
        self.thread.join()
        return {self.now, self.next}


def agrees(weir, name, policy):
    """Attribute, status, mark and headers say the same; a stack is what the policy says."""
    path = weir.in_mount(name)
    assert own(path) == policy
    now = status(path)
    assert now["compliance"]["state"] == ("compliant" if policy else "not-applicable"), now
    if policy:
        assert now["policy"]["name"] == policy and now["policy"]["from"].rstrip("/") == name
    if os.path.isdir(path):
        return
    with open(path, "rb") as f:
        f.read(1)
        assert sorted(stats(path)) == {"slow": ["inspect", "limit"], "watch": ["inspect"],
                                       "fast": ["inspect", "limit"]}.get(policy, [])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("cycle", (["slow", "watch"], ["slow", None], ["watch", "fast", None]),
                         ids=("switch", "attach and clear", "all"))
@pytest.mark.parametrize("what", ("file", "directory"))
def test_killed_at_any_moment(managed, request, cycle, what):
    rounds = request.config.getoption("--weir-steps") or KILLS
    rounds = rounds // 4 + 1 if what == "directory" or len(cycle) == 3 else rounds
    chance = random.Random(request.config.getoption("--weir-seed"))
    weir = managed("passthrough=off", seconds=590)
    name = "a.img" if what == "file" else "d"
    make_disk(weir.in_mount(name if what == "file" else "d/a.img"), 4)
    attach(weir.in_mount(name), cycle[0])
    seen = set()
    for _ in range(rounds):
        switcher = Switcher(weir.in_mount(name), cycle)
        time.sleep(chance.random() ** 2 * 0.08)
        weir.kill()
        allowed = switcher.allowed()
        weir.start()
        policy = own(weir.in_mount(name))
        assert policy in allowed, "%s after a kill between %s" % (policy, allowed)
        agrees(weir, name, policy)
        seen.add(policy)
    assert seen == set(cycle) or rounds < 25, "the kills met only %s" % seen
    left = headers(weir)
    weir.stop()
    checked = subprocess.run([COMMAND, "check", weir.store], stdout=subprocess.PIPE, timeout=60,
                             stderr=subprocess.STDOUT, check=False)
    assert checked.returncode in (0, 1), checked.stdout.decode()
    again = subprocess.run([COMMAND, "check", weir.store], stdout=subprocess.PIPE, timeout=60,
                           stderr=subprocess.STDOUT, check=False)
    assert again.returncode == 0, again.stdout.decode()
    weir.start()
    agrees(weir, name, policy)
    assert len(headers(weir)) == (1 if policy else 0), (left, headers(weir))


# ---- the catalog is lost ----------------------------------------------------------------------

def lose_catalog(weir):
    shutil.rmtree(weir.in_store(".weir", "state"))


@pytest.mark.parametrize("moved", (False, True), ids=("in place", "moved meanwhile"))
def test_the_catalog_is_lost(managed, moved):
    """The mount is refused, `weir check` says and does what is needed, all assignments are back."""
    weir = managed()
    expected = a_datastore(weir)
    ids = {name: mark(weir.in_store(name)) for name in expected}
    weir.stop()
    lose_catalog(weir)
    if moved:
        os.rename(weir.in_store("plain", "raw.img"), weir.in_store("dir", "moved.img"))
    weir.expect_log("weir check")
    with pytest.raises(AssertionError, match="weir check"):
        weir.start()
    weir.process = None
    told = subprocess.run([COMMAND, "check", "--rebuild", weir.store], stdout=subprocess.PIPE,
                          timeout=60, stderr=subprocess.STDOUT, check=False)
    assert told.returncode in (0, 1), told.stdout.decode()
    weir.start()
    if moved:
        assert covered(weir.in_mount("dir", "moved.img")) == ("fast", "dir/moved.img")
        os.rename(weir.in_mount("dir", "moved.img"), weir.in_mount("plain", "raw.img"))
    shows(weir, expected)
    assert {name: mark(weir.in_store(name)) for name in expected} == ids
    assert holds_patterns(weir.in_mount("plain", "raw.img"))
    weir.restart()
    shows(weir, expected)


def test_a_lost_copy_of_the_policy_fails_closed(managed):
    """Without its copy nobody knows which stages a disk needs: it is not opened, and says why."""
    weir = managed()
    disk = make_disk(weir.in_mount("a.img"))
    attach(disk, "slow")
    weir.stop()
    shutil.rmtree(weir.in_store(".weir", "policies"))
    weir.expect_log("policy")
    weir.start()
    assert own(disk) == "slow" and compliance(disk) == "unknown"
    with pytest.raises(OSError):
        with open(disk, "rb") as f:
            f.read(1)
    attach(disk, "slow")                # attaching takes a new copy
    assert compliance(disk) == "compliant" and holds_patterns(disk)
