#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""caretaker.py - clean up behind an NFS rig whose test run was killed.

    caretaker.py DIRECTORY      (started by rig.py)

As tests/mount/janitor.py, whose parts it uses: waits for the end of its standard input, which is
the end of the run.  If the rig's directory is there then, its processes are killed, its mounts
detached, its network namespace (named as the directory) is deleted, and its files.
"""
import os
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "mount"))

import janitor      # noqa: E402
import syscalls     # noqa: E402


def clean(directory):
    janitor.kill_remembered(directory)
    janitor.detach_mounts(directory)
    try:
        syscalls.umount2(directory, syscalls.MNT_DETACH)
    except OSError:
        pass                            # it went with those below
    subprocess.run(["ip", "netns", "del", os.path.basename(directory)], check=False, timeout=20,
                   stderr=subprocess.DEVNULL)
    shutil.rmtree(directory, ignore_errors=True)


def main():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.setsid()
    while os.read(0, 4096):
        pass
    if os.path.isdir(sys.argv[1]):
        clean(sys.argv[1])


if __name__ == "__main__":
    main()
