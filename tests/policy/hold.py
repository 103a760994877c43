# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/policy/hold.py - a process of its own that does something to a file.

    hold.py open PATH       hold it open for reading and writing
    hold.py map PATH        hold a mapping of it, with the descriptor closed
    hold.py set GROUPS PATH NAMESPACE WORD VALUE
                            be user 1234 with GROUPS ("primary", "primary,supplementary"...) and
                            set NAMESPACE.weir.WORD (VALUE "-": remove it); prints the errno

Says "ready" on stdout when it is done, and ends when its stdin is closed.
"""
import mmap
import os
import sys


def hold_open(path):
    return os.open(path, os.O_RDWR)


def hold_map(path):
    fd = os.open(path, os.O_RDWR)
    kept = mmap.mmap(fd, 4096)          # Python keeps a duplicate of the descriptor: close it
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) > 2 and os.readlink("/proc/self/fd/" + name) == path:
                os.close(int(name))
        except OSError:
            pass
    assert kept[0] is not None
    return kept


def set_as_user(groups, path, namespace, word, value):
    groups = [int(g) for g in groups.split(",")]
    os.setgroups(groups[1:])
    os.setresgid(groups[0], groups[0], groups[0])
    os.setresuid(1234, 1234, 1234)
    try:
        name = "%s.weir.%s" % (namespace, word)
        if value == "-":
            os.removexattr(path, name)
        else:
            os.setxattr(path, name, value.encode())
    except OSError as error:
        return error.errno
    return 0


def main():
    what, *arguments = sys.argv[1:]
    if what == "set":
        print(set_as_user(*arguments), flush=True)
        return
    kept = {"open": hold_open, "map": hold_map}[what](*arguments)
    print("ready", flush=True)
    sys.stdin.read()
    del kept


main()
