#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/mount/random_io.py - one process of random I/O on one file, against bytes in memory.

    random_io.py FILE SEED STEPS [BASE SIZE]

Reads, writes, truncates, punches, zeroes, maps, copies and reopens FILE in all ways, and keeps in
memory what must be in it.  With BASE and SIZE it stays inside that range of a file which other
processes use too, and leaves the file's length alone.  Exit 0, or 1 and the first difference.
"""
import mmap
import os
import random
import sys

import syscalls

LIMIT = 1 << 20
PAGE = mmap.PAGESIZE


class Exerciser:
    """The file at @path and self.model, the bytes it must hold from self.base on."""

    def __init__(self, path, seed, base=0, size=None):
        self.random = random.Random(seed)
        self.path = path
        self.base = base
        self.shared = size is not None
        self.limit = size or LIMIT
        self.model = bytearray(size or 0)
        self.log = []
        self.fds = [os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o644)
                    for flags in (0, 0, os.O_DIRECT, os.O_DSYNC)]

    def span(self, limit):
        """A random (offset, length) inside [0, limit), often small, often on page boundaries."""
        if limit <= 0:
            return 0, 0
        at = self.random.randrange(limit)
        length = self.random.choice((1, 17, 512, 4096, 5000, 65536, 131072, 262144))
        if self.random.random() < 0.4:
            at &= -PAGE
        return at, min(self.random.randrange(1, length + 1), limit - at)

    def put(self, at, data):
        if at > len(self.model):
            self.model.extend(bytes(at - len(self.model)))
        self.model[at:at + len(data)] = data

    def check(self, what, at, got):
        want = bytes(self.model[at:at + len(got)])
        if got == want and len(got) == len(want):
            return
        wrong = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got),
                                                                                 len(want)))
        sys.exit("%s: %s: at %d (base %d): read %r, wanted %r\nlast steps:\n%s" % (
            self.path, what, at + wrong, self.base, got[wrong:wrong + 24],
            want[wrong:wrong + 24], "\n".join(map(str, self.log[-25:]))))

    # -- steps --------------------------------------------------------------------------------

    def fd(self):
        return self.fds[self.random.choice((0, 1, 3))]

    def step_write(self):
        at, length = self.span(self.limit)
        data = self.random.randbytes(length)
        self.note("write", at, length)
        assert os.pwrite(self.fd(), data, self.base + at) == length
        self.put(at, data)

    def step_read(self):
        at, length = self.span(len(self.model))
        self.note("read", at, length)
        got = os.pread(self.fd(), length, self.base + at)
        if len(got) != length:
            sys.exit("%s: short read at %d: %d of %d" % (self.path, at, len(got), length))
        self.check("pread", at, got)

    def aligned(self):
        at, length = self.span(self.limit - PAGE)
        at = (at + self.base + PAGE - 1) & -PAGE
        return at - self.base, min(max(PAGE, length & -PAGE), (self.limit - at + self.base) & -PAGE)

    def step_direct_write(self):
        at, length = self.aligned()
        if length <= 0:
            return
        self.note("direct write", at, length)
        with mmap.mmap(-1, length) as buffer:
            buffer[:] = self.random.randbytes(length)
            assert os.pwritev(self.fds[2], [buffer], self.base + at) == length
            self.put(at, buffer[:])

    def step_direct_read(self):
        at, length = self.aligned()
        if length <= 0:
            return
        self.note("direct read", at, length)
        with mmap.mmap(-1, length) as buffer:
            count = os.preadv(self.fds[2], [buffer], self.base + at)
            if count < min(length, max(0, len(self.model) - at)):
                sys.exit("%s: short direct read at %d: %d of %d" % (self.path, at, count, length))
            self.check("direct read", at, buffer[:min(count, len(self.model) - at)]
                       if at < len(self.model) else b"")

    def step_truncate(self):
        if self.shared:
            return
        size = self.random.randrange(self.limit)
        self.note("truncate", size, 0)
        if self.random.random() < 0.5:
            os.ftruncate(self.fd(), size)
        else:
            os.truncate(self.path, size)
        del self.model[size:]
        self.put(size, b"")

    def step_punch(self):
        at, length = self.span(len(self.model))
        if length:
            self.note("punch", at, length)
            syscalls.fallocate(self.fd(), 3, self.base + at, length)
            self.put(at, bytes(length))

    def step_zero(self):
        at, length = self.span(len(self.model))
        if length:
            self.note("zero", at, length)
            syscalls.fallocate(self.fd(), 16, self.base + at, length)
            self.put(at, bytes(length))

    def step_allocate(self):
        at, length = self.span(len(self.model) if self.shared else self.limit)
        if length:
            self.note("allocate", at, length)
            syscalls.fallocate(self.fd(), 0, self.base + at, length)
            self.put(max(len(self.model), at + length), b"")

    def mapped(self, write):
        at, length = self.span(len(self.model))
        if not length:
            return
        start = (self.base + at) & -PAGE
        skip = self.base + at - start
        self.note("map write" if write else "map read", at, length)
        prot = mmap.PROT_READ | (mmap.PROT_WRITE if write else 0)
        with mmap.mmap(self.fds[0], skip + length, mmap.MAP_SHARED, prot, offset=start) as area:
            self.check("mmap", at, area[skip:skip + length])
            if write:
                data = self.random.randbytes(length)
                area[skip:skip + length] = data
                self.put(at, data)
                if self.random.random() < 0.5:
                    area.flush()

    def step_map_read(self):
        self.mapped(False)

    def step_map_write(self):
        self.mapped(True)

    def step_copy(self):
        source, length = self.span(len(self.model))
        target = self.random.randrange(max(1, self.limit - length))
        if not length or abs(source - target) < length:
            return
        self.note("copy %d" % source, target, length)
        done = os.copy_file_range(self.fds[0], self.fds[1], length, self.base + source,
                                  self.base + target)
        self.put(target, bytes(self.model[source:source + done]))

    def step_size(self):
        if not self.shared:
            self.note("size", 0, 0)
            for size in (os.fstat(self.fd()).st_size, os.stat(self.path).st_size,
                         os.lseek(self.fd(), 0, os.SEEK_END)):
                if size != len(self.model):
                    sys.exit("%s: size %d, wanted %d after\n%s" % (
                        self.path, size, len(self.model), "\n".join(map(str, self.log[-25:]))))

    def step_holes(self):
        """No hole where there is data."""
        if self.shared or not self.model:
            return
        self.note("holes", 0, 0)
        at = 0
        for start, end in syscalls.seek_map(self.fds[0], 4096) + [(len(self.model), 0)]:
            if self.model.count(0, at, start) != max(0, start - at):
                sys.exit("%s: SEEK_HOLE calls [%d, %d) a hole, it is not; after\n%s" % (
                    self.path, at, start, "\n".join(map(str, self.log[-25:]))))
            at = end

    def step_reopen(self):
        self.note("reopen", 0, 0)
        which = self.random.randrange(4)
        os.close(self.fds[which])
        self.fds[which] = os.open(self.path, os.O_RDWR | (0, 0, os.O_DIRECT, os.O_DSYNC)[which])

    def step_sync(self):
        self.note("sync", 0, 0)
        self.random.choice((os.fsync, os.fdatasync))(self.fd())

    # -- running ------------------------------------------------------------------------------

    def note(self, *step):
        self.log.append(step)
        if len(self.log) > 1000:
            del self.log[:900]

    def run(self, steps):
        names = list(WEIGHTS)
        functions = [getattr(self, "step_" + name) for name in names]
        weights = [WEIGHTS[name] for name in names]
        for function in self.random.choices(functions, weights, k=steps):
            function()
        self.check_whole()

    def check_whole(self):
        os.fsync(self.fds[0])
        got = os.pread(self.fds[0], len(self.model) + (0 if self.shared else 1), self.base)
        self.check("whole file", 0, got)
        if len(got) != len(self.model):
            sys.exit("%s: %d bytes at the end, wanted %d" % (self.path, len(got), len(self.model)))
        for fd in self.fds:
            os.close(fd)


WEIGHTS = {"write": 30, "read": 30, "direct_write": 8, "direct_read": 8, "truncate": 5, "punch": 6,
           "zero": 4, "allocate": 3, "map_read": 8, "map_write": 10, "copy": 5, "size": 5,
           "holes": 3, "reopen": 4, "sync": 1}

if __name__ == "__main__":
    numbers = [int(n) for n in sys.argv[2:]]
    syscalls.die_with_parent(9)
    Exerciser(sys.argv[1], numbers[0], *numbers[2:]).run(numbers[1])
