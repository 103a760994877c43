#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/resume/mortals.py - clients that die in the middle of their calls.

    mortals.py DIRECTORY BEHIND SEED SECONDS

Children make, write, rename and remove in DIRECTORY until they are killed, which is soon; what they
waited for when they died is nobody's any more, and the mount has to bear it.  In the end all that
is there can be listed, read and removed, and the datastore (BEHIND) then is empty, too.
"""
import errno
import os
import random
import signal
import sys
import time

import sides
import syscalls

LIVING = 3


def live(directory, seed):
    """One child: never returns."""
    generator = random.Random(seed)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    syscalls.die_with_parent(signal.SIGKILL)
    while True:
        path = os.path.join(directory, "m%d" % generator.randrange(20))
        other = os.path.join(directory, "m%d" % generator.randrange(20))
        try:
            which = generator.randrange(5)
            if which < 2:
                fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
                os.write(fd, b"x" * generator.randrange(1, 100000))
                if which:
                    os.fsync(fd)
                os.close(fd)
            elif which == 2:
                os.rename(path, other)
            elif which == 3:
                os.unlink(path)
            else:
                os.listdir(directory)
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno == errno.ESTALE and which < 2:
                continue            # others replaced the name twice: docs/filesystem.md
            print("FAULT %.3f a mortal's call came to %s" % (
                time.time(), sides.name_of(error.errno)), flush=True)
            os._exit(1)


def remove_all(directory, behind):
    """What is not right when everything is read and removed."""
    try:
        for name in os.listdir(directory):
            path = os.path.join(directory, name)
            with open(path, "rb") as f:
                if set(f.read()) - {ord("x")}:
                    return "%s has bytes that nobody wrote" % name
            os.unlink(path)
    except OSError as error:
        return "reading and removing came to %s" % error
    left = os.listdir(behind)
    return "left in the datastore: %r" % left[:5] if left else None


def main():
    directory, behind, seed, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    os.mkdir(directory)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    syscalls.die_with_parent(signal.SIGKILL)
    generator = random.Random(seed)
    end, living, count = time.monotonic() + float(seconds), [], 0
    while time.monotonic() < end and not signal.sigpending():
        while len(living) < LIVING:
            pid = os.fork()
            if pid == 0:
                live(directory, generator.randrange(1 << 30) + count)
            living.append(pid)
            count += 1
        time.sleep(generator.uniform(0.001, 0.04))
        pid = living.pop(0)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    for pid in living:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    text = remove_all(directory, behind)
    if text:
        print("FAULT mortals: " + text)
    print("operations %d faults %d" % (count, bool(text)), flush=True)
    return 1 if text else 0


if __name__ == "__main__":
    sys.exit(main())
