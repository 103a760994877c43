# SPDX-License-Identifier: GPL-2.0-or-later
"""The attach rule: a policy with stages comes into force only when nobody holds the file past weir.

Who does is told by the write lease on the backing file, whatever weir counted: a passthrough open,
a mapping that outlives its descriptor, a process in the backing directory.
"""
import os

import pytest

from policy_rig import (BLOCK, attach, clear, compliance, covered, eventually, get_json,
                        holds_patterns, last_event, make_disk, make_vmdk, make_vmx, own, pattern,
                        ready, stats, status, words)


@pytest.fixture
def past(managed):
    """A mount with passthrough, and a disk on it; skips where the kernel has no passthrough."""
    weir = managed("passthrough=on")
    weir.disk = make_disk(weir.in_mount("a.img"))
    if ", without passthrough" in weir.log():
        pytest.skip("no passthrough here")
    eventually(lambda: status(weir.disk)["way"] == "closed", "the release of the last open")
    return weir


def holders(path):
    return [h["pid"] for h in status(path).get("holders", [])]


def in_force_at_next_open(disk):
    """Once nobody holds it, the next open goes through the stages and counts there."""
    eventually(lambda: status(disk)["way"] == "closed", "the release of the last open")
    assert compliance(disk) == "compliant"
    with open(disk, "r+b", buffering=0) as f:
        assert os.pread(f.fileno(), BLOCK, 0) == pattern(0)
        os.pwrite(f.fileno(), pattern(1), BLOCK)
        now = status(disk)
        assert now["way"] == "daemon" and now["compliance"]["state"] == "compliant"
        assert now["stats"]["inspect"]["write"]["ops"] == 1


# ---- passthrough ----------------------------------------------------------------------------

def test_open_in_passthrough_is_pending(past, children):
    child = ready(children("open", past.disk))
    assert status(past.disk)["way"] == "passthrough"
    begin = last_event(past)
    attach(past.disk, "watch")
    assert own(past.disk) == "watch" and compliance(past.disk) == "pending"
    now = status(past.disk)
    assert child.pid in holders(past.disk) and now["way"] == "passthrough"
    assert [h["command"] for h in now["holders"] if h["pid"] == child.pid][0].startswith("python")
    assert now["stats"] == {}
    assert words(past, begin) == ["policy-pending"]
    with open(past.disk, "r+b", buffering=0) as f:      # one more open of a pending disk
        os.pwrite(f.fileno(), pattern(2), 2 * BLOCK)
    assert compliance(past.disk) == "pending"
    child.stdin.close()
    child.wait()
    in_force_at_next_open(past.disk)
    assert words(past, begin) == ["policy-pending", "policy-attached"]
    assert holds_patterns(past.disk)


def test_a_pending_policy_is_replaced_and_cleared(past, children):
    ready(children("open", past.disk))
    attach(past.disk, "slow")
    assert compliance(past.disk) == "pending"
    attach(past.disk, "never")
    assert compliance(past.disk) == "compliant"         # no stages: nothing to wait for
    attach(past.disk, "slow")
    clear(past.disk)
    assert compliance(past.disk) == "not-applicable"
    assert status(past.disk)["way"] == "passthrough"


def test_a_mapping_keeps_it_pending(past, children):
    """The descriptor is closed, the pages are still the backing file's."""
    child = ready(children("map", past.disk))
    attach(past.disk, "watch")
    assert compliance(past.disk) == "pending" and child.pid in holders(past.disk)
    with open(past.disk, "rb") as f:
        assert f.read(BLOCK) == pattern(0)
        assert compliance(past.disk) == "pending"
    assert compliance(past.disk) == "pending"
    child.stdin.close()
    child.wait()
    in_force_at_next_open(past.disk)


@pytest.mark.parametrize("what", ("file", "directory", "descriptor", "vm"))
def test_whatever_it_is_attached_to(past, children, what):
    """An open extent makes the policy of its descriptor, VM or directory wait."""
    folder = past.in_mount("vm1")
    vmx = make_vmx(folder, "vm1", "vm1.vmdk")
    vmdk = make_vmdk(folder, "vm1")
    flat = os.path.join(folder, "vm1-flat.vmdk")
    child = ready(children("open", flat))
    attach({"file": flat, "directory": folder, "descriptor": vmdk, "vm": vmx}[what], "watch")
    assert covered(flat)[0] == "watch" and compliance(flat) == "pending"
    assert child.pid in holders(flat)
    child.stdin.close()
    child.wait()
    in_force_at_next_open(flat)


def test_a_policy_on_a_directory_of_special_files(past):
    """Asking for a lease must not open a device or wait for a FIFO's other end."""
    folder = past.in_mount("d")
    os.mkdir(folder)
    os.mkfifo(os.path.join(folder, "fifo"))
    os.symlink("fifo", os.path.join(folder, "link"))
    attach(folder, "watch")
    assert compliance(folder) == "compliant"
    assert os.getxattr(os.path.join(folder, "fifo"), "trusted.weir.compliance") == b"compliant"


def test_opens_race_with_the_last_close(past, children):
    """A policy attached while others open and close: in the end it is in force, bytes right."""
    for i in range(20):
        child = ready(children("open", past.disk))
        attach(past.disk, "watch")
        child.stdin.close()
        with open(past.disk, "rb") as f:
            assert f.read() == b"".join(pattern(i) for i in range(256))
        child.wait()
        in_force_at_next_open(past.disk)
        clear(past.disk)
    assert holds_patterns(past.in_store("a.img"))


# ---- behind weir's back -----------------------------------------------------------------------

def test_open_in_the_backing_directory(managed, children):
    """No lease, so no stages; weir serves the bytes without them and says so."""
    for options in ("passthrough=on", "passthrough=off"):
        weir = managed(options)
        disk = make_disk(weir.in_mount("a.img"))
        eventually(lambda: status(disk)["way"] == "closed", "the release")
        child = ready(children("open", weir.in_store("a.img")))
        attach(disk, "watch")
        with open(disk, "r+b", buffering=0) as f:
            assert compliance(disk) == "pending"
            assert child.pid in holders(disk) and stats(disk) == {}
            assert os.pread(f.fileno(), BLOCK, 0) == pattern(0)
            os.pwrite(f.fileno(), pattern(1), BLOCK)
        child.stdin.close()
        child.wait()
        in_force_at_next_open(disk)
        assert holds_patterns(disk) and holds_patterns(weir.in_store("a.img"))


def test_mapped_in_the_backing_directory(past, children):
    child = ready(children("map", past.in_store("a.img")))
    attach(past.disk, "watch")
    with open(past.disk, "rb"):
        assert compliance(past.disk) == "pending" and child.pid in holders(past.disk)
    child.stdin.close()
    child.wait()
    in_force_at_next_open(past.disk)


def test_our_own_descriptors_do_not_count(past):
    """What weir itself keeps open of a file (its cache) does not refuse the lease."""
    disks = [make_disk(past.in_mount("%d.img" % i), 4) for i in range(20)]
    for disk in disks:
        with open(disk, "rb") as f:
            os.fsync(f.fileno())
        os.stat(disk)
    eventually(lambda: all(status(d)["way"] == "closed" for d in disks), "the releases")
    for disk in disks:
        attach(disk, "watch")
        with open(disk, "rb") as f:
            f.read(1)
            assert compliance(disk) == "compliant" and "inspect" in stats(disk)


# ---- passthrough: never -----------------------------------------------------------------------

def test_never_on_a_directory(past):
    os.mkdir(past.in_mount("d"))
    attach(past.in_mount("d"), "never")
    disk = make_disk(past.in_mount("d", "a.img"))
    new = os.open(past.in_mount("d", "b.img"), os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        with open(disk, "rb"):
            for path in (disk, past.in_mount("d", "b.img")):
                assert status(path)["way"] == "daemon" and compliance(path) == "compliant"
                attach(path, "watch")
                assert compliance(path) == "compliant" and "inspect" in stats(path)
    finally:
        os.close(new)
    with open(past.disk, "rb"):
        assert status(past.disk)["way"] == "passthrough"


@pytest.mark.parametrize("name", ("vm1-000001.vmdk", "vm1-000001-delta.vmdk", "vm1-flat.vmdk"))
def test_a_new_file_beside_a_disk_with_a_policy(past, name):
    folder = past.in_mount("vm1")
    vmdk = make_vmdk(folder, "vm1")
    attach(vmdk, "watch")
    path = os.path.join(folder, name)
    if os.path.exists(path):
        os.unlink(path)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        os.write(fd, b"x" * BLOCK)
        assert status(path)["way"] == "daemon" and covered(path) == ("watch", "vm1/vm1.vmdk")
        assert stats(path)["inspect"]["write"]["ops"] == 1
        clear(vmdk)
        attach(vmdk, "slow")
        assert compliance(path) == "compliant"
    finally:
        os.close(fd)


def test_a_new_file_of_a_vm_with_a_policy(past):
    folder = past.in_mount("vm1")
    attach(make_vmx(folder, "vm1"), "watch")
    with open(os.path.join(folder, "vm1.nvram"), "wb"):
        assert status(os.path.join(folder, "vm1.nvram"))["way"] == "daemon"


def test_a_policy_without_stages_is_not_pending(past):
    with open(past.disk, "rb"):
        attach(past.disk, "never")
        assert status(past.disk)["way"] == "passthrough"
        assert compliance(past.disk) != "pending"
    eventually(lambda: status(past.disk)["way"] == "closed", "the release")
    with open(past.disk, "rb"):
        assert status(past.disk)["way"] == "daemon"


def test_the_plan_says_what_is_in_the_way(past, children):
    child = ready(children("open", past.disk))
    plan = get_json(past.disk, "plan.watch")
    assert plan["pending"] and child.pid in [h["pid"] for h in plan["holders"]] and plan["needs"]
    assert own(past.disk) is None
