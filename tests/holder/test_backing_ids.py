# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that are open past the daemon: the holder registers them, and lets go of every one."""
import os
import signal
import struct

import pytest

from held import wait_until
from test_holder_dies import real

BEHIND_HEADER = struct.calcsize("=QIIQiiiIIiQQQII")


def registered(h):
    """How many backing ids the ledger has, read from the holder's own memory file."""
    folder = "/proc/%d/fd" % h.status()["holder"]
    for name in os.listdir(folder):
        try:
            target = os.readlink(os.path.join(folder, name))
        except FileNotFoundError:           # a file on its way to the kernel
            continue
        if target.startswith("/memfd:weir-ledger"):
            with open(os.path.join(folder, name), "rb") as ledger:
                data = ledger.read()[BEHIND_HEADER:]
            return sum(1 for (number,) in struct.iter_unpack("=i", data) if number)
    raise AssertionError("no ledger")


def passthrough(h):
    """Whether it is to be had here: the kernel has it, and nothing is stacked."""
    with open(h.point + "/raw.img", "rb"):
        return registered(h) == 1


@pytest.mark.parametrize("killed", ["worker", "holder"])
def test_no_id_outlives_its_file(held, killed):
    h = real(held)
    h.start()
    if not passthrough(h):
        pytest.skip("no passthrough here")
    names = ["%s/disk%d.img" % (h.point, i) for i in range(50)]
    files = [open(name, "w+b", buffering=0) for name in names]
    try:
        assert registered(h) == 50
        for rounds in range(4):
            before = h.serving()
            os.kill(before[killed], signal.SIGKILL)
            if killed == "holder":
                wait_until(lambda: not h.answers(), "the end of the holder")
                h.weir("upgrade", h.point)
            h.serving(other_than=before["worker"])
            for file in files[rounds * 10:]:
                file.write(b"x" * 512)
            for file in files[rounds * 10:rounds * 10 + 10]:
                file.close()
            wait_until(lambda n=rounds: registered(h) == 40 - 10 * n, "closed ones: %d" %
                       registered(h))
    finally:
        for file in files:
            file.close()
    wait_until(lambda: registered(h) == 0, "the last one")
    for name in names[:40]:
        assert os.path.getsize(name) in (512, 1024, 1536, 2048)
    h.weir("umount", h.point)


def test_the_ledger_is_no_backing_file(held):
    """The kernel would write it for whoever opens that file, with the holder's credentials."""
    h = held("greedy")
    h.start()
    assert h.status()["state"] == "serving"


def test_no_worker_can_cut_the_slate(held):
    h = real(held)
    h.start()
    folder = "/proc/%d/fd/" % h.status()["holder"]
    slate = [fd for fd in os.listdir(folder)
             if os.readlink(folder + fd).startswith("/memfd:weir-slate")]
    with open(folder + slate[0], "r+b", buffering=0) as memory:
        for size in (0, 1 << 30):
            with pytest.raises(PermissionError):
                os.ftruncate(memory.fileno(), size)
    h.weir("umount", h.point)
