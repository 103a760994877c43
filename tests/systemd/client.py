# SPDX-License-Identifier: GPL-2.0-or-later
"""client.py DIRECTORY REPORT - one who uses a mount, and must not notice anything.

Until REPORT.stop is there: writes, reads back, and makes, renames and removes a name.  REPORT then
has "N rounds, longest M ms", or the error that was seen.
"""
import os
import sys
import time


def round_(directory, fd, n):
    block = b"%08d" % n * 512
    assert os.pwrite(fd, block, 4096 * (n % 64)) == 4096
    assert os.pread(fd, 4096, 4096 * (n % 64)) == block
    if n % 8 == 0:
        os.fsync(fd)
    name = "%s/name-%d" % (directory, n)
    os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    os.rename(name, name + "-new")
    os.unlink(name + "-new")


def main():
    directory, report = sys.argv[1:]
    text, longest, n = "", 0, 0
    fd = os.open(directory + "/client.img", os.O_CREAT | os.O_RDWR)
    gone = os.open(directory + "/unlinked", os.O_CREAT | os.O_RDWR)
    os.pwrite(gone, b"still here", 0)
    os.unlink(directory + "/unlinked")
    try:
        while not os.path.exists(report + ".stop"):
            begin = time.monotonic()
            round_(directory, fd, n)
            assert os.pread(gone, 100, 0) == b"still here"
            longest = max(longest, time.monotonic() - begin)
            n += 1
            with open(report + ".rounds", "w", encoding="ascii") as f:
                f.write(str(n))
        text = "%d rounds, longest %d ms" % (n, longest * 1000)
    except (OSError, AssertionError) as e:
        text = "error after %d rounds: %r" % (n, e)
    with open(report, "w", encoding="utf-8") as f:
        f.write(text)


main()
