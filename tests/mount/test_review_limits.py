# SPDX-License-Identifier: GPL-2.0-or-later
"""A throttled disk with a long line in front of its limit is no burden for others."""
import os
import threading
import time

from test_review_end import policies, read_at

SIZE = 1 << 24


def throttled(weir, name, reads):
    """A disk under the slow policy and as many reads waiting for it: a file and threads."""
    path = weir.in_mount(name)
    with open(path, "wb") as f:
        f.truncate(SIZE)
    os.setxattr(path, "user.weir.policy", b"slow")
    fd = os.open(path, os.O_RDWR | os.O_DIRECT)
    results = []
    threads = [threading.Thread(target=read_at, args=(fd, 4096 * i, results))
               for i in range(reads)]
    for thread in threads:
        thread.start()
    return fd, threads


def finish(fd, threads):
    for thread in threads:
        thread.join()
    os.close(fd)


def test_clearing_a_limit_does_not_wait_for_its_line(mounted, directory):
    """60 reads at 5 a second would be 11 seconds of waiting."""
    weir = mounted(options="policies=" + policies(directory, 5))
    fd, threads = throttled(weir, "disk.img", 60)
    time.sleep(0.3)
    start = time.monotonic()
    os.removexattr(weir.in_mount("disk.img"), "user.weir.policy")
    assert time.monotonic() - start < 2
    finish(fd, threads)
    assert time.monotonic() - start < 4
