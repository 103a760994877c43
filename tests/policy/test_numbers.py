# SPDX-License-Identifier: GPL-2.0-or-later
"""What inspect counted is what was done, and the command shows it."""
import json
import mmap
import os
import subprocess

import pytest

import weir as weirs
from policy_rig import BLOCK, attach, make_disk, stats, status

COMMAND = weirs.program("weir")
LATENCIES = ("p50", "p90", "p99", "p999", "max")


@pytest.fixture
def disk(managed):
    weir = managed("passthrough=off")
    path = make_disk(weir.in_mount("vm1", "a.img"), 1024)
    attach(path, "watch")
    return path


def direct(path):
    return os.open(path, os.O_RDWR | os.O_DIRECT)


def test_counts_and_bytes(disk):
    """70 writes, 50 reads, 3 flushes of three sizes: exactly these."""
    fd = direct(disk)
    buffer = mmap.mmap(-1, 1 << 16)
    try:
        for i in range(40):
            os.pwritev(fd, [memoryview(buffer)[:4096]], i * 4096)
        for i in range(30):
            os.pwritev(fd, [memoryview(buffer)[:16384]], i * 16384)
        for i in range(50):
            os.preadv(fd, [buffer], i * 65536)
        for _ in range(3):
            os.fsync(fd)
        seen = stats(disk)["inspect"]
        shown = subprocess.run([COMMAND, "status", "--json", disk], stdout=subprocess.PIPE,
                               check=True, timeout=20).stdout
    finally:
        os.close(fd)
    assert seen["write"]["ops"] == 70 and seen["write"]["bytes"] == 40 * 4096 + 30 * 16384
    assert seen["read"]["ops"] == 50 and seen["read"]["bytes"] == 50 * 65536
    assert seen["flush"]["ops"] == 3 and seen["errors"] == 0
    assert seen["block_sizes"] == {"4096": 40, "16384": 30, "65536": 50}
    assert abs(seen["read_share"] - 50 / 120) < 0.001
    assert seen["sequential"]["read"] > 0.9 and seen["sequential"]["write"] > 0.9
    assert seen["queue_depth"]["now"] == 0 and seen["queue_depth"]["max"] >= 1
    for operation in ("read", "write", "flush"):
        line = [seen[operation]["latency_us"][name] for name in LATENCIES]
        assert line == sorted(line) and line[0] > 0
        assert 0 < seen[operation]["latency_us"]["mean"] <= line[-1]
    assert find_stats(json.loads(shown))["inspect"]["write"]["ops"] == 70


def find_stats(shown):
    """The first "stats" with counters, wherever the command puts the disk."""
    if isinstance(shown, list):
        return next(filter(None, map(find_stats, shown)), None)
    if isinstance(shown, dict):
        return shown.get("stats") or find_stats(list(shown.values()))
    return None


def test_dd_and_fio_agree(disk):
    """What other programs say they did."""
    held = direct(disk)                 # the counters live while the disk is in use
    try:
        subprocess.run(["dd", "if=/dev/zero", "of=" + disk, "bs=128K", "count=16", "oflag=direct",
                        "conv=notrunc"], check=True, stderr=subprocess.DEVNULL, timeout=30)
        first = stats(disk)["inspect"]
        assert first["write"]["ops"] == 16 and first["block_sizes"]["131072"] == 16
        done = subprocess.run(["fio", "--name=x", "--filename=" + disk, "--rw=randrw", "--bs=4k",
                               "--direct=1", "--size=4M", "--io_size=2M", "--ioengine=psync",
                               "--output-format=json"], check=True, stdout=subprocess.PIPE,
                              timeout=60)
        told = json.loads(done.stdout)["jobs"][0]
        seen = stats(disk)["inspect"]
    finally:
        os.close(held)
    for operation, before in (("read", 0), ("write", 16)):
        assert seen[operation]["ops"] - before == told[operation]["total_ios"]
        assert seen[operation]["bytes"] - 131072 * before == told[operation]["io_bytes"]
    assert seen["sequential"]["read"] < 0.5


def test_trims_and_holes(disk):
    fd = os.open(disk, os.O_RDWR)
    try:
        subprocess.run(["fallocate", "-p", "-o", "8192", "-l", "16384", disk], check=True)
        assert stats(disk)["inspect"]["trim"] == {
            **stats(disk)["inspect"]["trim"], "ops": 1, "bytes": 16384}
        assert os.pread(fd, 16384, 8192) == bytes(16384)
    finally:
        os.close(fd)


def test_a_limit_counts_large_ones_as_several(managed):
    """128 KiB are four operations of 32 KiB: 100 a second let 25 such through, not 100."""
    weir = managed("passthrough=off")
    weir.policies.write("hundred", iops=100)
    disk = make_disk(weir.in_mount("a.img"), 1024)
    attach(disk, "hundred")
    fd = direct(disk)
    buffer = mmap.mmap(-1, 32 * BLOCK)
    try:
        before = os.times().elapsed
        for i in range(75):
            os.preadv(fd, [buffer], i % 8 * 32 * BLOCK)
        took = os.times().elapsed - before
        limit = stats(disk)["limit"]
    finally:
        os.close(fd)
    assert took > 1.2                   # 3 seconds less what may be saved up; 0.75 if each was one
    assert limit["iops"] == 100 and limit["delayed"] > 10 and limit["delayed_us"] > 1000000
    assert limit["waiting"] == 0


def test_numbers_begin_anew_with_the_next_use(disk):
    with open(disk, "rb") as f:
        f.read(4096)
        assert stats(disk)["inspect"]["read"]["ops"] >= 1
    assert status(disk)["way"] in ("closed", "daemon")


def test_status_of_what_is_in_it(managed):
    """A directory and the datastore show their disks; no counters where no stage is."""
    weir = managed("passthrough=off")
    make_disk(weir.in_mount("vm1", "a.img"))
    free = make_disk(weir.in_mount("vm1", "free.img"))
    attach(weir.in_mount("vm1", "a.img"), "watch")
    assert stats(free) == {}
    assert [d["path"] for d in status(weir.path)["disks"]] == ["vm1/a.img"]
    shown = subprocess.run([COMMAND, "status", weir.in_mount("vm1")], stdout=subprocess.PIPE,
                           check=True, timeout=20).stdout.decode()
    assert "a.img" in shown and "watch" in shown and "free.img" in shown
