# SPDX-License-Identifier: GPL-2.0-or-later
"""The holder dies: the worker serves on, and a new holder takes the mount over."""
import os
import signal
import subprocess
import time

import pytest

import syscalls

from held import alive, wait_until
from test_worker_dies import Client


def real(held):
    """With weir's own worker: it is found by its datastore's lock, which the stub has not."""
    h = held()
    h.use_real()
    with open(os.path.join(h.store, "raw.img"), "wb") as image:
        image.truncate(1 << 20)
    return h


def kill_holder(h, process):
    status = h.status()
    os.kill(status["holder"], signal.SIGKILL)
    process.wait(20)
    return status


@pytest.mark.parametrize("options", [(), ("-o", "passthrough=off,threads=8")])
def test_a_new_holder(held, options):
    h = real(held)
    process = h.start(*options)
    with open(h.point + "/raw.img", "r+b", buffering=0) as image:
        image.write(b"before")
        before = kill_holder(h, process)
        with Client(h.point) as client:
            time.sleep(0.2)
            assert client.calls and alive(before["worker"]), "the worker serves on"
            h.weir("upgrade", h.point)
            after = h.serving(other_than=before["worker"])
        assert client.error is None
        image.write(b" after")
        os.fsync(image.fileno())
    assert after["holder"] != before["holder"] and not alive(before["worker"])
    with open("/proc/%d/cmdline" % after["worker"], "rb") as words:
        words = words.read().split(b"\0")
    assert all(word.encode() in words for word in options) and b"-f" not in words
    with open(h.store + "/raw.img", "rb") as image:
        assert image.read(12) == b"before after"
    os.kill(after["worker"], signal.SIGKILL)         # and it does what a holder does
    h.serving(other_than=after["worker"])
    h.weir("umount", h.point)
    wait_until(lambda: not alive(after["holder"]), "the end")


def test_the_holder_is_upgraded_too(held):
    h = real(held)
    process = h.start()
    before = h.status()
    with Client(h.point) as client:
        h.weir("upgrade", "--holder", h.point)
        after = h.serving(other_than=before["worker"])
    process.wait(20)
    assert client.error is None and after["holder"] != before["holder"]
    h.weir("umount", h.point)


def test_killed_while_it_starts(held):
    """At any moment: there is no mount then, or one that goes away; the next one works."""
    h = real(held)
    for i in range(16):
        process = h.spawn("-f")
        time.sleep(0.003 * i)
        process.kill()
        process.wait(20)
        time.sleep(0.1)                 # a worker that was not mounted yet ends by itself
        if h.mounted():
            if not h.workers():
                syscalls.umount2(h.point, syscalls.MNT_DETACH)
            else:
                h.weir("umount", h.point)
        wait_until(lambda: not h.workers(), "the end of the worker")
    process = h.start()
    assert os.path.getsize(h.point + "/raw.img") == 1 << 20
    h.umount()
    assert process.wait(20) == 0


def test_two_holders_are_one_too_many(held):
    """A worker whose holder lives is not taken away from it."""
    h = real(held)
    h.start()
    status = h.status()
    assert h.spawn("--adopt=%d" % status["worker"]).wait(20) == 1
    assert "busy" in h.log() and h.status() == status


def test_a_process_that_is_no_worker(held):
    h = real(held)
    assert h.spawn("--adopt=%d" % os.getpid()).wait(20) == 1
    assert h.spawn("--adopt=1").wait(20) == 1
    assert not h.mounted()


def test_both_die(held):
    """Without a store the mount is dead then; it goes away, and comes again, with all bytes."""
    h = real(held)
    process = h.start()
    with open(h.point + "/raw.img", "r+b", buffering=0) as image:
        image.write(b"acknowledged")
    status = kill_holder(h, process)
    os.kill(status["worker"], signal.SIGKILL)
    wait_until(lambda: not alive(status["worker"]), "the end of the worker")
    with pytest.raises(OSError):
        os.listdir(h.point)
    assert "umount" in h.weir("upgrade", h.point, code=1)
    h.weir("umount", h.point)
    h.weir("mount", h.store, h.point)
    with open(h.point + "/raw.img", "rb") as image:
        assert image.read(12) == b"acknowledged"
    wait_until(h.find_socket, "the socket")
    h.status()
    h.weir("umount", h.point)


def test_unmount_without_holder(held):
    """`weir umount` waits for the worker then."""
    h = real(held)
    status = kill_holder(h, h.start())
    h.weir("umount", h.point)
    assert not alive(status["worker"]) and not h.mounted()
    assert subprocess.run(["flock", "-n", h.store + "/.weir/lock", "true"], timeout=20,
                          check=False).returncode == 0


def test_a_program_that_cannot_go_on_takes_nothing(held):
    """The worker that serves is better than none that starts."""
    h = real(held)
    process = h.start()
    before = kill_holder(h, process)
    h.install("weir-worker", "noslate")
    out = h.weir("upgrade", h.point, code=1)
    assert "left alone" in out, out
    assert alive(before["worker"])
    with open(h.point + "/raw.img", "rb") as image:
        assert len(image.read()) == 1 << 20
    for name in ("weir-worker", "weir-broker", "weir-recognise", "weir"):
        os.unlink(os.path.join(h.bin, name))
    h.use_real()
    h.weir("upgrade", h.point)
    h.serving(other_than=before["worker"])
    h.weir("umount", h.point)


def test_nobody_checks_a_mount_without_worker(held):
    """While no worker lives nobody has the datastore's lock, and yet it is mounted."""
    h = real(held)
    process = h.start()
    status = kill_holder(h, process)
    os.kill(status["worker"], signal.SIGKILL)
    wait_until(lambda: not alive(status["worker"]), "the end of the worker")
    for words in ((), ("--rebuild",)):
        out = h.weir("check", *words, h.store, code=8)
        assert "unmount it first" in out and h.point in out, out
    h.weir("umount", h.point)
    h.weir("check", h.store)
