# SPDX-License-Identifier: GPL-2.0-or-later
"""The shapes of I/O, and one fio run of one shape against one contender.

Three families:

  buffered  plain opens; the FUSE mounts run with cache=auto. Random reads are served by
            the page cache after warm-up, by the mount's own where the contender keeps it
            over an open (passthrough_ll with cache=auto drops it), else by the backing's
            after a round trip.
  direct    O_DIRECT opens; mounts run with cache=none. What the backing directory and
            passthrough read reaches the virtual disk; a daemon that opens the backing
            file without O_DIRECT answers from the backing's page cache.
  nocache   plain opens on mounts with cache=none: every read and write is a round trip
            to the daemon, the backing's page cache answers. Only the contenders that
            have such a setting; "native" is the buffered backing file. The one-CPU shapes
            keep load and daemon on the same CPU: what the code costs, without the
            wake-up of a second CPU, which takes longer and varies more than all else.

Files are written beforehand (no holes) and fit in memory. Each measurement begins with clean
files that the backing's page cache holds, in the buffered read shapes the mount's too.
"""

import json
import mmap
import os
from dataclasses import dataclass

import machine


@dataclass(frozen=True)
class Shape:
    name: str
    family: str
    title: str
    rw: str
    block: str = "4k"
    jobs: int = 1
    depth: int = 1
    fsync: bool = False
    one_cpu: bool = False
    quick: bool = False

    @property
    def direct(self):
        return self.family == "direct"

    @property
    def cache(self):
        return "auto" if self.family == "buffered" else "none"

    @property
    def writes(self):
        return "write" in self.rw

    @property
    def unit(self):
        return "MiB/s" if self.block == "1m" else "IOPS"


def _family(family, quick):
    def shape(name, title, rw, **more):
        full = f"{family}-{name}"
        return Shape(full, family, title, rw, quick=name in quick, **more)

    return [
        shape("randread-1", "4 KiB random read, 1 job", "randread"),
        shape("randread-4", "4 KiB random read, 4 jobs, a file each", "randread", jobs=4),
        shape("randwrite-1", "4 KiB random write, 1 job", "randwrite"),
        shape("randwrite-4", "4 KiB random write, 4 jobs, a file each", "randwrite", jobs=4),
        shape("seqread", "1 MiB sequential read", "read", block="1m"),
        shape("seqwrite", "1 MiB sequential write", "write", block="1m"),
    ]


SHAPES = (
    _family("buffered", ("randread-1", "randwrite-1")) +
    [Shape("buffered-fsync", "buffered", "4 KiB random write + fsync", "randwrite",
           fsync=True, quick=True)] +
    _family("direct", ("randread-1", "randwrite-1")) +
    [Shape("direct-depth16-read", "direct", "4 KiB random read, libaio depth 16", "randread",
           depth=16, quick=True),
     Shape("direct-depth16-write", "direct", "4 KiB random write, libaio depth 16",
           "randwrite", depth=16, quick=True)] +
    _family("nocache", ("randread-1", "randread-4", "randwrite-1", "randwrite-4")) +
    [Shape("nocache-randread-one-cpu", "nocache", "4 KiB random read, 1 job, one CPU",
           "randread", one_cpu=True, quick=True),
     Shape("nocache-randwrite-one-cpu", "nocache", "4 KiB random write, 1 job, one CPU",
           "randwrite", one_cpu=True, quick=True)]
)


def probe_direct(path, writes):
    """None when O_DIRECT works on @path, else a clear word."""
    buffer = mmap.mmap(-1, 4096)            # anonymous memory is aligned
    try:
        fd = os.open(path, (os.O_RDWR if writes else os.O_RDONLY) | os.O_DIRECT)
    except OSError as problem:
        return f"O_DIRECT open: {problem.strerror}"
    try:
        os.preadv(fd, [buffer], 0)
        if writes:
            os.pwritev(fd, [buffer], 0)     # the same bytes again
    except OSError as problem:
        return f"O_DIRECT {'write' if writes else 'read'}: {problem.strerror}"
    finally:
        os.close(fd)
    return None


def fio_command(shape, directory, size, runtime_ms):
    return ["fio", "--name=bench", f"--directory={directory}",
            "--filename_format=disk$jobnum.img", f"--numjobs={shape.jobs}",
            f"--size={size}", f"--rw={shape.rw}", f"--bs={shape.block}",
            "--ioengine=" + ("libaio" if shape.depth > 1 else "psync"),
            f"--iodepth={shape.depth}", f"--direct={int(shape.direct)}",
            f"--fsync={int(shape.fsync)}", "--time_based", f"--runtime={runtime_ms}ms",
            "--invalidate=0", "--fallocate=none", "--allow_file_create=0",
            "--randrepeat=0", "--norandommap", "--group_reporting", "--eta=never",
            "--thread", "--output-format=json"]


def measure(shape, directory, size, runtime_ms):
    """One fio run: {measure: (value, unit)}; machine.Failed when fio reports an error.

    fio's jobs are threads: forked ones leave the process group and could outlive us.
    """
    status, out, err = machine.run_group(fio_command(shape, directory, size, runtime_ms),
                                         runtime_ms / 1000 + 60)
    if status != 0:
        words = [line for line in (err + out).splitlines() if line.startswith("fio:")]
        raise machine.Failed((words or ["fio failed"])[0].strip())
    job = json.loads(out[out.index("{"):])["jobs"][0]
    side = job["write" if shape.writes else "read"]

    if shape.unit == "MiB/s":
        return {"value": (side["bw_bytes"] / 2 ** 20, "MiB/s")}
    result = {"value": (side["iops"], "IOPS")}
    if shape.fsync:
        result["sync"] = (job["sync"]["lat_ns"]["mean"] / 1000, "µs")
        result["cycle"] = (1e6 / side["iops"], "µs")
    return result
