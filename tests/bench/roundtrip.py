# SPDX-License-Identifier: GPL-2.0-or-later
"""The plain round trip to a FUSE daemon: what no daemon can be faster than.

  getxattr   of a name that is not there, on an open file: never cached by the kernel
  fstat      on an open file of passthrough_ll with timeout=0: attributes asked each time
"""

import os
import time

import contenders as c
from machine import Failed
from metadata import Stand

CALLS = 10000


def _mean_us(call):
    began = time.monotonic()
    for _ in range(CALLS):
        call()
    return (time.monotonic() - began) / CALLS * 1e6


def _no_such_xattr(fd):
    try:
        os.getxattr(fd, "user.nothing")
    except OSError:
        pass


class Uncached(Stand):
    """passthrough_ll with attributes that are old at once."""

    def command(self):
        return [c.build_passthrough_ll(self.place), "-f", "-o",
                f"source={self.backing},xattr,timeout=0,cache=auto", self.mountpoint]


def measure(samples, place, build, names, plan, say):
    say("round trip of one request")
    backing = place.directory("meta", "roundtrip")
    os.makedirs(os.path.join(backing, "tree"), exist_ok=True)
    with open(os.path.join(backing, "tree", "file"), "wb") as out:
        out.write(b"x" * 4096)
    stands = [Stand("native", place, backing, build), Stand("weir", place, backing, build),
              Uncached("pll", place, backing, build)]
    for stand in [stand for stand in stands if stand.name in names]:
        try:
            stand.mount()
            fd = os.open(os.path.join(stand.tree, "file"), os.O_RDONLY)
            try:
                for number in range(plan.rounds):
                    samples.add("round trip getxattr", stand.name, number,
                                _mean_us(lambda: _no_such_xattr(fd)), "µs")
                    if stand.name != "weir":
                        samples.add("round trip fstat", stand.name, number,
                                    _mean_us(lambda: os.fstat(fd)), "µs")
            finally:
                os.close(fd)
        except (Failed, OSError) as problem:
            samples.skip("round trip getxattr", stand.name, str(problem))
        finally:
            stand.unmount()
