# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks as status shows them: descriptor, extents and parents as one, whatever wrote them."""
import os

import pytest

import disks
from disks import SIZE, images, status

pytestmark = pytest.mark.usefixtures("only_weir")


@pytest.mark.parametrize("subformat", images.VMDK_SUBFORMATS)
def test_a_vmdk_that_qemu_writes_through_the_mount_is_one_disk(weir, subformat):
    path = images.vmdk(weir.in_mount("disk.vmdk"), subformat)
    disk = disks.disk(path)
    assert disk["type"] == "vmdk " + subformat
    assert disk["capacity"] == SIZE
    assert disk["adapter"] == "lsilogic"
    assert "problem" not in disk
    assert sum(e["size"] for e in disk["extents"]) == SIZE
    assert {e["state"] for e in disk["extents"]} == {"ok"}
    assert status(path)["kind"] == "disk"


@pytest.mark.parametrize("form", ("qcow2", "vhdx", "vdi"))
def test_other_formats_are_named_for_what_they_are(weir, form):
    disk = disks.disk(images.qemu(weir.in_mount("disk"), form))
    assert (disk["type"], disk["capacity"]) == (form, SIZE)
    assert "problem" not in disk


def test_what_vsphere_writes_is_recognised(weir):
    disks.write(weir.in_store("a", "vm1-flat.vmdk"), size=SIZE)
    disks.write(weir.in_store("a", "vm1.vmdk"), images.vmfs_descriptor_bytes())
    disk = disks.disk(weir.in_mount("a", "vm1.vmdk"))
    assert disk["type"] == "vmdk vmfs"
    assert disk["extents"] == [{"file": "vm1-flat.vmdk", "type": "VMFS", "size": SIZE,
                                "state": "ok"}]
    assert disks.disk(weir.in_mount("a", "vm1-flat.vmdk"))["type"] == "raw"


def test_a_snapshot_that_qemu_makes_shows_its_chain(weir):
    base = images.qemu(weir.in_mount("base.vmdk"), "vmdk")
    os.mkdir(weir.in_mount("clone"))
    for name, parent in (("clone/one.vmdk", "../base.vmdk"), ("clone/two.vmdk", "one.vmdk")):
        images.qemu_img("create", "-f", "vmdk", "-F", "vmdk", "-b", parent, weir.in_mount(name))
    disk = disks.disk(weir.in_mount("clone/two.vmdk"))
    assert disk["parent"] == "one.vmdk"
    assert disk["chain"] == ["one.vmdk", "base.vmdk"]
    assert "problem" not in disk
    assert "chain" not in disks.disk(base)


def test_a_qcow2_on_a_raw_base_shows_its_chain(weir):
    images.raw(weir.in_mount("base.raw"))
    images.qemu_img("create", "-f", "qcow2", "-F", "raw", "-b", "base.raw",
                    weir.in_mount("top.qcow2"))
    assert disks.disk(weir.in_mount("top.qcow2"))["chain"] == ["base.raw"]


def test_the_names_stay_right_after_a_move(weir):
    os.mkdir(weir.in_mount("a"))
    path = disks.chain(weir.in_mount("a"), ["base", "snap"])
    assert "problem" not in disks.disk(path)
    os.rename(weir.in_mount("a"), weir.in_mount("b"))
    disk = disks.disk(weir.in_mount("b", "snap.vmdk"))
    assert disk["chain"] == ["base.vmdk"] and "problem" not in disk
    os.rename(weir.in_mount("b", "snap.vmdk"), weir.in_mount("snap.vmdk"))
    assert "missing" in disks.disk(weir.in_mount("snap.vmdk"))["problem"]


def test_what_is_seen_while_a_disk_is_made_is_not_remembered(weir):
    with open(images.qemu(os.path.join(weir.directory, "made"), "qcow2"), "rb") as f:
        content = f.read()
    path = weir.in_mount("disk")
    with open(path, "wb"):
        pass                                    # as qemu-img: made, closed, opened again
    with open(path, "r+b", buffering=0) as f:
        f.truncate(len(content) // 512 * 512)
        assert disks.disk(path)["type"] == "raw"
        f.write(content)
    assert disks.disk(path)["type"] == "qcow2"


# ---- broken ---------------------------------------------------------------------------------

def test_a_missing_extent_is_said(weir):
    path = disks.flat(weir.in_store(), "d", size=None)
    disk = disks.disk(weir.in_mount("d.vmdk"))
    assert disk["extents"][0]["state"] == "missing"
    assert "d-flat.vmdk" in disk["problem"]
    disks.write(weir.in_store("d-flat.vmdk"), size=SIZE)
    assert "problem" not in disks.disk(weir.in_mount(os.path.basename(path)))


def test_a_short_extent_is_said(weir):
    disks.flat(weir.in_store(), "d", size=SIZE - 512)
    disk = disks.disk(weir.in_mount("d.vmdk"))
    assert disk["extents"][0]["state"] == "ok"
    assert "shorter" in disk["problem"]


def test_a_parent_that_changed_after_the_snapshot_is_said(weir):
    disks.flat(weir.in_store(), "base", cid="aaaaaaaa")
    disks.flat(weir.in_store(), "snap", parent="base.vmdk", parent_cid="bbbbbbbb")
    problem = disks.disk(weir.in_mount("snap.vmdk"))["problem"]
    assert "aaaaaaaa" in problem and "bbbbbbbb" in problem


def test_a_missing_parent_is_said(weir):
    disks.flat(weir.in_store(), "snap", parent="gone.vmdk")
    disk = disks.disk(weir.in_mount("snap.vmdk"))
    assert "gone.vmdk is missing" in disk["problem"]
    assert disk["parent"] == "gone.vmdk" and "chain" not in disk


@pytest.mark.parametrize("names", (["a"], ["a", "b"], ["a", "b", "c"]))
def test_a_chain_that_comes_back_ends(weir, names):
    for i, name in enumerate(names):
        disks.flat(weir.in_store(), name, cid="22222222", parent=names[i - 1] + ".vmdk")
    for name in names:
        disk = disks.disk(weir.in_mount(name + ".vmdk"))
        assert "comes back" in disk["problem"]
        assert len(disk.get("chain", [])) == len(names) - 1


def test_a_chain_has_an_end(weir):
    names = ["d%d" % i for i in range(67)]
    disks.chain(weir.in_store(), names)
    disk = disks.disk(weir.in_mount("d64.vmdk"))
    assert len(disk["chain"]) == 64 and "problem" not in disk
    disk = disks.disk(weir.in_mount("d66.vmdk"))
    assert len(disk["chain"]) == 64 and "longer than 64" in disk["problem"]


def test_a_disk_of_very_many_extents_has_a_status(weir):
    extents = ['RW 1 FLAT "%s-%04d.vmdk" 0' % ("x" * 200, i) for i in range(250)]
    disks.write(weir.in_store("d.vmdk"), images.descriptor_bytes("twoGbMaxExtentFlat", extents))
    for _ in range(2):                              # seen, and remembered
        disk = disks.disk(weir.in_mount("d.vmdk"))
        assert disk["extents_count"] == 250 and len(disk["extents"]) == 64
        assert "missing" in disk["problem"]


# ---- VMs ------------------------------------------------------------------------------------

def test_a_vm_names_its_disks_and_files(weir):
    disks.chain(weir.in_store("vm1"), ["vm1", "vm1-000001"])
    disks.write(weir.in_store("vm1", "vm1.nvram"), b"nvram")
    disks.write(weir.in_store("vm1", "vm1.vmx"), images.vmx_bytes(["vm1-000001.vmdk"]))
    now = status(weir.in_mount("vm1", "vm1.vmx"))
    assert now["kind"] == "vm"
    assert now["vm"]["name"] == "vm1"
    assert now["vm"]["disks"] == ["vm1-000001.vmdk"]
    assert "problem" not in now["vm"]


@pytest.mark.parametrize("name, word", (("/vmfs/volumes/a/d.vmdk", "absolute"),
                                        ("../../d.vmdk", "outside"), ("gone.vmdk", "missing"),
                                        ("../.weir/datastore", "weir's own")))
def test_a_vm_with_a_disk_that_cannot_be_says_so(weir, name, word):
    disks.write(weir.in_store("vm1", "vm1.vmx"), images.vmx_bytes([name]))
    assert word in status(weir.in_mount("vm1", "vm1.vmx"))["vm"]["problem"]
