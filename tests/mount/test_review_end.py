# SPDX-License-Identifier: GPL-2.0-or-later
"""The end of a mount while requests run, wait, or are about to come: nothing hangs or crashes."""
import errno
import mmap
import os
import signal
import threading
import time

import syscalls

SLOW = """weir: 1
name: slow
version: 1
description: %s operations a second.
stages:
  limit: {iops: %s}
"""


def policies(directory, iops):
    path = os.path.join(directory, "policies")
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, "slow.yaml"), "w", encoding="utf-8") as f:
        f.write(SLOW % (iops, iops))
    return path


def abort(path):
    """End the connection at once; the mount stays because files are open."""
    try:
        syscalls.umount2(path, syscalls.MNT_FORCE)
    except OSError as error:
        assert error.errno == errno.EBUSY


def read_at(fd, offset, results):
    try:
        with mmap.mmap(-1, 4096) as page:
            results.append(os.preadv(fd, [page], offset))
    except OSError as error:
        results.append(error.errno)


def resize(fd, results):
    try:
        os.ftruncate(fd, 1 << 25)
        results.append(0)
    except OSError as error:
        results.append(error.errno)


def test_an_aborted_connection_ends_the_worker_while_requests_wait(mounted, directory):
    """A resize runs alone: many reads wait for that one to end, and it ends after the abort."""
    weir = mounted(options="policies=" + policies(directory, 20))
    disk = weir.in_mount("disk.img")
    with open(disk, "wb") as f:
        f.truncate(1 << 24)
    os.setxattr(disk, "user.weir.policy", b"slow")
    fd = os.open(disk, os.O_RDWR | os.O_DIRECT)
    results = []
    threads = [threading.Thread(target=read_at, args=(fd, 4096 * i, results)) for i in range(60)]
    threads.insert(30, threading.Thread(target=resize, args=(fd, results)))
    for thread in threads:
        thread.start()
        time.sleep(0.01)
    abort(weir.path)
    for thread in threads:
        thread.join()
    os.close(fd)
    assert len(results) == 61
    assert weir.process.wait(20) == 0, weir.log()
    syscalls.umount2(weir.path, syscalls.MNT_DETACH)
    weir.process = None


def test_signals_while_the_worker_ends(mounted):
    weir = mounted()
    for _ in range(10):
        process = weir.process
        stop = threading.Event()

        def annoy():
            while not stop.is_set():
                try:
                    os.kill(process.pid, signal.SIGHUP)
                except ProcessLookupError:
                    return

        thread = threading.Thread(target=annoy)
        thread.start()
        try:
            weir.stop()
        finally:
            stop.set()
            thread.join()
        weir.start()
