# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/resume/points.py - operations that must not run twice, each with what must come of it.

An Operation has before(dir) (what there must be), call(dir) (what is done while the worker is
killed) and after(dir, value) (what must be true then).  call returns a value or raises OSError with
`fails`.  sweep() kills the worker at the first, second, third ... system call of the operation, at
its entry and at its exit, until the operation needs no more of them.
"""
import errno
import os
import stat
import subprocess
import threading
import time

import run as runs
import syscalls

LIMIT = 8                               # seconds a call may take; then it hangs
SECOND_MAX = 400                        # calls of a worker's start, roughly


class Hangs(AssertionError):
    pass


class Operation:
    """See the head of the file."""

    def __init__(self, name, call, before=(), after=None, fails=0, values=None):
        self.name = name
        self.call = call
        self.before = before            # names to make: d/ directory, a+ a= attributes, a* policy
        self.after = after              # after(directory, value): a text when it is wrong
        self.fails = fails
        self.there = values             # names that must be there afterwards, exactly


def join(directory, name):
    return os.path.join(directory, name)


def create(d):
    fd = os.open(join(d, "new"), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
    try:
        os.write(fd, b"content")
        return os.fstat(fd).st_ino
    finally:
        os.close(fd)


def create_and_go_on(d):
    """O_CREAT without O_EXCL."""
    fd = os.open(join(d, "new"), os.O_RDWR | os.O_CREAT, 0o640)
    os.close(fd)


def has_content(d, _value):
    with open(join(d, "new"), "rb") as f:
        got = f.read()
    return None if got == b"content" else "contents are %r" % got


def same_inode(d, value):
    return has_content(d, value) or (
        None if os.stat(join(d, "new")).st_ino == value else "another inode")


def open_and(change, check=True):
    """Hold "a" open over @change, and use it afterwards."""
    def call(d):
        fd = os.open(join(d, "a"), os.O_RDWR)
        try:
            os.pwrite(fd, b"before", 0)
            change(d)
            os.pwrite(fd, b"after", 6)
            return (os.pread(fd, 100, 0), os.fstat(fd).st_nlink)
        finally:
            os.close(fd)
    return call


def held_result(links):
    def after(_d, value):
        return None if value == (b"beforeafter", links) else "the open file has %r" % (value,)
    return after


def rename_over_open(d):
    fd = os.open(join(d, "b"), os.O_RDWR)
    try:
        os.pwrite(fd, b"old b", 0)
        os.rename(join(d, "a"), join(d, "b"))
        return (os.pread(fd, 100, 0), os.fstat(fd).st_nlink)
    finally:
        os.close(fd)


def exchange(d):
    one, two = (os.stat(join(d, n)).st_ino for n in "ab")
    syscalls.renameat2(os.fsencode(join(d, "a")), os.fsencode(join(d, "b")),
                       syscalls.RENAME_EXCHANGE)
    return two, one


def exchanged(d, value):
    """By a listing: the kernel has made the exchange in its own cache, whatever became of it."""
    with os.scandir(d) as entries:
        found = {entry.name: entry.inode() for entry in entries}
    got = (found.get("a"), found.get("b"))
    return None if got == value else "inodes are %r, should be %r" % (got, value)


def noreplace(d):
    syscalls.renameat2(os.fsencode(join(d, "a")), os.fsencode(join(d, "new")),
                       syscalls.RENAME_NOREPLACE)


def noreplace_taken(d):
    syscalls.renameat2(os.fsencode(join(d, "a")), os.fsencode(join(d, "b")),
                       syscalls.RENAME_NOREPLACE)


def append(d):
    fd = os.open(join(d, "a"), os.O_WRONLY | os.O_APPEND)
    try:
        for part in (b"one", b"two", b"three"):
            os.write(fd, part)
    finally:
        os.close(fd)


def appended(d, _value):
    with open(join(d, "a"), "rb") as f:
        got = f.read()
    return None if got == b"onetwothree" else "contents are %r" % got


def link_count(name, count):
    def after(d, _value):
        got = os.stat(join(d, name)).st_nlink
        return None if got == count else "%d links" % got
    return after


def attribute(name, flags):
    return lambda d: os.setxattr(join(d, "a"), name, b"value", flags)


def has_attribute(name, value):
    def after(d, _value):
        try:
            got = os.getxattr(join(d, "a"), name)
        except OSError as error:
            got = None if error.errno == errno.ENODATA else error
        return None if got == value else "the attribute is %r" % (got,)
    return after


def remove_attribute(name):
    return lambda d: os.removexattr(join(d, "a"), name)


def policy(name):
    return lambda d: os.setxattr(join(d, "a"), "user.weir.policy", name)


def clear_policy(d):
    os.removexattr(join(d, "a"), "user.weir.policy")


def kind_is(name, test):
    def after(d, _value):
        mode = os.lstat(join(d, name)).st_mode
        return None if test(mode) else "mode is %o" % mode
    return after


def truncate(d):
    fd = os.open(join(d, "a"), os.O_RDWR | os.O_TRUNC)
    os.write(fd, b"fresh")
    os.close(fd)


def truncated(d, _value):
    with open(join(d, "a"), "rb") as f:
        got = f.read()
    return None if got == b"fresh" else "contents are %r" % got


USER, TRUSTED = "user.point", "trusted.point"
OPERATIONS = (
    Operation("create", create, (), same_inode, values=("new",)),
    Operation("create a name that is taken", create, ("new",), fails=errno.EEXIST,
              values=("new",)),
    Operation("create without O_EXCL", create_and_go_on, (), values=("new",)),
    Operation("mkdir", lambda d: os.mkdir(join(d, "new")), (), kind_is("new", stat.S_ISDIR),
              values=("new",)),
    Operation("mkdir of a name that is taken", lambda d: os.mkdir(join(d, "new")), ("new/",),
              fails=errno.EEXIST, values=("new",)),
    Operation("mknod", lambda d: os.mknod(join(d, "new"), stat.S_IFIFO | 0o600), (),
              kind_is("new", stat.S_ISFIFO), values=("new",)),
    Operation("symlink", lambda d: os.symlink("x", join(d, "new")), (),
              kind_is("new", stat.S_ISLNK), values=("new",)),
    Operation("link", lambda d: os.link(join(d, "a"), join(d, "new")), ("a",),
              link_count("a", 2), values=("a", "new")),
    Operation("link to a name that is taken", lambda d: os.link(join(d, "a"), join(d, "b")),
              ("a", "b"), link_count("a", 1), fails=errno.EEXIST, values=("a", "b")),
    Operation("unlink", lambda d: os.unlink(join(d, "a")), ("a",), values=()),
    Operation("unlink of nothing", lambda d: os.unlink(join(d, "a")), (), fails=errno.ENOENT,
              values=()),
    Operation("unlink of an open file", open_and(lambda d: os.unlink(join(d, "a"))), ("a",),
              held_result(0), values=()),
    Operation("rmdir", lambda d: os.rmdir(join(d, "d")), ("d/",), values=()),
    Operation("rmdir of a full one", lambda d: os.rmdir(join(d, "d")), ("d/", "d/x"),
              fails=errno.ENOTEMPTY, values=("d",)),
    Operation("rename", lambda d: os.rename(join(d, "a"), join(d, "new")), ("a",),
              values=("new",)),
    Operation("rename over", lambda d: os.rename(join(d, "a"), join(d, "b")), ("a", "b"),
              values=("b",)),
    Operation("rename of an open file",
              open_and(lambda d: os.rename(join(d, "a"), join(d, "new"))), ("a",), held_result(1),
              values=("new",)),
    Operation("rename over an open file", rename_over_open, ("a", "b"),
              lambda d, v: None if v == (b"old b", 0) else "the open file has %r" % (v,),
              values=("b",)),
    Operation("rename of a directory over an empty one",
              lambda d: os.rename(join(d, "d"), join(d, "e")), ("d/", "d/x", "e/"),
              lambda d, v: None if os.listdir(join(d, "e")) == ["x"] else "not moved",
              values=("e",)),
    Operation("rename NOREPLACE", noreplace, ("a",), values=("new",)),
    Operation("rename NOREPLACE to a name that is taken", noreplace_taken, ("a", "b"),
              fails=errno.EEXIST, values=("a", "b")),
    Operation("rename EXCHANGE", exchange, ("a", "b"), exchanged, values=("a", "b")),
    Operation("rename EXCHANGE of directories", exchange, ("a/", "b/"), exchanged,
              values=("a", "b")),
    Operation("setxattr CREATE", attribute(USER, os.XATTR_CREATE), ("a",),
              has_attribute(USER, b"value"), values=("a",)),
    Operation("setxattr CREATE of one that is there", attribute(USER, os.XATTR_CREATE), ("a+",),
              has_attribute(USER, b"old"), fails=errno.EEXIST, values=("a",)),
    Operation("setxattr CREATE of one that has that value", attribute(USER, os.XATTR_CREATE),
              ("a=",), has_attribute(USER, b"value"), fails=errno.EEXIST, values=("a",)),
    Operation("removexattr of one that is not there", remove_attribute(USER), ("a",),
              fails=errno.ENODATA, values=("a",)),
    Operation("setxattr REPLACE of one that is not there", attribute(USER, os.XATTR_REPLACE),
              ("a",), has_attribute(USER, None), fails=errno.ENODATA, values=("a",)),
    Operation("clear a policy that is not there", clear_policy, ("a",), fails=errno.ENODATA,
              values=("a",)),
    Operation("setxattr REPLACE", attribute(USER, os.XATTR_REPLACE), ("a+",),
              has_attribute(USER, b"value"), values=("a",)),
    Operation("removexattr", remove_attribute(USER), ("a+",), has_attribute(USER, None),
              values=("a",)),
    Operation("setxattr CREATE, trusted", attribute(TRUSTED, os.XATTR_CREATE), ("a",),
              has_attribute(TRUSTED, b"value"), values=("a",)),
    Operation("removexattr, trusted", remove_attribute(TRUSTED), ("a+",),
              has_attribute(TRUSTED, None), values=("a",)),
    Operation("append", append, ("a",), appended, values=("a",)),
    Operation("truncate at open", truncate, ("a",), truncated, values=("a",)),
    Operation("attach a policy", policy(b"observe"), ("a",),
              has_attribute("user.weir.policy", b"observe"), values=("a",)),
    Operation("attach another policy", policy(b"silver"), ("a*",),
              has_attribute("user.weir.policy", b"silver"), values=("a",)),
    Operation("attach a policy to a directory", policy(b"observe"), ("a/",),
              has_attribute("user.weir.policy", b"observe"), values=("a",)),
    Operation("clear a policy", clear_policy, ("a*",), has_attribute("user.weir.policy", None),
              values=("a",)),
    Operation("attach a policy that is not there", policy(b"nonsense"), ("a*",),
              has_attribute("user.weir.policy", b"observe"), fails=errno.EINVAL, values=("a",)),
    Operation("unlink of a disk with a policy", lambda d: os.unlink(join(d, "a")), ("a*",),
              values=()),
    Operation("rename of a disk with a policy",
              lambda d: os.rename(join(d, "a"), join(d, "new")), ("a*",), values=("new",)),
    Operation("rename over a disk with a policy",
              lambda d: os.rename(join(d, "a"), join(d, "b")), ("a", "b*"), values=("b",)),
    Operation("rename over an open disk with a policy", rename_over_open, ("a", "b*"),
              lambda d, v: None if v == (b"old b", 0) else "the open file has %r" % (v,),
              values=("b",)),
    Operation("unlink of an open disk with a policy",
              open_and(lambda d: os.unlink(join(d, "a"))), ("a*",), held_result(0), values=()),
)


def make(directory, names):
    os.mkdir(directory)
    for name in names:
        path = join(directory, name.rstrip("/+*="))
        if name.endswith("/"):
            os.mkdir(path)
            continue
        with open(path, "xb"):
            pass
        if name.endswith("="):
            os.setxattr(path, USER, b"value")
        if name.endswith("*"):
            os.setxattr(path, "user.weir.policy", b"observe")
        if name.endswith("+"):
            os.setxattr(path, USER, b"old")
            os.setxattr(path, TRUSTED, b"old")


def bounded(function, *arguments):
    """function(*arguments) in a thread that is given LIMIT seconds."""
    result = []

    def work():
        try:
            result.append((function(*arguments), None))
        except OSError as error:
            result.append((None, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(LIMIT)
    if not result:
        raise Hangs("no answer within %d s" % LIMIT)
    return result[0]


class Point:
    """The worker, killed at its n-th system call from now on."""

    second = follower = None

    def __init__(self, victim, n, moment, after=0):
        program = os.path.join(os.path.dirname(runs.data_program()), "killpoint")
        self.victim = victim
        self.pid = victim.next_worker(after)
        assert self.pid, "no worker"
        self.process = subprocess.Popen([program, str(self.pid), str(n), moment],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ready = self.process.stdout.readline()

    def again(self, n, moment):
        """Kill the next worker, too, at its n-th call from its birth on."""
        def follow():
            self.process.wait()
            if self.process.returncode == 0 and self.victim.next_worker(self.pid):
                self.second = Point(self.victim, n, moment, self.pid)
        self.follower = threading.Thread(target=follow, daemon=True)
        self.follower.start()

    def end(self):
        """(whether it was killed, at which call)."""
        if self.follower:
            self.follower.join(LIMIT)
        if self.second:
            self.second.end()
        self.process.stdin.close()
        said = self.process.stdout.read().split()
        self.process.stdout.close()
        self.process.wait(LIMIT)
        return said[:1] == ["killed"], said[1] if len(said) > 1 else "?"


def wrong(operation, directory, value, error):
    """What is not right after an operation, or None."""
    got = error.errno if error else 0
    if got != operation.fails:
        return "came to %s, should come to %s" % (
            errno.errorcode.get(got, "success"), errno.errorcode.get(operation.fails, "success"))
    if operation.after:
        text = operation.after(directory, value)
        if text:
            return text
    there = sorted(os.listdir(directory))
    if there != sorted(operation.there):
        return "names are %r, should be %r" % (there, sorted(operation.there))
    return None


def one_point(victim, operation, directory, n, moment, second=None):
    """Kill at the n-th call, and the next worker at its call @second.

    (whether it came to that, a text when something is wrong)
    """
    make(directory, operation.before)
    time.sleep(0.11)                    # a worker that served for so long is started again at once
    point = Point(victim, n, moment)
    if second:
        point.again(second, moment)
    try:
        value, error = bounded(operation.call, directory)
    except Hangs as hang:
        point.process.kill()
        return False, "%s\n%s" % (hang, victim.where_everybody_is())
    killed, name = point.end()
    text = None
    try:
        (text, error) = bounded(wrong, operation, directory, value, error)
        if error:
            text = "afterwards: %s" % error
    except Hangs as hang:
        text = "afterwards: %s" % hang
    if killed and not victim.next_worker(point.pid):
        text = "no worker after the kill"
    return killed, text and "%s: killed at the %s of call %d, %s%s: %s" % (
        operation.name, moment, n, name, ", and again at %d" % second if second else "", text)


def sweep(victim, operation, top, limit=250, step=1, first=1, seconds=60, draw=None):
    """All points of an operation, with @draw each with a second kill: (points, list of faults)."""
    faults, points, end = [], 0, time.monotonic() + seconds
    for moment in ("entry", "exit"):
        for n in range(first, limit, step):
            second = draw.randrange(1, SECOND_MAX) if draw else None
            killed, text = one_point(victim, operation, join(top, "%s-%d" % (moment, n)), n, moment,
                                     second)
            if text:
                faults.append(text)
            if not killed or len(faults) > 5 or time.monotonic() > end:
                break
            points += 1
    return points, faults
