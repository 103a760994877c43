# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/faults/faults_rig.py - what tests of faults share: small filesystems, full ones, workers."""
import errno
import os
import subprocess
import time

import syscalls
import weir as weirs

BLOCK = 4096


def worker(mount):
    """The pid of the process that serves a mount; waits while there is none."""
    return mount.worker()


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid, "rb") as f:
            return f.read().rsplit(b")", 1)[1].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def fill(path, leave=0):
    """Take all space of a filesystem but about @leave bytes; returns the names of the ballast."""
    names = [os.path.join(path, "ballast"), os.path.join(path, "ballast2")]
    with open(names[0], "wb") as f:
        free = os.fstatvfs(f.fileno()).f_bavail * os.fstatvfs(f.fileno()).f_frsize
        while free > leave:
            try:
                os.posix_fallocate(f.fileno(), 0, os.fstat(f.fileno()).st_size + free - leave)
                break
            except OSError as error:
                assert error.errno == errno.ENOSPC, error
                free = free * 9 // 10
    if not leave:                       # what fallocate could not get
        eat(names[1])
    os.sync()
    return names


def eat(path):
    """Write until there is no room: large pieces, then small ones."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for size in (1 << 20, 65536, 4096, 512):
            try:
                while True:
                    os.write(fd, b"b" * size)
            except OSError as error:
                assert error.errno == errno.ENOSPC, error
            os.fsync(fd)
    except OSError as error:
        assert error.errno == errno.ENOSPC, error
    finally:
        os.close(fd)


def empty(names):
    for name in names:
        if os.path.exists(name):
            os.unlink(name)
    os.sync()


def fails(numbers, call, *arguments):
    """The call must fail with one of these errnos; returns which."""
    numbers = numbers if isinstance(numbers, tuple) else (numbers,)
    try:
        call(*arguments)
    except OSError as error:
        assert error.errno in numbers, "%s instead of %s" % (
            error, [errno.errorcode[n] for n in numbers])
        return error.errno
    raise AssertionError("succeeds instead of %s" % [errno.errorcode[n] for n in numbers])


def eventually(question, what, seconds=15):
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end, "not after %d s: %s" % (seconds, what)
        time.sleep(0.02)


def write_new(path, data):
    """Create a file and make it durable."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        assert os.write(fd, data) == len(data)
        os.fsync(fd)
    finally:
        os.close(fd)


def read(path):
    with open(path, "rb", buffering=0) as f:
        return f.read()


def lines(mount, pattern):
    return [line for line in mount.log().splitlines() if pattern in line]


def check(mount, state=None):
    """Exit code and words of `weir check` on a datastore that is not mounted."""
    command = [weirs.program("weir"), "check"]
    command += ["-o", "state=" + state] if state else []
    done = subprocess.run(command + [mount.store], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60, check=False)
    return done.returncode, done.stdout.decode(errors="replace")


def check_no_damage(mount, state=None):
    code, words = check(mount, state)
    assert code in (0, 1), words
    return words


def trigger_error(place):
    """Tell ext4 that it met an error: with errors=remount-ro it refuses writes from now on."""
    device = os.stat(place.path).st_dev
    name = os.path.basename(os.readlink("/sys/dev/block/%d:%d" % (
        os.major(device), os.minor(device))))
    with open("/sys/fs/ext4/%s/trigger_fs_error" % name, "w", encoding="ascii") as f:
        f.write("test")


def inode_by_handle(mount, handle):
    """The inode number of the file that a handle (syscalls.name_to_handle) leads to."""
    root = os.open(mount, os.O_RDONLY)
    try:
        fd = syscalls.open_by_handle(root, handle, os.O_PATH)
    finally:
        os.close(root)
    try:
        return os.stat(fd).st_ino
    finally:
        os.close(fd)
