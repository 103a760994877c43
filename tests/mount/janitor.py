#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/mount/janitor.py - clean up behind a test run that was killed.

    janitor.py DIRECTORY     (started by conftest.py)

Waits until its standard input ends, which happens when the run does, however it dies.  If the
directory of the run is still there then, its processes (DIRECTORY/pids: one "pid starttime" a
line) are killed, its mounts detached and its files removed.  A run that ended well left nothing.
"""
import os
import shutil
import signal
import sys

import backing
import syscalls


def start_time(pid):
    """Clock ticks after boot at which a process began; None when there is none."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as f:
            return int(f.read().rsplit(b")", 1)[1].split()[19])
    except (OSError, IndexError):
        return None


def remember(directory, pid):
    """Have the janitor kill this process should the run die."""
    with open(os.path.join(directory, "pids"), "a", encoding="ascii") as f:
        f.write("%d %d\n" % (pid, start_time(pid) or 0))


def kill_remembered(directory):
    try:
        with open(os.path.join(directory, "pids"), encoding="ascii") as f:
            lines = f.readlines()
    except OSError:
        return
    for line in lines:
        pid, began = map(int, line.split())
        if start_time(pid) == began:    # a number taken again is another process
            os.kill(pid, signal.SIGKILL)


def detach_mounts(directory):
    for point in reversed(backing.mounts_below(directory)):
        for flags in (syscalls.MNT_FORCE, syscalls.MNT_DETACH):
            try:
                syscalls.umount2(point, flags)
                break
            except OSError:
                pass


def clean(directory):
    kill_remembered(directory)
    detach_mounts(directory)
    if not backing.mounts_below(directory):
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.setsid()
    while os.read(0, 4096):
        pass
    if os.path.isdir(sys.argv[1]):
        clean(sys.argv[1])
