# SPDX-License-Identifier: GPL-2.0-or-later
"""Broken, truncated and hostile files: always an answer, with the problem named."""
import itertools
import struct

import images
import pytest
from program import recognise

D = images.descriptor_bytes


@pytest.fixture
def seen(tmp_path):
    def see(content):
        path = tmp_path / "file"
        path.write_bytes(content)
        return recognise(path)
    return see


@pytest.mark.parametrize("name", [
    "/etc/shadow", "../other/disk-flat.vmdk", "a/../../b", "/dev/sda", "nbd://host/export",
    "json:{\\file", "http://evil/x", "file:/etc/passwd", "C:\\disk", "\\\\.\\PhysicalDrive0",
    "..", ".", "", "sub//x", "a/", "x" * 256, "sub/" + "x" * 256])
def test_suspect_names(seen, name):
    got = seen(D(extents=[f'RW 16384 FLAT "{name}" 0']))
    assert got["descriptor"] is True and got["problem"]
    assert got["extents"][0]["suspect"] is True
    assert got["extents"][0].get("file", name) == name


@pytest.mark.parametrize("name", ["d-flat.vmdk", "sub/d.vmdk", "..d", "d..", "x" * 255,
                                  "a b c.vmdk", 'q"uote', "ünïcode", "50%.vmdk"])
def test_names_that_are_none(seen, name):
    got = seen(D(extents=[f'RW 16384 FLAT "{name}" 0']))
    assert "problem" not in got and "suspect" not in got["extents"][0]
    assert got["extents"][0]["file"] == name


@pytest.mark.parametrize("text,descriptor", [
    (D(create_type=None), False),                                   # no createType
    (D(cid=None), False),                                           # no CID
    (D(extents=[]), False),                                         # no extent
    (D(extents=['RW 16384 FLAT "d" 0', "some prose"]), False),      # a line that is neither
    (D(extents=['RW -1 FLAT "d" 0']), False),
    (D(extents=['RW 99999999999999999999 FLAT "d" 0']), False),
    (D(extents=['RW 1 FL/AT "d" 0']), False),
    (D(extents=['RW 1 FLAT "d" zero']), False),
    (D() + b"\0" * 513, False), (D() + b"\0\n", False),
    (D().replace(b"version=1", b"ver\0ion=1"), False),
    (D().replace(b"version=1", b"ver\x01ion=1"), False),
    (b"# Disk DescriptorFile", False),
    (b"# Disk DescriptorFile\n" * 3000, False),
    (D(create_type="monolithicWhatever"), True),
    (D(create_type="vmfsSparse"), True),                            # but its extent is FLAT
    (D(cid="xyz"), True), (D(cid="123456789"), True),
    (D(parent_cid="nope"), True), (D(parent_cid="12345678"), True),
    (D(parent="base.vmdk"), True),                                  # but parentCID=ffffffff
    (D(extra=["CID=00000001"]), True), (D(extra=['createType="vmfs"']), True),
    (D(extra=['ddb.adapterType = "ide"']), True), (D(adapter="\udcff"), True),
    (D(adapter="x" * 60), True), (D(extents=['RW 18446744073709551615 FLAT "d" 0'] * 2), True),
    (D(extents=['RW 0 FLAT "d" 0']), True),
    (D(extents=["RW 5 FLAT"]), True),
    (D(extents=['RW 5 STRANGE "d"']), True),
    (D(extents=['RW 18014398509481984 FLAT "d" 0']), True),         # 2^63 bytes
    (D(extents=['RW 18446744073709551615 FLAT "d" 0']), True),
    (D(extents=['RW 9007199254740993 FLAT "d" 0'] * 2), True),      # the sum is too large
    (D(extents=['RW 9007199254740993 FLAT "d" 18014398509481983']), True),
], ids=itertools.count())
def test_descriptors_with_a_problem(seen, text, descriptor):
    got = seen(text)
    assert got["problem"] and got["descriptor"] is descriptor
    assert descriptor or (got["type"] in ("text", "other", "raw") and "extents" not in got)


def test_a_size_just_below_the_limit(seen):
    got = seen(D(extents=['RW 18014398509481983 FLAT "d" 0']))
    assert got["capacity"] == (1 << 63) - 512 and "problem" not in got


def test_extents_without_end(seen, tmp_path):
    line = 'RW 1 FLAT "d" 0'
    got = seen(D(extents=[line] * 1000))
    assert len(got["extents"]) == 1000 and "problem" not in got
    got = seen(D("twoGbMaxExtentFlat", ["RW 1 ZERO"] * 4097))
    assert len(got["extents"]) == 4096 and "4096" in got["problem"]
    got = seen(D(extents=[line] * 1000000))
    assert got["descriptor"] is False and "64 KiB" in got["problem"] and "extents" not in got


def test_just_over_64_kib(seen):
    text = D()
    fits = text + b"#" * (65536 - len(text) - 1) + b"\n"
    assert seen(fits)["descriptor"] is True
    assert seen(b"#".join([fits, b""]))["descriptor"] is False


def test_long_lines(seen):
    assert seen(b"# Disk DescriptorFile" + b"x" * 10000000)["descriptor"] is False
    assert seen(b"# Disk DescriptorFile\nCID=" + b"1" * 60000 + b"\n")["descriptor"] is False
    assert seen(b"A" * 10000001)["type"] == "text"


def test_a_guest_writes_magic_to_its_raw_disk(tmp_path):
    """The beginning of a larger disk is never a descriptor, whatever the guest wrote."""
    got = recognise(images.raw(tmp_path / "r", 1 << 20, D(extents=['RW 1 FLAT "/etc/shadow" 0'])))
    assert got["type"] == "raw" and got["descriptor"] is False and "extents" not in got
    got = recognise(images.raw(tmp_path / "s", 65536, D()))
    assert got["type"] == "raw" and got["descriptor"] is False and "extents" not in got


def test_parents(seen):
    def child(name):
        return seen(images.vmfs_sparse_descriptor_bytes(parent=name))
    assert child("/vmfs/volumes/ds/b.vmdk")["parent_suspect"] is True
    assert child("../b/b.vmdk")["parent_suspect"] is True
    assert "parent_suspect" not in child("b/b.vmdk")
    assert child("gr\udcfc.vmdk")["parent_escaped"] is True
    got = child("x/" * 600 + "x")
    assert "parent" not in got and got["parent_suspect"] is True and got["problem"]
    itself = images.vmfs_sparse_descriptor_bytes(parent="file", parent_cid="0badcafe")
    assert seen(itself)["parent"] == "file"     # cycles are the daemon's to see


H = images.hosted_sparse_bytes
SELF = D("monolithicSparse", ['RW 16384 SPARSE "self.vmdk"'])


@pytest.mark.parametrize("content", [
    H(grain=0), H(grain=3), H(grain=1 << 19), H(grain=1 << 63), H(version=9),
    H(capacity=1 << 55), H(capacity=(1 << 64) - 1), H(table_entries=0), H(table_entries=1 << 31),
    H(directory_at=1 << 40), H(directory_at=1 << 63), H(directory_at=(1 << 64) - 1),
    H(overhead=1 << 60), H(size=512), H(descriptor_sectors=1 << 40), H(descriptor_at=1 << 50),
    H(descriptor_at=2**64 - 1, descriptor_sectors=2**64 - 1),
    H(descriptor=b"some other text"), H(descriptor=b"# Disk DescriptorFile\nbroken\n"),
    H(descriptor=SELF, capacity=32768), H(descriptor=SELF, flags=0x30003),
    H(descriptor=SELF.replace(b"monolithicSparse", b"streamOptimized")),
    H(descriptor=SELF).replace(b"\n \r\n", b"\r\n\r\n"),
    images.cowd_bytes(grain=0), images.cowd_bytes(grain=3), images.cowd_bytes(version=2),
    images.cowd_bytes(size=1000), images.cowd_bytes(entries=1 << 31),
    images.cowd_bytes(capacity=1 << 31, entries=1),
    images.se_sparse_bytes(grain=0), images.se_sparse_bytes(grain=1 << 50),
    images.se_sparse_bytes(capacity=1 << 62), images.se_sparse_bytes(version=1),
    images.se_sparse_bytes(table=0), images.se_sparse_bytes(size=4096),
    images.se_sparse_bytes(areas=[(1 << 62, 1 << 62)] * 7),
], ids=itertools.count())
def test_sparse_headers_with_a_problem(seen, content):
    got = seen(content)
    assert got["problem"] and got["type"].startswith("vmdk ") and got["descriptor"] is False


def test_a_good_hosted_sparse_header_has_none(seen):
    got = seen(H(descriptor=SELF))
    assert "problem" not in got and got["embedded"] is True


@pytest.mark.parametrize("length", [4, 32, 63, 511, 512, 513, 600, 1000, 4096, 11000])
@pytest.mark.parametrize("subformat", images.VMDK_SUBFORMATS[1::3] + ("streamOptimized",))
def test_truncated_vmdk(tmp_path, subformat, length):
    path = images.vmdk(tmp_path / "d.vmdk", subformat)
    with open(path, "r+b") as f:
        f.truncate(length)
    got = recognise(path)
    assert got["type"] in ("other", "text") or got["problem"]


@pytest.mark.parametrize("form", ["qcow2", "vhdx", "vdi", "qed", "vpc"])
@pytest.mark.parametrize("length", [8, 100, 512, 1024, 70000, 200000])
def test_truncated_others(tmp_path, form, length):
    path = images.qemu(tmp_path / "d", form)
    with open(path, "r+b") as f:
        f.truncate(length)
    recognise(path)


def test_qcow2_with_absurd_fields(tmp_path, seen):
    good = images.qemu(tmp_path / "q", "qcow2").read_bytes()

    def patched(at, form, value):
        return seen(good[:at] + struct.pack(form, value) + good[at + struct.calcsize(form):])
    assert patched(20, ">I", 63)["problem"]
    assert patched(24, ">Q", 1 << 63)["problem"]
    assert patched(4, ">I", 7)["problem"]
    assert patched(40, ">Q", 1 << 62)["problem"]
    assert patched(72, ">Q", 4)["problem"]
    assert patched(8, ">Q", 1 << 62)["type"] == "qcow2"


def test_a_parent_with_nul_is_escaped(tmp_path, seen):
    good = bytearray(images.qemu(tmp_path / "q", "qcow2").read_bytes())
    good[8:20] = struct.pack(">QI", 0x300, 5)
    good[0x300:0x305] = b"a\0b%c"
    got = seen(bytes(good))
    assert got["parent"] == "a%00b%25c" and got["parent_escaped"] and got["parent_suspect"]


# What libvmdk reads differently from us

@pytest.mark.parametrize("text", [
    # behind the disk database libvmdk looks for no extents
    D() + b'RW 16384 FLAT "second-flat.vmdk" 0\n',
    # in front of the extents' section it looks for none, either
    D().replace(b"CID=5a", b'RW 16384 FLAT "first-flat.vmdk" 0\nCID=5a', 1),
    # it splits an extent at each single blank
    D(extents=['RW  16384 FLAT "d-flat.vmdk" 0']),
], ids=itertools.count())
def test_two_readings(seen, text):
    got = seen(text)
    assert got["descriptor"] is True and "libvmdk" in got["problem"]


def test_no_second_reading_without_sections(seen):
    """libvmdk needs two comments that hand-written descriptors often lack: that is no problem."""
    text = b"\n".join(line for line in D().split(b"\n") if not line.startswith((b"# Ext", b"# The")))
    got = seen(text)
    assert got["descriptor"] is True and "problem" not in got
