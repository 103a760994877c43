#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/resume/fighters.py - several processes fight over a few names in one directory.

    fighters.py DIRECTORY SEED SECONDS PROCESSES

Nobody knows what he will find, but what all were told must fit together: for each name, what
made it and what took it away, counted over all processes, must come to whether it is there at
the end; and each call can only come to what somebody else's call explains (EEXIST, ENOENT).
"""
import collections
import errno
import multiprocessing
import os
import random
import signal
import sys
import time

import sides
import syscalls

NAMES = [b"f%d" % i for i in range(6)]
ALLOWED = {"make": (errno.EEXIST,), "take": (errno.ENOENT,),
           "move": (errno.EEXIST, errno.ENOENT), "link": (errno.EEXIST, errno.ENOENT),
           "look": (errno.ENOENT,)}


def create(path):
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644))


class Fighter:
    """One process; self.sum is what it was told about each name."""

    def __init__(self, directory, seed):
        self.directory = os.fsencode(directory)
        self.random = random.Random(seed)
        self.sum = collections.Counter()
        self.count = 0
        self.faults = []

    def call(self, kind, function, *arguments):
        self.count += 1
        try:
            function(*arguments)
            return True
        except OSError as error:
            if error.errno not in ALLOWED[kind]:
                self.faults.append("%.3f %s%r came to %s" % (
                    time.time(), function.__name__, arguments, sides.name_of(error.errno)))
            return False

    def step(self):
        name, other = self.random.sample(NAMES, 2)
        path, to = (os.path.join(self.directory, n) for n in (name, other))
        which = self.random.randrange(6)
        if which == 0:
            self.sum[name] += self.call("make", create, path)
        elif which == 1:
            self.sum[name] += self.call("make", os.mknod, path, 0o100644)
        elif which == 2:
            self.sum[name] -= self.call("take", os.unlink, path)
        elif which == 3 and self.call("move", syscalls.renameat2, path, to,
                                      syscalls.RENAME_NOREPLACE):
            self.sum[name] -= 1
            self.sum[other] += 1
        elif which == 4:
            self.sum[other] += self.call("link", os.link, path, to)
        else:
            self.call("look", os.stat, path)


def fight(directory, seed, seconds, over, answer):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    syscalls.die_with_parent(signal.SIGKILL)
    fighter = Fighter(directory, seed)
    end = time.monotonic() + seconds
    while time.monotonic() < end and not over.is_set() and not fighter.faults:
        fighter.step()
    answer.put((dict(fighter.sum), fighter.count, fighter.faults))


def main():
    directory, seed, seconds, processes = sys.argv[1], *map(float, sys.argv[2:])
    os.mkdir(directory)
    over, answer = multiprocessing.Event(), multiprocessing.Queue()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    syscalls.die_with_parent(signal.SIGKILL)
    all_of_them = [multiprocessing.Process(
        target=fight, args=(directory, seed * 100 + i, seconds, over, answer))
        for i in range(int(processes))]
    for one in all_of_them:
        one.start()
    total, count, faults = collections.Counter(), 0, []
    for _ in all_of_them:
        part, n, bad = answer.get()
        total.update(part)
        count, faults = count + n, faults + bad
    for one in all_of_them:
        one.join()
    there = set(os.listdir(os.fsencode(directory)))
    for name in NAMES:
        if total[name] != (name in there):
            faults.append("%r was made %d times more often than removed, and is %s" % (
                name, total[name], "there" if name in there else "not there"))
    for text in faults:
        print("FAULT fighters seed %d: %s" % (seed, text))
    print("operations %d faults %d" % (count, len(faults)), flush=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
