#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""inside.py - run a program in the tests' own network and behind their own /run.

    inside.py NETNS RUN KEEP PROGRAM ARGUMENTS...

libntirpc looks for rpcbind's socket in /run, and nowhere else; so the program gets RUN there, in a
mount namespace of its own.  Such a namespace is a copy of all mounts, and a copy holds a filesystem
after its umount elsewhere: what other tests mounted is let go of at once, and what is below KEEP
follows the outside (KEEP is a shared mount, and everything here a slave).
"""
import ctypes
import os
import sys

CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
MS_BIND, MS_REC, MS_SLAVE, MNT_DETACH = 0x1000, 0x4000, 0x80000, 2
SCRATCH = ("/tmp/", "/var/tmp/", "/mnt/", "/media/", "/run/")
libc = ctypes.CDLL(None, use_errno=True)


def call(name, *arguments):
    if getattr(libc, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def enter_network(path):
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    call("setns", fd, CLONE_NEWNET)
    os.close(fd)


def mounts():
    """(mount point, type) of every mount, the newest first."""
    rows = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        for line in table:
            fields = line.split(" ")
            rows.append((fields[4].encode("utf-8", "surrogateescape").decode("unicode_escape"),
                         fields[fields.index("-") + 1]))
    return rows[::-1]


def let_go_of_others(keep):
    for point, kind in mounts():
        if point == keep or point.startswith(keep + "/"):
            continue
        if kind.startswith("fuse") or point.startswith(SCRATCH):
            libc.umount2(os.fsencode(point), MNT_DETACH)


def main():
    network, run, keep, *program = sys.argv[1:]
    enter_network(network)
    call("unshare", CLONE_NEWNS)
    call("mount", b"none", b"/", None, MS_REC | MS_SLAVE, None)
    let_go_of_others(keep)
    call("mount", os.fsencode(run), b"/run", None, MS_BIND, None)
    os.execvp(program[0], program)


if __name__ == "__main__":
    main()
