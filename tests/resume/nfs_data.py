#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/resume/nfs_data.py - write and read a file through an NFS server, every byte known.

    nfs_data.py SIDE NAME SEED SECONDS

SIDE as in sides.py (nfs:...).  Each block of 4 KiB carries file, block, version and a checksum;
after each acknowledged write the model knows the version; reads and the end compare all of it.
"""
import os
import random
import signal
import struct
import sys
import time
import zlib

import sides
import syscalls

BLOCKS = 1024
HEAD = struct.Struct("<8sQQQI")


def block(seed, number, version):
    if version == 0:
        return bytes(4096)
    body = random.Random(seed * 1000003 + number * 1009 + version).randbytes(256) * 15
    head = HEAD.pack(b"weir-nfs", seed, number, version, zlib.crc32(body))
    return (head + body).ljust(4096, b"\xa5")


class Data:
    """One file and its model."""

    def __init__(self, side, name, seed):
        self.random = random.Random(seed)
        self.seed = seed
        self.versions = [0] * BLOCKS
        self.version = self.count = self.faults = 0
        self.file = sides.NfsFile(side, name, os.O_RDWR | os.O_CREAT, 0o644)
        self.file.truncate(BLOCKS * 4096)

    def fault(self, text):
        self.faults += 1
        print("FAULT %.3f nfs data seed %d: %s" % (time.time(), self.seed, text), flush=True)

    def range(self):
        n = self.random.choice((1, 1, 2, 8, 32))
        return self.random.randrange(BLOCKS - n + 1), n

    def write(self):
        first, n = self.range()
        self.version += 1
        data = b"".join(block(self.seed, first + i, self.version) for i in range(n))
        got = self.file.pwrite(data, first * 4096)
        if got != len(data):
            self.fault("short write of %d" % got)
        self.versions[first:first + n] = [self.version] * n

    def read(self, first, n):
        got = self.file.pread(n * 4096, first * 4096)
        for i in range(n):
            want = block(self.seed, first + i, self.versions[first + i])
            if got[i * 4096:(i + 1) * 4096] != want:
                head = HEAD.unpack_from(got.ljust((i + 1) * 4096, b"?"), i * 4096)
                self.fault("block %d should have version %d, has %r" % (
                    first + i, self.versions[first + i], head))
                return

    def step(self):
        self.count += 1
        which = self.random.randrange(20)
        if which < 9:
            self.write()
        elif which < 19:
            self.read(*self.range())
        else:
            self.file.fsync()


def main():
    side, name, seed, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # libnfs takes EINTR for an error
    syscalls.die_with_parent(signal.SIGKILL)
    data = Data(sides.side_from(side), name.encode(), seed)
    end = time.monotonic() + seconds
    worst = 0.0
    try:
        while not signal.sigpending() and time.monotonic() < end and data.faults < 5:
            begin = time.monotonic()
            data.step()
            worst = max(worst, time.monotonic() - begin)
        for first in range(0, BLOCKS, 32):
            data.read(first, 32)
        data.file.close()
    except OSError as error:
        data.fault("a call came to %s" % error)
    print("operations %d faults %d worst_ms %.1f" % (data.count, data.faults, worst * 1000),
          flush=True)
    return 1 if data.faults else 0


if __name__ == "__main__":
    sys.exit(main())
