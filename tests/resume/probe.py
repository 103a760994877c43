#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/resume/probe.py - one small call again and again, and when it took long.

    probe.py KIND PATH SECONDS [OPEN DIRECTORY]

KIND: read (4 KiB, O_DIRECT), stat (forced to ask the filesystem), create (and unlink).
OPEN: as many files of DIRECTORY are held open meanwhile ("f0", "f1", ...).  Prints "slow BEGIN END"
(CLOCK_MONOTONIC, seconds) for each call over a millisecond, "FAULT ..." for each that failed.
"""
import ctypes
import mmap
import os
import random
import signal
import sys
import time

import sides
import syscalls

AT_STATX_FORCE_SYNC, STATX_BASIC = 0x2000, 0x7FF
SLOW = 0.001


def reader(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    blocks = os.fstat(fd).st_size // 4096
    buffer = mmap.mmap(-1, 4096)
    return lambda: os.preadv(fd, [buffer], random.randrange(blocks) * 4096)


def stater(path):
    buffer = ctypes.create_string_buffer(256)
    name = os.fsencode(path)
    return lambda: syscalls.checked(syscalls.libc.statx(
        syscalls.AT_FDCWD, name, AT_STATX_FORCE_SYNC, STATX_BASIC, buffer))


def creator(path):
    def one():
        if one.made:
            os.unlink(path)
        else:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        one.made = not one.made
    one.made = False
    return one


def main():
    kind, path, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    over, slow, faults, count = [], [], 0, 0
    signal.signal(signal.SIGTERM, lambda *_: over.append(True))
    syscalls.die_with_parent(signal.SIGKILL)
    if len(sys.argv) > 4:
        for i in range(int(sys.argv[4])):
            os.open(os.path.join(sys.argv[5], "f%d" % i), os.O_RDWR)
    call = {"read": reader, "stat": stater, "create": creator}[kind](path)
    end = time.monotonic() + seconds
    while not over and time.monotonic() < end:
        begin = time.monotonic()
        try:
            call()
        except OSError as error:
            faults += 1
            print("FAULT %.3f probe %s came to %s" % (time.time(), kind,
                                                    sides.name_of(error.errno)), flush=True)
            if faults > 5:
                break
        done = time.monotonic()
        if done - begin > SLOW:
            slow.append("slow %.6f %.6f\n" % (begin, done))
        count += 1
        time.sleep(0.0005)
    sys.stdout.write("".join(slow))
    print("operations %d faults %d" % (count, faults), flush=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
