# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/faults/inject.py - the test's end of tests/faults/inject.c.

    with injector.armed(3, errno.EIO, inject.CHANGES) as fault:
        os.unlink(path)                 # the worker's third changing call fails
    fault.fired, str(fault)             # 1, "unlinkat of weir-worker+0x1b2c3"
"""
import contextlib
import mmap
import os
import struct

import weir as weirs

READS, CHANGES, OPENS, MEMORY, STARTS, SYNCS = 1, 2, 4, 8, 16, 32
FILES = READS | CHANGES | OPENS | SYNCS

LIBRARY = os.path.join(weirs.BUILD, "tests", "faults", "weir-inject.so")
LAYOUT = struct.Struct("<qQIiIIQQ32s216s")  # struct control
FIRED_AT, EVERY_AT = 28, 24


class Fault:
    """What became of an armed fault."""

    def __init__(self):
        self.fired, self.calls, self.name, self.where = 0, 0, "", ""

    def __str__(self):
        return "%s of %s" % (self.name, self.where) if self.fired else "nothing failed"


class Injector:
    """Faults for every worker that is started with environment()."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "inject")
        with open(self.path, "wb") as f:
            f.truncate(4096)
        with open(self.path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 4096)

    def environment(self):
        return {"LD_PRELOAD": LIBRARY, "WEIR_INJECT": self.path}

    def arm(self, nth, number, classes, device=0, every=False):
        """The @nth call of these classes fails with @number; with @every all from it on."""
        self.map[8:LAYOUT.size] = bytes(LAYOUT.size - 8)
        LAYOUT.pack_into(self.map, 0, 0, device, classes, number, 0, 0, 0, 0, b"", b"")
        struct.pack_into("<I", self.map, EVERY_AT, every)
        struct.pack_into("<q", self.map, 0, nth)

    def disarm(self):
        struct.pack_into("<I", self.map, EVERY_AT, 0)
        struct.pack_into("<q", self.map, 0, 0)
        fault = Fault()
        fields = LAYOUT.unpack_from(self.map)
        fault.fired, fault.calls = fields[5], fields[6]
        fault.name = fields[8].split(b"\0")[0].decode()
        fault.where = "%s+%#x" % (os.path.basename(fields[9].split(b"\0")[0].decode()), fields[7])
        return fault

    @contextlib.contextmanager
    def armed(self, *arguments, **named):
        fault = Fault()
        self.arm(*arguments, **named)
        try:
            yield fault
        finally:
            fault.__dict__.update(self.disarm().__dict__)

    def close(self):
        self.map.close()
