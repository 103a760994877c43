#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/mount/parallel.py - one of several processes at work in the same directories.

    parallel.py ROOT NUMBER SEED STEPS

Creates, renames, links, reads and removes files whose names begin with its number, in directories
that all share, and keeps a model of them; looks at everybody's.  Exit 0, or 1 and what was wrong.
"""
import os
import random
import sys

import syscalls

DIRECTORIES = ["d0", "d1", "d2", "d3"]


class Busy:
    def __init__(self, root, number, seed):
        self.root = root
        self.number = number
        self.random = random.Random(seed * 100 + number)
        self.files = {}                 # path below root -> list [content], shared by hard links
        self.made = 0

    def path(self, name):
        return os.path.join(self.root, name)

    def fresh(self):
        self.made += 1
        return "%s/%d-%d" % (self.random.choice(DIRECTORIES), self.number,
                             self.random.randrange(self.made + 1) * 1000 + self.made)

    def any(self):
        return self.random.choice(sorted(self.files)) if self.files else None

    def create(self):
        name = self.fresh()
        text = name * self.random.randrange(1, 300)
        fd = os.open(self.path(name), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        assert os.write(fd, text.encode()) == len(text)
        os.close(fd)
        self.files[name] = [text]

    def rename(self):
        old = self.any()
        if old:
            new = self.random.choice([self.fresh(), self.any()])
            os.rename(self.path(old), self.path(new))
            if self.files.get(new) is not self.files[old]:      # links of one file: nothing happens
                self.files[new] = self.files.pop(old)

    def exchange(self):
        one, other = self.any(), self.any()
        if one and one != other:
            syscalls.renameat2(self.path(one).encode(), self.path(other).encode(),
                               syscalls.RENAME_EXCHANGE)
            self.files[one], self.files[other] = self.files[other], self.files[one]

    def link(self):
        old, new = self.any(), self.fresh()
        if old:
            try:
                os.link(self.path(old), self.path(new))
            except FileNotFoundError:
                # The kernel counts one link too few when a stat is answered between an unlink and its
                # reply, on every FUSE filesystem (docs/filesystem.md); it asks again after a stat.
                os.stat(self.path(old))
                os.link(self.path(old), self.path(new))
            self.files[new] = self.files[old]

    def unlink(self):
        name = self.any()
        if name:
            os.unlink(self.path(name))
            del self.files[name]

    def append(self):
        name = self.any()
        if name:
            fd = os.open(self.path(name), os.O_WRONLY | os.O_APPEND)
            os.write(fd, b"more")
            os.close(fd)
            self.files[name][0] += "more"

    def read(self):
        name = self.any()
        if name:
            with open(self.path(name), "rb") as f:
                got = f.read().decode()
            links = sum(content is self.files[name] for content in self.files.values())
            assert got == self.files[name][0], (name, got[:80], self.files[name][0][:80])
            assert os.stat(self.path(name)).st_nlink == links, name

    def listing(self):
        """All of ours are listed, once, and nothing of ours that is not there."""
        directory = self.random.choice(DIRECTORIES)
        listed = sorted(name for name in os.listdir(self.path(directory))
                        if name.startswith("%d-" % self.number))
        wanted = sorted(os.path.basename(n) for n in self.files if n.startswith(directory + "/"))
        assert listed == wanted, (directory, set(listed) ^ set(wanted))

    def look_at_others(self):
        """Whatever is there, or is no longer, is of one piece."""
        directory = self.random.choice(DIRECTORIES)
        names = os.listdir(self.path(directory))
        assert len(set(names)) == len(names), "listed twice"
        for name in self.random.sample(names, min(3, len(names))):
            try:
                os.stat(self.path(directory + "/" + name))
                with open(self.path(directory + "/" + name), "rb") as f:
                    f.read(100)
            except (FileNotFoundError, IsADirectoryError):
                pass

    def own_directory(self):
        path = self.path("%s/%d-dir" % (self.random.choice(DIRECTORIES), self.number))
        os.mkdir(path)
        os.rename(path, path + "2")
        os.rmdir(path + "2")

    def run(self, steps):
        actions = (self.create, self.create, self.rename, self.exchange, self.link, self.unlink,
                   self.unlink, self.append, self.read, self.read, self.listing,
                   self.look_at_others, self.own_directory)
        for _ in range(steps):
            self.random.choice(actions)()
        for name, content in sorted(self.files.items()):
            with open(self.path(name), encoding="ascii") as f:
                assert f.read() == content[0], name


if __name__ == "__main__":
    syscalls.die_with_parent(9)
    Busy(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])).run(int(sys.argv[4]))
