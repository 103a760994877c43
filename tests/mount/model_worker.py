# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/mount/model_worker.py - one user of the model comparison, as a process of its own.

    model_worker.py SOCKET UID GID GROUPS ROOT TWIN STRICT TIMES     (started by model.py)

Takes batches of operations from a socket, runs each on ROOT and then on TWIN, and compares.  The
answer is (codes, difference): per operation 0 or its errno on TWIN, and what differed first, if
anything; behind a difference nothing of the batch is run.  With STRICT=0 the operations in
DOCUMENTED may fail on ROOT; TWIN is then not touched, so that the trees stay equal.  TIMES=0: times
are not compared (relatime makes them depend on who read when).
"""
import array
import errno
import marshal
import os
import signal
import socket
import stat
import sys
import time


import syscalls
from operations import Side, Times

# What FUSE, or libfuse 3.14, does not carry.  Each must fail cleanly, or else work as below.
# operation -> (which calls of it, why).  Besides, and left out by the generator or the comparison:
#   a FIFO's times stay when it is written to    the kernel leaves times of FUSE inodes to the
#                                                server, which never sees that write
#   mtime after a mapped write                   comes with msync or write-back, not at the fault
#   F_SETFL cannot take O_APPEND away            from a passthrough descriptor: the kernel opened
#                                                the backing file with the flags of open(2)
#   set-gid without group execute                the kernel's FUSE does not take it away
#   trusted attributes are listed to root only   also on btrfs, which lists them to everybody
#   O_DIRECT need not be aligned                 weir reads and writes through the page cache
DOCUMENTED = {
    "tmpfile": (lambda op: True, "O_TMPFILE: libfuse 3.14 has no tmpfile operation"),
    "reflink": (lambda op: True, "FICLONE: FUSE has no remap_file_range"),
    "fallocate": (lambda op: op[2] & (syscalls.FALLOC_FL_COLLAPSE_RANGE |
                                      syscalls.FALLOC_FL_INSERT_RANGE |
                                      syscalls.FALLOC_FL_UNSHARE_RANGE),
                  "COLLAPSE, INSERT and UNSHARE_RANGE: the kernel's FUSE refuses them"),
    "rename": (lambda op: op[3] & syscalls.RENAME_WHITEOUT,
               "RENAME_WHITEOUT: only overlayfs asks for it"),
}
SLACK_NS = 300_000_000                  # two calls, one after the other, on a busy machine


def documented(operation):
    row = DOCUMENTED.get(operation[0])
    return bool(row and row[0](operation))


class Comparison:
    """Both trees, and when the comparison began (what the clock set is not older)."""

    def __init__(self, root, twin, strict, times=True):
        self.sides = (Side(root), Side(twin))
        self.strict = strict
        self.times = times
        self.began = time.time_ns() - SLACK_NS
        self.slack = SLACK_NS

    def step(self, operation):
        """Run an operation on both; returns (code, difference or None)."""
        start = time.monotonic_ns()
        mine = outcome(self.sides[0], operation)
        if mine[0] and not self.strict and documented(operation):
            return mine[0], None
        theirs = outcome(self.sides[1], operation)
        self.slack = max(self.slack, SLACK_NS + time.monotonic_ns() - start)
        if mine == theirs or self.alike(operation, mine, theirs):
            return theirs[0], None
        return theirs[0], told(mine, theirs)

    def alike(self, operation, mine, theirs):
        if mine[0] == theirs[0] == 0:
            if operation[0] in ("stat", "lstat", "fstat"):
                return self.same_stat(mine[1], theirs[1])
            if operation[0] == "listxattr" and os.geteuid() != 0:   # btrfs tells, weir does not
                return mine[1] == [n for n in theirs[1] if not n.startswith("trusted.")]
        if operation[0] == "seek" and operation[3] in (os.SEEK_DATA, os.SEEK_HOLE):
            return self.either_map_allowed(operation[1]) or self.alike_when_written(operation)
        return False

    def alike_when_written(self, operation):
        """btrfs flushes at a close after O_TRUNC, and what is on its way is data or hole."""
        fds = [side.fd(operation[1]) for side in self.sides]
        if min(fds) < 0 or syscalls.filesystem_type(fds[1]) != syscalls.BTRFS_MAGIC:
            return False
        for fd in fds:
            os.fsync(fd)
        if outcome(self.sides[0], operation) != outcome(self.sides[1], operation):
            return False
        os.lseek(fds[0], os.lseek(fds[1], 0, os.SEEK_CUR), os.SEEK_SET)
        return True

    def same_stat(self, mine, theirs):
        return same_mode(mine[0], theirs[0]) and mine[1:-1] == theirs[1:-1] and (
            not self.times or stat.S_ISFIFO(theirs[0]) or same_times(mine[-1], theirs[-1], self.began, self.slack))

    def either_map_allowed(self, slot):
        """Unwritten extents are data or hole depending on what is in the page cache."""
        fds = [side.fd(slot) for side in self.sides]
        if min(fds) < 0 or not syscalls.has_unwritten_extents(fds[1]):
            return False
        at = os.lseek(fds[1], 0, os.SEEK_CUR)
        os.lseek(fds[0], at, os.SEEK_SET)
        return True

    def give(self, slot):
        """The open files in a slot, for another user; None when there are none."""
        fds = [side.fds.get(slot) for side in self.sides]
        if None in fds:
            return None
        return fds, slot in self.sides[0].direct

    def take(self, slot, fds, direct):
        for side, fd in zip(self.sides, fds):
            side.put(slot, fd)
            if direct:
                side.direct.add(slot)


def same_mode(mine, theirs):
    """Equal, or set-gid stayed on a file without group execute (DOCUMENTED)."""
    return mine == theirs or (mine == theirs | stat.S_ISGID and stat.S_ISREG(mine) and
                              not mine & stat.S_IXGRP)


def same_times(mine, theirs, began, slack):
    """Equal; or both from the clock since the comparison began, and near each other."""
    for a, b in zip(Times(mine), theirs):
        if a == b:
            continue
        if a < began or b < began or abs(a - b) > slack or a > time.time_ns() + slack:
            return False
    return True


def outcome(side, operation):
    try:
        return 0, side.run(operation)
    except OSError as error:
        return error.errno, None
    except ValueError as error:
        return -1, str(error)           # Python refused: bad fd number, embedded NUL


def told(mine, theirs):
    """Both results for people; of long bytes only where they differ."""
    a, b = mine[1], theirs[1]
    if not isinstance(a, bytes) or not isinstance(b, bytes):
        return readable(mine), readable(theirs)
    at = next((i for i, pair in enumerate(zip(a, b)) if pair[0] != pair[1]), min(len(a), len(b)))
    return tuple("%d bytes, from %d on %r" % (len(x), at, x[at:at + 24]) for x in (a, b))


def readable(result):
    if result[0] > 0:
        return errno.errorcode.get(result[0], str(result[0]))
    text = repr(result[1])
    if isinstance(result[1], tuple) and result[1] and isinstance(result[1][-1], Times):
        text = "%s %s" % (stat.filemode(result[1][0]), text)
    return text if len(text) < 600 else text[:600] + "..."


def serve(channel, comparison):
    while True:
        message, fds, _, _ = socket.recv_fds(channel, 1 << 20, 4)
        if not message:
            return
        kind, body = marshal.loads(message)
        if kind == "batch":
            channel.send(marshal.dumps(run_batch(comparison, body)))
        elif kind == "give":
            given = comparison.give(body)
            if given:
                socket.send_fds(channel, [marshal.dumps(given[1])], given[0])
            else:
                channel.send(marshal.dumps(None))
        elif kind == "take":
            comparison.take(body[0], fds, body[1])
            channel.send(b"t")


def run_batch(comparison, batch):
    codes = array.array("i")
    for operation in batch:
        code, difference = comparison.step(operation)
        codes.append(code)
        if difference:
            return list(codes), difference
    return list(codes), None


def main(arguments):
    channel = socket.socket(fileno=int(arguments[0]))
    uid, gid = int(arguments[1]), int(arguments[2])
    groups = [int(g) for g in arguments[3].split(",") if g]
    syscalls.die_with_parent(signal.SIGKILL)
    syscalls.become(uid, gid, groups)
    syscalls.die_with_parent(signal.SIGKILL)    # changing the user took it back
    os.umask(0o022)
    comparison = Comparison(os.fsencode(arguments[4]), os.fsencode(arguments[5]),
                            arguments[6] == "1", arguments[7] == "1")
    serve(channel, comparison)
    for side in comparison.sides:
        side.close()


if __name__ == "__main__":
    main(sys.argv[1:])
