# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/mount/model.py - random operations on a mount and on its twin, compared step by step.

A Model owns one worker process per user (model_worker.py) and both trees; it feeds them batches,
compares whole trees now and then, three ways: the mount, the twin, and the datastore behind the
mount.  A difference raises Difference, which carries the sequence so far; Model.replay runs a
sequence again, and reduce() cuts it down to what is needed for the difference.
"""
import marshal
import os
import socket
import subprocess
import time

import snapshot
from generator import USERS, Generator
from model_worker import SLACK_NS

HERE = os.path.dirname(os.path.abspath(__file__))
ANSWER_SECONDS = 30


class Difference(AssertionError):
    """What was not equal, after which steps: self.steps = [(user, operation)], None: compare."""

    def __init__(self, text, steps):
        super().__init__(text)
        self.text = text
        self.steps = list(steps)


class User:
    """The worker process of one user."""

    def __init__(self, row, root, twin, strict, times):
        self.name = row[0]
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        ours.settimeout(ANSWER_SECONDS)
        self.socket = ours
        self.process = subprocess.Popen(
            ["/usr/bin/python3", os.path.join(HERE, "model_worker.py"), str(theirs.fileno()),
             str(row[1]), str(row[2]), ",".join(map(str, row[3])), root, twin, str(int(strict)),
             str(int(times))],
            pass_fds=[theirs.fileno()], start_new_session=True, cwd="/")
        theirs.close()

    def ask(self, kind, body, fds=()):
        if fds:
            socket.send_fds(self.socket, [marshal.dumps((kind, body))], fds)
        else:
            self.socket.send(marshal.dumps((kind, body)))
        message, received, _, _ = socket.recv_fds(self.socket, 1 << 20, 4)
        if not message:
            raise EOFError
        return message, received

    def close(self):
        self.socket.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(ANSWER_SECONDS)


class Model:
    """@root is a directory on the mount, @twin one elsewhere, @store @root's place behind weir."""

    def __init__(self, root, twin, store=None, strict=False, times=True, users=USERS):
        self.roots = [os.fsencode(p) for p in (root, twin) + ((store,) if store else ())]
        self.times = times
        self.rows = users
        self.strict = strict
        self.users = []
        self.steps = []
        self.failures = {}              # how often each operation worked, and did not

    def __enter__(self):
        self.began = time.time_ns() - 10**9     # coarse clocks, and a slow start
        for path in self.roots[:2]:
            os.makedirs(path, exist_ok=True)
            os.chmod(path, 0o777)
        self.users = [User(row, os.fsdecode(self.roots[0]), os.fsdecode(self.roots[1]),
                           self.strict, self.times) for row in self.rows]
        return self

    def __exit__(self, *exception):
        for user in self.users:
            user.close()
        self.users = []

    # -- running ------------------------------------------------------------------------------

    def random(self, seed, steps, every=1500, only=None):
        """@steps random operations, the trees compared after every @every."""
        generator = Generator(seed, only=only)
        done = since = 0
        while done < steps:
            user = generator.user()
            if generator.random.random() < 0.01:
                self.give(user, generator.user(), generator.slot(), generator.slot())
            batch = [generator.next(user) for _ in range(generator.random.randrange(1, 9))]
            for operation, code in zip(batch, self.batch(user, batch)):
                generator.tell(user, operation, code)
            done += len(batch)
            since += len(batch)
            if since >= every:
                since = 0
                self.compare()
            if generator.chance(2):
                self.heal()
        self.compare()

    def batch(self, user, operations):
        """Run operations as a user; returns their codes."""
        try:
            message, _ = self.users[user].ask("batch", operations)
        except (TimeoutError, EOFError, ConnectionError) as error:
            self.steps += [(user, operation) for operation in operations]
            raise Difference("%s: no answer (%s: %s)" % (self.users[user].name,
                             type(error).__name__, error), self.steps) from error
        codes, difference = marshal.loads(message)
        self.steps += [(user, operation) for operation in operations[:len(codes)]]
        for operation, code in zip(operations, codes):
            key = operation[0], bool(code)
            self.failures[key] = self.failures.get(key, 0) + 1
        if difference:
            raise Difference("as %s: %r:\n  mount: %s\n  twin:  %s" % (
                self.users[user].name, self.steps[-1][1], *difference), self.steps)
        return codes

    def give(self, source, target, slot, new):
        """Pass an open file from one user to another."""
        if source == target:
            return
        self.steps.append((source, ("give", target, slot, new)))
        message, fds = self.users[source].ask("give", slot)
        if fds:
            self.users[target].ask("take", (new, marshal.loads(message)), fds)
            for fd in fds:
                os.close(fd)

    def heal(self):
        """Root opens up directories, or after a while everybody stands before closed doors."""
        for directory, names, _ in os.walk(self.roots[1]):
            for name in names:
                path = os.path.join(directory, name)
                if not os.path.islink(path) and os.lstat(path).st_mode & 0o777 < 0o700:
                    self.batch(0, [("chmod", os.path.relpath(path, self.roots[1]), 0o777)])

    def compare(self):
        """Whole trees; raises Difference."""
        self.steps.append(None)
        trees = [snapshot.take(root) for root in self.roots]
        snapshot.loosen(trees)
        text = snapshot.difference(trees[0], trees[1], self.began, SLACK_NS, self.times)
        if text:
            raise Difference("the trees differ: mount: " + text, self.steps)
        if len(trees) > 2:
            text = snapshot.difference(trees[2], trees[1], self.began, SLACK_NS, self.times)
            if text:
                raise Difference("the trees differ: datastore: " + text, self.steps)

    def replay(self, steps):
        """Run a sequence again; returns the Difference or None."""
        try:
            for step in steps:
                if step is None:
                    self.compare()
                elif step[1][0] == "give":
                    self.give(step[0], *step[1][1:])
                else:
                    self.batch(step[0], [step[1]])
            self.compare()
        except Difference as difference:
            return difference
        return None

    def summary(self):
        """How many operations of each name worked and failed."""
        names = sorted({name for name, _ in self.failures})
        return ", ".join("%s %d/%d" % (n, self.failures.get((n, False), 0),
                                       self.failures.get((n, True), 0)) for n in names)


def reduce(steps, differs, seconds=120):
    """Delta debugging: a short sequence for which differs(steps) still holds."""
    end = time.monotonic() + seconds
    size = max(1, len(steps) // 2)
    while True:
        shorter = without_parts(steps, size, differs, end)
        if time.monotonic() > end or (size == 1 and len(shorter) == len(steps)):
            return shorter
        steps, size = shorter, max(1, size // 2)


def without_parts(steps, size, differs, end):
    """Leave out each part of @size steps, from the back, that is not needed."""
    at = len(steps) - size
    while at > -size and time.monotonic() < end:
        start = max(at, 0)
        shorter = steps[:start] + steps[at + size:]
        if differs(shorter):
            steps = shorter
        at -= size
    return steps


def write_steps(path, steps):
    with open(path, "w", encoding="ascii") as f:
        f.writelines(repr(step) + "\n" for step in steps)
