# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk that hangs is told, and holds only its share of the threads."""
import os
import threading
import time

from failing import BLOCK, read_block
from held import wait_until


def hang(mount, path, readers):
    """Threads that read the block that hangs; they end when it is unmarked."""
    found = []
    threads = [threading.Thread(target=lambda: found.append(read_block(path)), daemon=True)
               for _ in range(readers)]
    for thread in threads:
        thread.start()
    return threads, found


def test_a_hang_is_told(failing):
    """Log, event and status name file, operation and stage; others go on; its end is told, too."""
    mount = failing("watchdog=1,threads=8,disk-threads=2")
    bad, good = mount.disk("bad.img"), mount.disk("good.img")
    loop = mount.loop(good)
    mount.mark("bad.img", "WEIR-HANG")
    threads, found = hang(mount, bad, 6)
    wait_until(lambda: "slow: read of bad.img" in mount.log(), "the report", 6)
    line = next(word for word in mount.log().splitlines() if "slow: read of bad.img" in word)
    print(line)
    assert "stage crash" in line and "kernel function ?" not in line
    slow = wait_until(lambda: mount.json(bad).get("slow"), "the status")
    assert {(one["operation"], one["stage"]) for one in slow if "stage" in one} == \
        {("read", "crash")}
    assert len([one for one in slow if one["operation"] == "read"]) == 2    # its share
    assert mount.json(mount.point)["threads"]["busy"] >= 2
    assert mount.events("request-slow")
    assert "2 requests, the longest a read for " in mount.weir("status", bad)
    assert "slow" not in mount.json(good)
    turns = loop.turns
    time.sleep(1)
    assert loop.turns > turns and loop.worst < 1
    mount.unmark("bad.img")
    for thread in threads:
        thread.join(10)
    assert found == [b"\3" * BLOCK] * 6
    wait_until(lambda: "slow: read of bad.img has ended" in mount.log(), "the end", 6)
    wait_until(lambda: "slow" not in mount.json(bad), "the status")
    assert not mount.end_loops()[0].errors


def test_what_is_no_io_is_bounded_too(failing):
    """Many questions about a file whose owner hangs leave threads for others."""
    mount = failing("watchdog=1,threads=8,disk-threads=2")
    bad, good = mount.disk("bad.img"), mount.disk("good.img")
    mount.mark("bad.img", "WEIR-HANG")
    threads, found = hang(mount, bad, 2)
    wait_until(lambda: "slow: read" in mount.log(), "the report", 6)
    threads.append(threading.Thread(target=os.truncate, args=(bad, 64 * BLOCK), daemon=True))
    threads[-1].start()                 # owns the file's state, and waits for the reads
    time.sleep(0.3)
    asked = []
    for _ in range(24):
        threads.append(threading.Thread(
            target=lambda: asked.append(os.getxattr(bad, "user.weir.compliance")), daemon=True))
        threads[-1].start()
    time.sleep(1.5)
    assert not asked
    begin = time.monotonic()
    for turn in range(50):
        assert read_block(good, turn % 64) == bytes([turn % 64]) * BLOCK
        with open(os.path.join(mount.point, "new%d" % turn), "wb") as f:
            f.write(b"x")
    assert time.monotonic() - begin < 5
    print("50 rounds beside it: %.2f s" % (time.monotonic() - begin))
    mount.unmark("bad.img")
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert len(asked) == 24 and len(found) == 2
