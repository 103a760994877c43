# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest's files depend on: whose they are, and what an fsync promised."""
import errno
import os
import re
import shutil
import subprocess
import time

import pytest

# Opens @argv[1] as user 1000 again and again; prints how often it got somebody else's file.
INTRUDER = r"""
import os, sys, time
os.setgroups([]); os.setgid(1000); os.setuid(1000)
end, hits = time.monotonic() + 5, 0
while time.monotonic() < end:
    try:
        fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o644)
    except (PermissionError, FileNotFoundError):
        continue
    except OSError as error:
        if error.errno in (12, 116):    # it changed again while the kernel looked
            continue
        raise
    if os.fstat(fd).st_uid != 1000 or os.read(fd, 10):
        hits += 1
    os.close(fd)
    try:
        os.unlink(sys.argv[1])
    except FileNotFoundError:
        pass
print(hits)
"""


def test_create_never_opens_what_somebody_else_made_behind(weir):
    """Between the kernel's lookup and its create a private file of root comes to lie there."""
    os.chmod(weir.path, 0o777)
    with subprocess.Popen(["/usr/bin/python3", "-c", INTRUDER, weir.in_mount("x")],
                          stdout=subprocess.PIPE, text=True) as intruder:
        while intruder.poll() is None:
            fd = os.open(weir.in_store("new"), os.O_WRONLY | os.O_CREAT, 0o600)
            os.write(fd, b"secret")
            os.close(fd)
            os.rename(weir.in_store("new"), weir.in_store("x"))
            time.sleep(0.0005)
            try:
                os.unlink(weir.in_store("x"))
            except FileNotFoundError:
                pass
            time.sleep(0.0005)
        assert intruder.stdout.read().strip() == "0"


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_fsync_is_an_fsync(weir, directory):
    """A mode, an owner, a time are durable after it; fdatasync would leave them out."""
    trace = os.path.join(directory, "trace")
    with open(weir.in_mount("a"), "wb") as f:
        f.write(b"x" * 8192)
        f.flush()
        with subprocess.Popen(["strace", "-f", "-e", "trace=fsync", "-p", str(weir.worker()),
                               "-o", trace], stderr=subprocess.PIPE) as strace:
            strace.stderr.readline()    # it is attached
            os.fchmod(f.fileno(), 0o600)
            os.fsync(f.fileno())
            strace.terminate()
    with open(trace, encoding="ascii") as f:
        assert re.search(r"fsync\(\d+\) *= 0", f.read())


def fill(path):
    """Write until nothing fits any more."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        for size in (65536, 512):
            try:
                while os.write(fd, b"x" * size):
                    pass
            except OSError as error:
                assert error.errno == errno.ENOSPC
    finally:
        try:
            os.close(fd)
        except OSError:
            pass


def test_a_full_datastore_can_be_listed_and_emptied(mounted):
    """Each of its files needs a node id, which the catalog on the same filesystem keeps."""
    weir = mounted(megabytes=40, options="passthrough=off")
    for i in range(3000):
        with open(weir.in_store("f%d" % i), "wb"):
            pass
    fill(weir.in_store("big"))
    assert len([e for e in os.scandir(weir.path) if e.stat().st_mode]) == 3001
    for i in range(3000):
        os.unlink(weir.in_mount("f%d" % i))
    os.unlink(weir.in_mount("big"))
    assert not os.listdir(weir.path)
