# SPDX-License-Identifier: GPL-2.0-or-later
"""weir-recognise says what real and hand-made disks are, and what is wrong with broken ones."""
import os
import subprocess

import images
import pytest
from program import recognise, run

MIB = 1 << 20


@pytest.fixture
def seen(tmp_path):
    """Recognise bytes: seen(content) -> the JSON object."""
    def see(content):
        path = tmp_path / "file"
        path.write_bytes(content)
        return recognise(path)
    return see


# Real images

@pytest.mark.parametrize("subformat", ["monolithicFlat", "twoGbMaxExtentFlat",
                                       "twoGbMaxExtentSparse"])
def test_text_descriptors_of_qemu(tmp_path, subformat):
    got = recognise(images.vmdk(tmp_path / "d.vmdk", subformat))
    assert "problem" not in got
    assert got["type"] == "vmdk " + subformat
    assert got["descriptor"] is True and "embedded" not in got
    assert got["capacity"] == 8 * MIB and got["adapter"] == "lsilogic"
    assert len(got["cid"]) == 8 and "parent" not in got and "parent_cid" not in got
    assert got.get("sparse", False) == (subformat == "twoGbMaxExtentSparse")
    for extent in got["extents"]:
        assert (tmp_path / extent["file"]).exists() and "suspect" not in extent


@pytest.mark.parametrize("subformat", ["monolithicSparse", "streamOptimized"])
def test_embedded_descriptors_of_qemu(tmp_path, subformat):
    got = recognise(images.vmdk(tmp_path / "d.vmdk", subformat))
    assert "problem" not in got
    assert got["type"] == "vmdk " + subformat
    assert got["descriptor"] is False and got["embedded"] is True and got["sparse"] is True
    assert got["capacity"] == 8 * MIB and got["grain"] == 65536
    assert [e["type"] for e in got["extents"]] == ["SPARSE"]


def test_extents_of_qemu(tmp_path):
    images.vmdk(tmp_path / "f.vmdk", "monolithicFlat")
    images.vmdk(tmp_path / "s.vmdk", "twoGbMaxExtentSparse")
    assert recognise(tmp_path / "f-flat.vmdk")["type"] == "raw"
    got = recognise(tmp_path / "s-s001.vmdk")
    assert got == {"type": "vmdk sparseExtent", "descriptor": False, "capacity": 8 * MIB,
                   "grain": 65536, "sparse": True}


def test_several_extents(tmp_path):
    path = tmp_path / "d.vmdk"
    images.qemu(path, "vmdk", 5 << 30, "-o", "subformat=twoGbMaxExtentSparse")
    got = recognise(path)
    assert "problem" not in got and got["capacity"] == 5 << 30 and len(got["extents"]) == 3
    assert sum(e["sectors"] for e in got["extents"]) * 512 == 5 << 30


def test_a_snapshot_of_qemu_names_its_parent(tmp_path):
    images.vmdk(tmp_path / "base.vmdk", "monolithicSparse")
    subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", "-F", "vmdk", "-b", "base.vmdk",
                    "d.vmdk"], cwd=tmp_path, check=True)
    got = recognise(tmp_path / "d.vmdk")
    assert "problem" not in got and got["parent"] == "base.vmdk"
    assert got["parent_cid"] == recognise(tmp_path / "base.vmdk")["cid"]


@pytest.mark.parametrize("form,name", [("qcow2", "qcow2"), ("vhdx", "vhdx"), ("vdi", "vdi"),
                                       ("vpc", "vhd"), ("qed", "qed")])
def test_other_makes(tmp_path, form, name):
    options = ("-o", "force_size=on") if form == "vpc" else ()
    got = recognise(images.qemu(tmp_path / "d", form, 8 * MIB, *options))
    assert got["type"] == name and got["capacity"] == 8 * MIB
    assert "problem" not in got and got["sparse"] is True


def test_a_fixed_vhd_and_a_qcow2_with_parent(tmp_path):
    got = recognise(images.qemu(tmp_path / "f.vhd", "vpc", 8 * MIB, "-o",
                                "subformat=fixed,force_size=on"))
    assert got["type"] == "vhd" and "sparse" not in got
    images.qemu(tmp_path / "a.qcow2", "qcow2")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b",
                    str(tmp_path / "a.qcow2"), str(tmp_path / "b.qcow2")], check=True)
    got = recognise(tmp_path / "b.qcow2")
    assert got["parent"] == str(tmp_path / "a.qcow2") and got["parent_suspect"] is True


# Raw, and what is none

def test_raw_and_empty(tmp_path):
    assert recognise(images.raw(tmp_path / "r", MIB)) == {"type": "raw", "capacity": MIB}
    assert recognise(images.raw(tmp_path / "e", 0)) == {"type": "empty"}
    assert recognise(images.raw(tmp_path / "o", 513)) == {"type": "other"}
    assert recognise(images.raw(tmp_path / "s", 511)) == {"type": "other"}


@pytest.mark.parametrize("word,at,magic", [
    ("mbr", 510, b"\x55\xaa"), ("gpt", 512, b"EFI PART"), ("ext", 1080, b"\x53\xef"),
    ("xfs", 0, b"XFSB"), ("btrfs", 65600, b"_BHRfS_M"), ("ntfs", 3, b"NTFS    "),
    ("luks", 0, b"LUKS\xba\xbe"), ("swap", 4086, b"SWAPSPACE2"), ("lvm", 512, b"LABELONE")])
def test_raw_with_a_signature(tmp_path, word, at, magic):
    got = recognise(images.raw(tmp_path / "r", MIB, bytes(at) + magic))
    assert got == {"type": "raw", "capacity": MIB, "bootable": True, "signature": word}


def test_real_filesystem(tmp_path):
    path = images.raw(tmp_path / "r", 8 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(path)], check=True)
    assert recognise(path)["signature"] == "ext"


def test_iso_tar_ova_text(tmp_path, seen):
    assert recognise(images.raw(tmp_path / "i", MIB, bytes(32769) + b"CD001"))["type"] == "iso9660"
    tar = b"vm1.ovf".ljust(257, b"\0") + b"ustar"
    assert seen(tar.ljust(10240, b"\0"))["type"] == "ova"
    assert seen((b"x.txt" + tar[5:]).ljust(10240, b"\0"))["type"] == "tar"
    assert seen(b"hello\n") == {"type": "text"}
    assert seen(b"line\n" * 200000)["type"] == "text"
    assert seen("grüße\n".encode("latin-1")) == {"type": "text"}


# Descriptors and headers of ESXi, which qemu-img cannot write

def test_vmfs(seen):
    got = seen(images.vmfs_descriptor_bytes())
    assert got == {"type": "vmdk vmfs", "descriptor": True, "capacity": 8 * MIB, "cid": "5a18e6fc",
                   "adapter": "lsilogic", "extents": [
                       {"access": "RW", "sectors": 16384, "type": "VMFS", "file": "vm1-flat.vmdk"}]}


@pytest.mark.parametrize("maker,kind,word", [
    (images.vmfs_sparse_descriptor_bytes, "vmfsSparse", "VMFSSPARSE"),
    (images.se_sparse_descriptor_bytes, "seSparse", "SESPARSE")])
def test_snapshot_descriptors(seen, maker, kind, word):
    got = seen(maker())
    assert "problem" not in got
    assert got["type"] == "vmdk " + kind and got["sparse"] is True and got["descriptor"] is True
    assert got["parent"] == "vm1.vmdk" and got["parent_cid"] == "5a18e6fc"
    assert got["extents"][0]["type"] == word


def test_delta_extents(seen):
    assert seen(images.cowd_bytes()) == {"type": "vmdk vmfsSparse", "descriptor": False,
                                         "capacity": 8 * MIB, "grain": 512, "sparse": True}
    assert seen(images.se_sparse_bytes()) == {"type": "vmdk seSparse", "descriptor": False,
                                              "capacity": 8 * MIB, "grain": 4096, "sparse": True}


@pytest.mark.parametrize("kind,line", [
    ("fullDevice", 'RW 100 FLAT "sda" 0'), ("partitionedDevice", 'RW 100 FLAT "sda1" 63'),
    ("vmfsRaw", 'RW 100 VMFSRAW "raw"'), ("vmfsRDM", 'RW 100 VMFSRDM "vm1-rdm.vmdk"'),
    ("vmfsRawDeviceMap", 'RW 100 VMFSRDM "vm1-rdm.vmdk"'),
    ("vmfsPassthroughRawDeviceMap", 'RW 100 VMFSRDM "vm1-rdmp.vmdk"'),
    ("custom", 'RW 100 SPARSE "x.vmdk"'), ("vmfsThin", 'RW 100 VMFS "vm1-flat.vmdk"'),
    ("vmfsEagerZeroedThick", 'RW 100 VMFS "vm1-flat.vmdk"')])
def test_other_create_types(seen, kind, line):
    got = seen(images.descriptor_bytes(kind, [line]))
    assert got["type"] == "vmdk " + kind and got["descriptor"] is True
    assert got["capacity"] == 51200


def test_line_ends_and_case(seen):
    text = images.descriptor_bytes().replace(b"\n", b"\r\n").replace(b"createType", b"CREATETYPE")
    got = seen(text)
    assert got["type"] == "vmdk monolithicFlat" and "problem" not in got


def test_zero_extents(seen):
    got = seen(images.descriptor_bytes("twoGbMaxExtentFlat", [
        'RW 2048 FLAT "d-f001.vmdk" 0', "RW 2048 ZERO"]))
    assert got["capacity"] == 2 * MIB and "file" not in got["extents"][1]
    assert "problem" not in got


def test_names_come_out_as_bytes(seen):
    got = seen(images.descriptor_bytes(extents=['RW 8 FLAT "grüße 100%.vmdk" 0']))
    assert got["extents"][0]["file"] == "grüße 100%.vmdk" and "escaped" not in got["extents"][0]
    got = seen(images.descriptor_bytes(extents=['RW 8 FLAT "gr\udcfc\udcdfe 100%.vmdk" 0']))
    assert got["extents"][0]["file"] == "gr%FC%DFe 100%25.vmdk"
    assert got["extents"][0]["escaped"] is True


# Configurations

def test_vmx(seen):
    got = seen(images.vmx_bytes(["vm1.vmdk", "vm1_1.vmdk"], name="my |22VM|22", extra=[
        'ide0:0.fileName = "/vmfs/volumes/iso/x.iso"', 'ide0:0.deviceType = "cdrom-image"',
        'ide1:0.fileName = "auto detect"', 'ide1:0.deviceType = "atapi-cdrom"',
        'scsi0:9.fileName = "gone.vmdk"', 'scsi0:9.present = "FALSE"',
        'sched.swap.derivedName = "vm1-1234.vswp"', 'extendedConfigFile = "vm1.vmxf"',
        'serial0.fileName = "/dev/ttyS0"', 'serial0.fileType = "device"',
        'serial1.fileName = "vm1.log"', 'serial1.fileType = "file"']))
    assert got == {"type": "vmx", "name": 'my "VM"', "disks": ["vm1.vmdk", "vm1_1.vmdk"],
                   "files": ["vm1.nvram", "/vmfs/volumes/iso/x.iso", "vm1-1234.vswp", "vm1.vmxf",
                             "vm1.log"],
                   "suspect": True}


def test_vmsd(seen):
    got = seen(images.vmsd_bytes(["vm1.vmdk", "vm1_1.vmdk"]))
    assert got == {"type": "vmsd", "disks": ["vm1.vmdk", "vm1_1.vmdk"],
                   "files": ["vm1-Snapshot1.vmsn"]}


def test_vmx_names_that_are_not_utf8(seen):
    got = seen(images.vmx_bytes(["gr\udcfc 5%.vmdk"]))
    assert got["disks"] == ["gr%FC 5%25.vmdk"] and got["escaped"] is True


def test_vmx_with_too_many_devices_answers_in_time(seen):
    extra = [f'scsi{i}:0.fileName = "d{i}.vmdk"' for i in range(6000)]
    got = seen(images.vmx_bytes(extra=extra))
    assert "devices" in got["problem"] and len(got["disks"]) <= 512


# The program

def test_only_regular_files():
    with subprocess.Popen(["true"], stdout=subprocess.PIPE) as pipe:
        from program import PROGRAM
        done = subprocess.run([PROGRAM], stdin=pipe.stdout, capture_output=True, check=False)
    assert done.returncode == 1 and done.stdout == b"" and b"regular file" in done.stderr


def test_the_offset_of_the_descriptor_is_left_alone(tmp_path):
    path = tmp_path / "d"
    path.write_bytes(images.descriptor_bytes())
    with open(path, "rb") as f:
        f.seek(100)
        from program import PROGRAM
        done = subprocess.run([PROGRAM], stdin=f, capture_output=True, check=True)
        assert os.lseek(f.fileno(), 0, os.SEEK_CUR) == 100
    assert b"monolithicFlat" in done.stdout


def test_output_that_cannot_be_written_is_a_failure(tmp_path):
    path = tmp_path / "d"
    path.write_bytes(images.descriptor_bytes())
    with open(path, "rb") as f, open("/dev/full", "wb") as full:
        from program import PROGRAM
        done = subprocess.run([PROGRAM], stdin=f, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1 and b"No space" in done.stderr
    assert run(path).returncode == 0
