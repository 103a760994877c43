# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/blast/failing.py - a mount with disks that kill or hang its worker, and with others.

A disk under the policy "crashy" passes the stage of tests/blast/crash.c.  What makes it fail is
written to the backing file, and taken away there again.
"""
import errno
import json
import os
import shutil
import signal
import threading
import time

import held as helds
import weir as weirs

BLOCK = 4096
BLOCKS = 64
CRASHY = """weir: 1
name: crashy
version: 1
description: For tests, fails when it meets a marker.
stages:
  crash: {}
"""


class Failing(helds.Held):
    def __init__(self, directory, options=""):
        super().__init__(directory)
        self.use_real()
        shutil.copy(os.path.join(weirs.BUILD, "tests", "blast", "weir-worker-with-crash"),
                    os.path.join(self.bin, "weir-worker"))
        self.policies = os.path.join(directory, "policies")
        os.mkdir(self.policies)
        with open(os.path.join(self.policies, "crashy.yaml"), "w", encoding="ascii") as f:
            f.write(CRASHY)
        options = ",".join(filter(None, ["cache=none,policies=" + self.policies, options]))
        self.loops = []
        self.files = []
        self.marked = set()
        self.watchdog = threading.Timer(60, self.abort)
        self.watchdog.daemon = True
        self.watchdog.start()
        self.start("-o", options)

    # -- disks --------------------------------------------------------------------------------

    def disk(self, name, policy="crashy"):
        """A disk of 64 blocks, each full of its own number."""
        with open(os.path.join(self.store, name), "wb") as f:
            for block in range(BLOCKS):
                f.write(bytes([block]) * BLOCK)
        path = os.path.join(self.point, name)
        if policy:
            os.setxattr(path, "user.weir.policy", policy.encode())
        return path

    def open(self, path):
        """A descriptor that is closed at the end, if not before."""
        self.files.append(os.open(path, os.O_RDWR))
        return self.files[-1]

    def close(self, fd):
        self.files.remove(fd)
        os.close(fd)

    def mark(self, name, marker, block=3):
        """Behind the mount's back."""
        with open(os.path.join(self.store, name), "r+b", buffering=0) as f:
            os.pwrite(f.fileno(), marker.encode(), block * BLOCK)
        self.marked.add(name)

    def unmark(self, name, block=3):
        with open(os.path.join(self.store, name), "r+b", buffering=0) as f:
            os.pwrite(f.fileno(), bytes([block]) * 9, block * BLOCK)
        self.marked.discard(name)

    # -- what is said -------------------------------------------------------------------------

    def json(self, path, name="status"):
        return json.loads(os.getxattr(path, "user.weir." + name))

    def events(self, word=None):
        found = self.json(self.point, "events.0")
        return [event for event in found if word in (None, event["event"])]

    # -- others -------------------------------------------------------------------------------

    def loop(self, path):
        """Somebody who works on a disk all the time and checks each byte; see end_loops."""
        loop = Loop(path)
        self.loops.append(loop)
        loop.start()
        return loop

    def end_loops(self):
        loops, self.loops = self.loops, []
        for loop in loops:
            loop.stop = True
        for loop in loops:
            loop.join(helds.SECONDS)
            assert not loop.is_alive(), "a loop hangs"
        return loops

    def abort(self):
        """The test hangs: free whoever waits for the mount."""
        for process in self.processes:
            try:
                pid = int(open("/proc/%d/task/%d/children" % (process.pid, process.pid),
                               encoding="ascii").read().split()[-1])
                process.kill()
                os.kill(pid, signal.SIGKILL)
            except (OSError, IndexError):
                pass

    def finish(self):
        self.watchdog.cancel()
        for name in list(self.marked):
            self.unmark(name)           # whoever hangs goes on
        for fd in list(self.files):
            self.close(fd)
        try:
            self.end_loops()
        finally:
            self.end()


class Loop(threading.Thread):
    """Writes and reads blocks in turn; .turns, .worst (seconds), .errors"""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path = path
        self.stop = False
        self.turns = 0
        self.worst = 0.0
        self.errors = []

    def run(self):
        try:
            fd = os.open(self.path, os.O_RDWR)
            try:
                while not self.stop:
                    self.turn(fd)
            finally:
                os.close(fd)
        except OSError as error:
            self.errors.append(error)

    def turn(self, fd):
        block, want = self.turns % BLOCKS, bytes([self.turns % 251]) * BLOCK
        begin = time.monotonic()
        os.pwrite(fd, want, block * BLOCK)
        if os.pread(fd, BLOCK, block * BLOCK) != want:
            self.errors.append("wrong bytes in block %d" % block)
        if self.turns % 32 == 0:
            os.fsync(fd)
        self.worst = max(self.worst, time.monotonic() - begin)
        self.turns += 1


def read_block(path, block=3):
    """The block, or the errno."""
    try:
        fd = os.open(path, os.O_RDONLY)
        try:
            return os.pread(fd, BLOCK, block * BLOCK)
        finally:
            os.close(fd)
    except OSError as error:
        return error.errno


def fails_with_eio(call, *args):
    try:
        call(*args)
    except OSError as error:
        return error.errno == errno.EIO
    return False
