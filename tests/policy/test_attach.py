# SPDX-License-Identifier: GPL-2.0-or-later
"""Attaching, replacing and clearing policies, and whom each of them covers."""
import errno
import os
import subprocess

import pytest

import weir as weirs
from policy_rig import (attach, clear, compliance, covered, fails, get, get_json, make_disk,
                        make_vmdk, make_vmx, own, refused, status)

COMMAND = weirs.program("weir")


def by_command(*arguments):
    done = subprocess.run([COMMAND, "policy", *arguments], stdout=subprocess.PIPE, timeout=20,
                          stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout.decode()


@pytest.fixture(params=("passthrough=on", "passthrough=off"))
def both(request, managed):
    return managed(request.param)


# ---- one file -------------------------------------------------------------------------------

def test_attach_replace_clear(both):
    disk = make_disk(both.in_mount("a.img"))
    assert own(disk) is None and compliance(disk) == "not-applicable" and not covered(disk)
    attach(disk, "slow")
    assert own(disk) == "slow" and compliance(disk) == "compliant"
    now = status(disk)
    assert now["policy"] == {"name": "slow", "version": 1, "from": "a.img", "inherited": False}
    assert now["stages"] == ["limit", "inspect"] or now["stages"] == ["inspect", "limit"]
    assert now["compliance"]["expected"] == now["compliance"]["current"]
    attach(disk, "watch")
    assert own(disk) == "watch" and status(disk)["stages"] == ["inspect"]
    clear(disk)
    assert own(disk) is None and compliance(disk) == "not-applicable"
    assert status(disk)["stages"] == []
    fails(errno.ENODATA, clear, disk)


def test_an_empty_value_clears(both):
    disk = make_disk(both.in_mount("a.img"))
    attach(disk, "")                    # nothing to clear is no error
    attach(disk, "slow")
    attach(disk, "")
    assert own(disk) is None


def test_by_setfattr_and_by_command(both):
    disk = make_disk(both.in_mount("a.img"))
    subprocess.run(["setfattr", "-n", "user.weir.policy", "-v", "slow", disk], check=True)
    assert own(disk) == "slow"
    assert by_command("set", "watch", disk)[0] == 0 and own(disk) == "watch"
    code, said = by_command("set", "--dry-run", "slow", disk)
    assert code == 0 and "slow" in said and own(disk) == "watch"
    code, said = by_command("set", "nonsense", disk)
    assert code == 1 and "nonsense" in said and own(disk) == "watch"
    code, said = by_command("clear", "--dry-run", disk)
    assert code == 0 and own(disk) == "watch"
    assert by_command("clear", disk)[0] == 0 and own(disk) is None
    subprocess.run(["setfattr", "-n", "user.weir.policy", "-v", "slow", disk], check=True)
    subprocess.run(["setfattr", "-x", "user.weir.policy", disk], check=True)
    assert own(disk) is None


def test_links_and_special_files_take_none(both):
    os.mkfifo(both.in_mount("fifo"))
    os.symlink("fifo", both.in_mount("link"))
    for path in (both.in_mount("fifo"), both.in_mount("link")):
        try:
            os.setxattr(path, "trusted.weir.policy", b"slow", follow_symlinks=False)
        except OSError as error:
            assert error.errno in (errno.EINVAL, errno.EPERM)
        else:
            pytest.fail("a policy on " + path)


# ---- names that are never shown -------------------------------------------------------------

def test_nothing_is_listed(both):
    disk = make_disk(both.in_mount("d/a.img"))
    vmdk = make_vmdk(both.in_mount("d"), "vm1")
    for path in (disk, vmdk, both.in_mount("d"), both.path):
        attach(path, "slow")
        os.setxattr(path, "user.mine", b"1")
        assert [n for n in os.listxattr(path) if "weir" in n] == []
        assert "user.mine" in os.listxattr(path)
    assert any("weir" in name for name in os.listxattr(both.in_store("d", "a.img")))


@pytest.mark.parametrize("name", ("nonsense", "", "events.0", "policyx", "Policy", "statu"))
def test_unknown_names(both, name):
    """events are asked of the root only."""
    disk = make_disk(both.in_mount("a.img"))
    attach(disk, "watch")
    fails(errno.ENODATA, get, disk, name)


@pytest.mark.parametrize("name", ("nonsense", "status", "compliance", "stats", "plan.slow", "disk"))
def test_what_cannot_be_written(both, name):
    disk = make_disk(both.in_mount("a.img"))
    for space in ("user.weir.", "trusted.weir."):
        fails(errno.EPERM, os.setxattr, disk, space + name, b"x")
        fails(errno.EPERM, os.removexattr, disk, space + name)


def test_the_mark_is_out_of_reach(both):
    """trusted.weir.disk on the backing inode is the disk's identity; nobody sees or sets it."""
    disk = make_disk(both.in_mount("a.img"))
    attach(disk, "slow")
    fails(errno.ENODATA, os.getxattr, disk, "trusted.weir.disk")
    assert len(os.getxattr(both.in_store("a.img"), "trusted.weir.disk")) >= 16


# ---- what is refused ------------------------------------------------------------------------

@pytest.mark.parametrize("name", ("nonsense", "../slow", "/etc/passwd", ".slow", "a" * 64, "a" * 300,
                                  "slow\nfast", "sl\0ow", "sl ow", "sl\xe4w", "%n%s"))
def test_a_bad_name_changes_nothing(both, name):
    disk = make_disk(both.in_mount("a.img"))
    attach(disk, "watch")
    fails(errno.EINVAL, attach, disk, name)
    assert own(disk) == "watch" and status(disk)["stages"] == ["inspect"]
    assert len(refused(disk)) > 10
    attach(disk, "slow")
    assert refused(disk) is None        # a good change takes the sentence away


@pytest.mark.parametrize("text, word", [
    ("weir: 1\nname: bad\nversion: 1\nstages:\n  limt: {iops: 5}\n", "limt"),
    ("weir: 1\nname: bad\nversion: 1\nstages:\n  limit: {iops: lots}\n", "iops"),
    ("weir: 1\nname: other\nversion: 1\nstages: {}\n", "name"),
    ("weir: 9\nname: bad\nversion: 1\nstages: {}\n", "weir"),
    ("weir: [1\n", "bad.yaml"), ("", "bad.yaml"), ("\0\1\2", "bad.yaml")])
def test_a_broken_file_changes_nothing(both, text, word):
    both.policies.write_text("bad", text)
    disk = make_disk(both.in_mount("a.img"))
    for before in (None, "watch"):
        if before:
            attach(disk, before)
        fails(errno.EINVAL, attach, disk, "bad")
        assert own(disk) == before and word in refused(disk)
    assert get_json(disk, "plan.bad")["would"] == "fail"


def test_a_directory_says_why_it_was_refused(both):
    os.mkdir(both.in_mount("d"))
    fails(errno.EINVAL, attach, both.in_mount("d"), "nonsense")
    assert "nonsense" in refused(both.in_mount("d"))


# ---- the dry run ----------------------------------------------------------------------------

def test_a_plan_changes_nothing(both):
    disk = make_disk(both.in_mount("a.img"))
    plan = get_json(disk, "plan.slow")
    assert plan["would"] == "attach" and plan["expected"]["stages"]["limit"]["iops"] == 50
    assert own(disk) is None and not covered(disk)
    assert get_json(disk, "plan.")["would"] == "nothing"
    attach(disk, "slow")
    assert get_json(disk, "plan.slow")["would"] == "nothing"
    plan = get_json(disk, "plan.watch")
    assert plan["would"] == "replace" and plan["replaces"] == "slow"
    assert get_json(disk, "plan.")["would"] == "clear"
    assert get_json(disk, "plan.nonsense")["would"] == "fail"
    assert own(disk) == "slow" and status(disk)["stages"]


def test_a_plan_tells_who_holds_it(managed):
    weir = managed("passthrough=on")
    disk = make_disk(weir.in_mount("a.img"))
    with open(disk, "rb"):
        plan = get_json(disk, "plan.slow")
        if plan["way"] == "passthrough":
            assert plan["pending"] and os.getpid() in [h["pid"] for h in plan["holders"]]
        assert not get_json(disk, "plan.never")["pending"]
    assert own(disk) is None


# ---- directories ----------------------------------------------------------------------------

def test_a_directory_is_inherited_and_nearer_wins(both):
    one = make_disk(both.in_mount("d", "a.img"))
    two = make_disk(both.in_mount("d", "e", "b.img"))
    other = make_disk(both.in_mount("x", "c.img"))
    attach(both.in_mount("d"), "slow")
    assert covered(one) == covered(two) == ("slow", "d/") and covered(other) is None
    assert own(one) is None and status(one)["policy"]["inherited"]
    attach(both.in_mount("d", "e"), "watch")
    assert covered(one) == ("slow", "d/") and covered(two) == ("watch", "d/e/")
    future = make_disk(both.in_mount("d", "e", "f", "new.img"))
    assert covered(future) == ("watch", "d/e/")
    attach(two, "fast")
    assert covered(two) == ("fast", "d/e/b.img") and covered(future) == ("watch", "d/e/")
    clear(two)
    assert covered(two) == ("watch", "d/e/")
    clear(both.in_mount("d", "e"))
    assert covered(two) == covered(future) == ("slow", "d/")
    clear(both.in_mount("d"))
    assert not covered(two) and compliance(two) == "not-applicable"


def test_the_root_covers_all(both):
    disk = make_disk(both.in_mount("d", "e", "a.img"))
    attach(both.path, "watch")
    assert covered(disk)[0] == "watch" and own(both.path) == "watch"
    assert covered(make_disk(both.in_mount("new.img")))[0] == "watch"
    clear(both.path)
    assert not covered(disk)


def test_a_file_moved_between_directories(both):
    disk = make_disk(both.in_mount("d", "a.img"))
    attach(both.in_mount("d"), "watch")
    os.mkdir(both.in_mount("e"))
    os.rename(disk, both.in_mount("e", "a.img"))
    assert not covered(both.in_mount("e", "a.img"))
    os.rename(both.in_mount("e", "a.img"), disk)
    assert covered(disk) == ("watch", "d/")


# ---- VMs ------------------------------------------------------------------------------------

def test_a_vm_covers_its_disks(both):
    folder = both.in_mount("vm1")
    vmx = make_vmx(folder, "vm1", "vm1.vmdk", "data.vmdk")
    one, two = make_vmdk(folder, "vm1"), make_vmdk(folder, "data")
    nvram = make_disk(os.path.join(folder, "vm1.nvram"), 1)
    assert status(vmx)["kind"] == "vm"
    attach(vmx, "slow")
    assert own(vmx) == "slow"
    for path in (one, two, nvram, os.path.join(folder, "vm1-flat.vmdk"),
                 os.path.join(folder, "data-flat.vmdk")):
        assert covered(path) == ("slow", "vm1/vm1.vmx"), path
    new = make_disk(os.path.join(folder, "vm1.vswp"), 1)
    assert covered(new) == ("slow", "vm1/vm1.vmx")
    attach(one, "watch")
    assert covered(os.path.join(folder, "vm1-flat.vmdk")) == ("watch", "vm1/vm1.vmdk")
    assert covered(two) == ("slow", "vm1/vm1.vmx")
    clear(one)
    clear(vmx)
    assert not covered(one) and not covered(two)


def test_a_disk_goes_before_its_vm(both):
    """Whichever was attached first."""
    folder = both.in_mount("vm1")
    vmx = make_vmx(folder, "vm1", "vm1.vmdk")
    vmdk = make_vmdk(folder, "vm1")
    attach(vmdk, "watch")
    attach(vmx, "slow")
    assert covered(os.path.join(folder, "vm1-flat.vmdk")) == ("watch", "vm1/vm1.vmdk")


def test_a_vm_covers_its_disk_elsewhere(both):
    """The .vmx names it; its place and its own name say nothing."""
    make_vmdk(both.in_mount("data"), "big")
    other = make_vmdk(both.in_mount("data"), "other")
    vmx = make_vmx(both.in_mount("vm1"), "vm1", "../data/big.vmdk")
    attach(vmx, "slow")
    for name in ("big.vmdk", "big-flat.vmdk"):
        assert covered(both.in_mount("data", name)) == ("slow", "vm1/vm1.vmx")
    assert not covered(other)


def test_two_vms_in_one_directory(both):
    folder = both.in_mount("vms")
    for name, policy in (("web", "slow"), ("db", "watch")):
        vmx = make_vmx(folder, name, name + ".vmdk")
        make_vmdk(folder, name)
        attach(vmx, policy)
    assert covered(os.path.join(folder, "web-flat.vmdk")) == ("slow", "vms/web.vmx")
    assert covered(os.path.join(folder, "db-flat.vmdk")) == ("watch", "vms/db.vmx")


# ---- descriptors ----------------------------------------------------------------------------

def test_a_descriptor_covers_extents_and_snapshots(both):
    folder = both.in_mount("vm1")
    vmdk = make_vmdk(folder, "vm1")
    attach(vmdk, "slow")
    assert covered(os.path.join(folder, "vm1-flat.vmdk")) == ("slow", "vm1/vm1.vmdk")
    for name in ("vm1-000001-delta.vmdk", "vm1-000001.vmdk", "vm1-000002-sesparse.vmdk",
                 "vm1-ctk.vmdk"):
        new = make_disk(os.path.join(folder, name), 1)
        assert covered(new) == ("slow", "vm1/vm1.vmdk"), name
    other = make_disk(os.path.join(folder, "vm10-flat.vmdk"), 1)
    assert not covered(other)


def test_a_snapshot_by_its_descriptor(both):
    """Its name says nothing; its parent does."""
    folder = both.in_mount("vm1")
    vmdk = make_vmdk(folder, "vm1")
    attach(vmdk, "slow")
    snapshot = make_vmdk(folder, "elsewhere", parent="vm1.vmdk", parent_cid="12345678")
    status(snapshot)                    # it is recognised when it is looked at
    assert covered(snapshot) == ("slow", "vm1/vm1.vmdk")
    assert covered(os.path.join(folder, "elsewhere-flat.vmdk")) == ("slow", "vm1/vm1.vmdk")


def test_an_extent_with_a_strange_name(both):
    folder = both.in_mount("vm1")
    vmdk = make_vmdk(folder, "vm1")
    os.rename(os.path.join(folder, "vm1-flat.vmdk"), os.path.join(folder, "data.bin"))
    with open(vmdk, encoding="ascii") as f:
        text = f.read()
    with open(vmdk, "w", encoding="ascii") as f:
        f.write(text.replace("vm1-flat.vmdk", "data.bin"))
    attach(vmdk, "slow")
    assert covered(os.path.join(folder, "data.bin")) == ("slow", "vm1/vm1.vmdk")


def test_hard_links_do_not_cross_policies(both):
    disk = make_disk(both.in_mount("d", "a.img"))
    free = make_disk(both.in_mount("free.img"))
    os.mkdir(both.in_mount("e"))
    attach(both.in_mount("d"), "slow")
    fails(errno.EXDEV, os.link, disk, both.in_mount("out.img"))
    fails(errno.EXDEV, os.link, free, both.in_mount("d", "in.img"))
    attach(both.in_mount("e"), "watch")
    fails(errno.EXDEV, os.link, disk, both.in_mount("e", "b.img"))
    os.link(disk, both.in_mount("d", "b.img"))
    os.link(free, both.in_mount("free2.img"))
    attach(both.in_mount("e"), "slow")  # the same policy, attached twice
    os.link(disk, both.in_mount("e", "b.img"))
