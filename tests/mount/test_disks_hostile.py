# SPDX-License-Identifier: GPL-2.0-or-later
"""Descriptors that somebody wrote to reach what is not theirs: reported, never followed."""
import os
import random
import re
import signal
import subprocess
import time

import pytest

import disks
from disks import SECTORS, SIZE, images

pytestmark = pytest.mark.usefixtures("only_weir")

NAMES = (("/etc/passwd", "absolute"), ("/dev/sda", "absolute"), ("../outside.img", ".."),
         ("vm/../../outside.img", ".."), ("http://host/disk.vmdk", "URL"),
         ("json:{\\\"driver\\\":\\\"nbd\\\"}", None), ("nbd:unix:/run/x", "URL"),
         ("C:\\\\disk.vmdk", None), ("..\\\\disk.vmdk", None), ("link", "symbolic link"),
         ("linked/outside.img", "symbolic link"), (".weir/datastore", "weir's own"),
         ("./.weir//datastore", "weir's own"), ("fifo", "regular"), ("device", "device"),
         ("folder", "directory"), ("d.vmdk", "itself"), ("%d/" * 40 % tuple(range(40)), None),
         ("x" * 300, None), (".", None), ("proc/self/mem", None))


def hostile_store(weir):
    """A datastore with traps in it; returns the path of the file outside it."""
    outside = disks.write(os.path.join(weir.directory, "outside.img"), b"secret", SIZE)
    os.symlink(outside, weir.in_store("link"))
    os.symlink(os.path.dirname(outside), weir.in_store("linked"))
    os.symlink("/proc", weir.in_store("proc"))
    os.mkfifo(weir.in_store("fifo"))
    os.mknod(weir.in_store("device"), 0o600 | 0o020000, os.makedev(1, 3))
    os.mkdir(weir.in_store("folder"))
    return outside


def alive(weir):
    assert weir.process.poll() is None
    with open(weir.in_mount("still-here"), "wb") as f:
        f.write(b"yes")


@pytest.mark.parametrize("name, word", NAMES)
def test_an_extent_is_refused(mounted, name, word):
    weir = mounted(backing="dir")
    hostile_store(weir)
    disks.write(weir.in_store("d.vmdk"), images.descriptor_bytes(
        "monolithicFlat", ['RW %d FLAT "%s" 0' % (SECTORS, name)]))
    disk = disks.disk(weir.in_mount("d.vmdk"))
    assert disk["problem"]
    for extent in disk.get("extents", []):
        assert extent["state"] == ("refused" if word else extent["state"]) != "ok"
        assert not word or word in extent["why"]
    alive(weir)


@pytest.mark.parametrize("name, word", NAMES)
def test_a_parent_is_refused(mounted, name, word):
    weir = mounted(backing="dir")
    hostile_store(weir)
    disks.flat(weir.in_store(), "d", parent=name)
    disk = disks.disk(weir.in_mount("d.vmdk"))
    assert disk["problem"] and "chain" not in disk
    alive(weir)


def test_a_parent_may_lie_beside_but_not_outside(mounted):
    weir = mounted(backing="dir")
    hostile_store(weir)
    disks.flat(weir.in_store("base"), "base", cid="22222222")
    disks.flat(weir.in_store("vm", "deep"), "d", parent="../../base/base.vmdk")
    disk = disks.disk(weir.in_mount("vm", "deep", "d.vmdk"))
    assert disk["chain"] == ["base/base.vmdk"] and "problem" not in disk
    disks.flat(weir.in_store("vm", "deep"), "e", parent="../../../outside.img")
    assert "outside" in disks.disk(weir.in_mount("vm", "deep", "e.vmdk"))["problem"]


@pytest.mark.parametrize("content", (
    b"# Disk DescriptorFile\n" + b"\0" * 3000,
    images.descriptor_bytes(extents=['RW 18446744073709551615 FLAT "f" 18446744073709551615']),
    images.descriptor_bytes(extents=['RW 16384 FLAT "a\0b" 0']),
    images.descriptor_bytes(extents=['RW 16384 FLAT "\udcff\udcfe%00" 0']),
    images.descriptor_bytes(extents=['RW 1 FLAT "f" 0'] * 3000),
    images.descriptor_bytes(extents=[]), images.descriptor_bytes(parent="%2e%2e/x"),
    images.descriptor_bytes(cid="zz", parent_cid="\udcff"),
    images.hosted_sparse_bytes(capacity=1 << 62), images.cowd_bytes(entries=0xffffffff),
), ids=range(10))
def test_a_broken_descriptor_does_no_harm(mounted, content):
    weir = mounted(backing="dir")
    disks.write(weir.in_store("d.vmdk"), content)
    for _ in range(2):
        assert disks.disk(weir.in_mount("d.vmdk"))["problem"]
    alive(weir)


def test_a_name_of_any_bytes_is_found(mounted):
    weir = mounted(backing="dir")
    name = b"d\xff%41-flat.vmdk"
    with open(os.path.join(os.fsencode(weir.store), name), "wb") as f:
        f.truncate(SIZE)
    disks.write(weir.in_store("d.vmdk"), images.descriptor_bytes(
        extents=['RW %d FLAT "%s" 0' % (SECTORS, os.fsdecode(name))]))
    assert disks.disk(weir.in_mount("d.vmdk"))["extents"][0]["state"] == "ok"


def test_random_damage_does_no_harm(mounted, request):
    weir = mounted(backing="dir")
    hostile_store(weir)
    dice = random.Random(request.config.getoption("--weir-seed"))
    disks.chain(weir.in_store(), ["base", "snap"])
    with open(weir.in_store("snap.vmdk"), "rb") as f:
        good = f.read()
    for _ in range(60):
        bad = bytearray(good)
        for _ in range(dice.randint(1, 8)):
            bad[dice.randrange(len(bad))] = dice.choice(b"\0\xff/.\"\n =%9")
        disks.write(weir.in_store("snap.vmdk"), bytes(bad))
        assert disks.status(weir.in_mount("snap.vmdk"))["kind"] in ("disk", "file")
    alive(weir)


class Trace:
    """strace of a worker, its broker and its helpers: what they open."""

    def __init__(self, weir):
        self.file = os.path.join(weir.directory, "trace")
        self.process = subprocess.Popen(
            ["strace", "-f", "-qq", "-s", "4096", "-o", self.file, "-p", str(weir.worker()),
             "-p", str(weir.broker()), "-e", "trace=open,openat,openat2,open_by_handle_at,execve,mmap"],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        end = time.monotonic() + 10
        while time.monotonic() < end and not self.traced(weir):
            assert self.process.poll() is None, self.process.stderr.read()
            time.sleep(0.02)

    def traced(self, weir):
        with open("/proc/%d/status" % weir.worker(), encoding="ascii") as f:
            return "TracerPid:\t%d\n" % self.process.pid in f.read()

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(10)
        self.process.stderr.close()
        with open(self.file, encoding="utf-8", errors="replace") as f:
            return f.read()


def test_nothing_outside_is_opened(mounted):
    weir = mounted(backing="dir")
    hostile_store(weir)
    for i, (name, _) in enumerate(NAMES):
        disks.write(weir.in_store("e%d.vmdk" % i), images.descriptor_bytes(
            "monolithicFlat", ['RW %d FLAT "%s" 0' % (SECTORS, name)]))
        disks.flat(weir.in_store(), "p%d" % i, parent=name)
    trace = Trace(weir)
    for i in range(len(NAMES)):
        disks.disk(weir.in_mount("e%d.vmdk" % i))
        disks.disk(weir.in_mount("p%d.vmdk" % i))
    seen = trace.stop()
    assert "openat2(" in seen and "weir-recognise" in seen
    for line in seen.splitlines():
        opened = re.search(r"= \d+$", line)
        for word in ("outside", ".weir", "linked", "self/mem"):
            assert not (opened and "openat2(" in line and word in line), line
        assert "/etc/passwd" not in line and "/dev/sda" not in line, line
        assert "openat2(" not in line or "O_PATH" in line, line


# ---- the guest's own bytes ------------------------------------------------------------------

def evil_header(weir):
    return images.hosted_sparse_bytes(size=65536, overhead=128, descriptor=images.descriptor_bytes(
        "monolithicSparse", ['RW 16384 SPARSE "disk.img"'], parent_cid="22222222",
        parent="secret.vmdk"))


def test_a_raw_disk_stays_raw_whatever_its_guest_writes(weir):
    """CVE-2026-24708: the guest writes a VMDK header into the raw disk it was given."""
    disks.write(weir.in_store("disk.img"), size=SIZE)
    with open(weir.in_mount("disk.img"), "r+b", buffering=0) as f:
        f.write(evil_header(weir))
        os.fsync(f.fileno())
        assert disks.disk(weir.in_mount("disk.img"))["type"] == "raw"
    for again in (False, True):
        if again:
            weir.restart()
        disk = disks.disk(weir.in_mount("disk.img"))
        assert disk["type"] == "raw" and "parent" not in disk


def test_a_disk_made_through_the_mount_is_raw_before_its_guest_runs(weir):
    images.raw(weir.in_mount("disk.img"))
    disks.wait_event(weir, "disk-recognised", "disk.img")
    with open(weir.in_mount("disk.img"), "r+b", buffering=0) as f:
        f.write(evil_header(weir))
    assert disks.disk(weir.in_mount("disk.img"))["type"] == "raw"


def test_a_file_that_its_owner_empties_is_new(weir):
    images.raw(weir.in_mount("disk.img"))
    assert disks.disk(weir.in_mount("disk.img"))["type"] == "raw"
    images.qemu(weir.in_mount("disk.img"), "qcow2")
    assert disks.disk(weir.in_mount("disk.img"))["type"] == "qcow2"


def test_a_format_never_changes_by_writing(weir):
    images.qemu(weir.in_mount("disk"), "qcow2")
    assert disks.disk(weir.in_mount("disk"))["type"] == "qcow2"
    with open(weir.in_mount("disk"), "r+b", buffering=0) as f:
        f.write(evil_header(weir))
    disk = disks.disk(weir.in_mount("disk"))
    assert disk["type"] == "qcow2" and "counts as what it was" in disk["problem"]


def test_a_descriptor_that_changed_is_read_again(weir):
    path = disks.flat(weir.in_mount(), "d", size=SIZE)
    assert "problem" not in disks.disk(path)
    disks.flat(weir.in_mount(), "d", extent="other.vmdk", size=None)
    assert disks.disk(path)["extents"][0]["file"] == "other.vmdk"
