# SPDX-License-Identifier: GPL-2.0-or-later
"""Policies of a disk in use: attached, replaced and cleared under load, and limits that limit.

No test is tight on time: rates are compared as ratios of 4 and more, and 50 operations a second
with O_DIRECT are far below what any machine does without a limit.
"""
import mmap
import os
import threading
import time

import pytest

from policy_rig import (BLOCK, Load, attach, clear, compliance, covered, eventually, events,
                        last_event, make_disk, make_vmdk, own, stats, status, words)

RATIO = 4
LARGE = 128 * BLOCK


@pytest.fixture(params=("daemon", "attachable"))
def live(request, managed):
    """A mount and a disk on it that goes through the daemon, so that a policy comes at once."""
    weir = managed("passthrough=off" if request.param == "daemon" else "passthrough=on",
                   seconds=120)
    weir.disk = make_disk(weir.in_mount("d", "a.img"))
    if request.param == "attachable":
        attach(weir.in_mount("d"), "never")
    return weir


def limit_is_seen(load, disk, free):
    """The policy slow (50 a second) makes @load at least RATIO times slower than @free was."""
    assert own(disk) == "slow" and compliance(disk) == "compliant"
    assert status(disk)["way"] == "daemon"
    load.count(0.5)                     # what was saved up for a burst is used up
    assert load.rate(2) * RATIO < free


def test_attach_replace_clear_under_load(live):
    with Load(live.disk) as load:
        load.makes(200)
        free = load.rate()
        attach(live.disk, "slow")
        limit_is_seen(load, live.disk, free)
        attach(live.disk, "fast")
        load.makes(500)
        assert own(live.disk) == "fast" and load.rate() > 50 * RATIO
        attach(live.disk, "slow")
        limit_is_seen(load, live.disk, free)
        clear(live.disk)
        load.makes(500)
        assert load.rate() > 50 * RATIO


def test_new_numbers_keep_the_counters(live):
    """An edited policy changes the limit of a running disk, and nothing else."""
    live.policies.write("mine", iops=10000000)
    attach(live.disk, "mine")
    with Load(live.disk) as load:
        load.makes(300)
        free = load.rate()
        before = stats(live.disk)["inspect"]
        live.policies.write("mine", version=2, iops=50)
        os.setxattr(live.disk, "user.weir.apply", b"1")
        load.count(0.5)
        assert load.rate(2) * RATIO < free
        after = stats(live.disk)["inspect"]
        assert after["since"] == before["since"]
        assert after["read"]["ops"] >= before["read"]["ops"] > 0
        live.policies.write("mine", version=3, iops=10000000)
        os.setxattr(live.disk, "user.weir.apply", b"1")
        load.makes(300)


@pytest.mark.parametrize("how", ("clear", "replace", "watch"))
def test_waiters_at_a_very_slow_limit_go_on(live, how):
    """Requests that would wait for a minute are let go by another policy, or none."""
    live.policies.write("one", iops=1)
    attach(live.disk, "one")
    loads = [Load(live.disk, blocks=64, seed=i) for i in range(1)]
    loads += [Load(make_disk(live.in_mount("d", "%d.img" % i), 64), 64, i) for i in (1, 2)]
    for load in loads[1:]:
        attach(load.path, "one")
    for load in loads:
        load.thread.start()
    time.sleep(1.5)
    for load in loads:
        assert load.done < 50
        if how == "clear":
            clear(load.path)
        else:
            attach(load.path, {"replace": "fast", "watch": "watch"}[how])
    try:
        for load in loads:
            load.makes(200)
    finally:
        for load in loads:
            load.ending = True
            load.thread.join(30)
    for load in loads:
        load.raise_error()
        assert not load.thread.is_alive()


def test_many_waiters_of_one_disk_go_on(live):
    """More of them than the disk has in service: the others wait in its queue."""
    live.policies.write("one", iops=1)
    attach(live.disk, "one")
    readers = [Load(live.disk, seed=i) for i in range(12)]
    for load in readers:
        load.one = lambda fd, buffer, load=load: read_any(load, fd, buffer)
        load.thread.start()
    time.sleep(1)
    began = time.monotonic()
    clear(live.disk)
    try:
        for load in readers:
            load.makes(20)
    finally:
        for load in readers:
            load.ending = True
            load.thread.join(30)
    assert time.monotonic() - began < 20 and not any(r.thread.is_alive() for r in readers)
    for load in readers:
        load.raise_error()


def test_a_long_wait_is_cut_short(live):
    """Requests of 512 KiB at 64 KiB a second would wait for many seconds each."""
    live.policies.write("thin", bandwidth="64K")
    attach(live.disk, "thin")
    readers = [threading.Thread(target=read_large, args=(live.disk, i)) for i in range(6)]
    for reader in readers:
        reader.start()
    time.sleep(1)
    began = time.monotonic()
    clear(live.disk)
    for reader in readers:
        reader.join(30)
    assert time.monotonic() - began < 20 and not any(r.is_alive() for r in readers)


def read_large(path, i):
    buffer = mmap.mmap(-1, LARGE)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        for _ in range(2):
            assert os.preadv(fd, [buffer], i % 2 * LARGE) == LARGE
    finally:
        os.close(fd)


def read_any(load, fd, buffer):
    load.verify(fd, buffer, load.random.randrange(load.blocks))
    load.done += 1


def test_the_attaching_itself_does_not_wait(live):
    """setfattr returns although a request waits for its turn at one operation a second."""
    live.policies.write("one", iops=1)
    attach(live.disk, "one")
    load = Load(live.disk)
    load.thread.start()
    time.sleep(1)
    longest = 0
    for name in ("fast", "one", "watch", "one", "fast"):
        began = time.monotonic()
        attach(live.disk, name)
        longest = max(longest, time.monotonic() - began)
    load.ending = True
    load.thread.join(30)
    load.raise_error()
    assert longest < 10


def test_switching_all_the_time(live):
    """Four disks under load, policies switched 200 times: no error, no wrong byte."""
    disks = [make_disk(live.in_mount("d", "%d.img" % i)) for i in range(3)] + [live.disk]
    loads = [Load(disk, seed=i) for i, disk in enumerate(disks)]
    for load in loads:
        load.thread.start()
    try:
        for i in range(200):
            name = (None, "watch", "fast", "never")[i % 4]
            for disk in disks:
                attach(disk, name or "")
    finally:
        for load in loads:
            load.ending = True
        for load in loads:
            load.thread.join(60)
    for load in loads:
        load.raise_error()
        assert load.done > 0 and not load.thread.is_alive()


def test_a_directory_comes_into_force_below(live):
    """Attaching to a directory reaches what is open below it."""
    with Load(live.disk) as load:
        load.makes(100)
        free = load.rate()
        attach(live.in_mount("d"), "slow")
        assert covered(live.disk) == ("slow", "d/")
        load.count(0.5)
        assert load.rate(2) * RATIO < free
        attach(live.in_mount("d"), "never")
        load.makes(300)


def test_a_descriptor_limits_its_open_extent(live):
    vmdk = make_vmdk(live.in_mount("d"), "vm1")
    with Load(live.in_mount("d", "vm1-flat.vmdk")) as load:
        load.makes(100)
        free = load.rate()
        attach(vmdk, "slow")
        load.count(0.5)
        assert load.rate(2) * RATIO < free
        clear(vmdk)
        load.makes(300)


def test_the_same_descriptor_open_twice(live):
    """Many opens of one file share one stack: the limit is the disk's, not the open's."""
    attach(live.disk, "slow")
    readers = [Load(live.disk, seed=i) for i in range(4)]
    for load in readers:
        load.one = lambda fd, buffer, load=load: read_any(load, fd, buffer)
        load.thread.start()
    time.sleep(1)
    before = sum(r.done for r in readers)
    time.sleep(3)
    made = sum(r.done for r in readers) - before
    clear(live.disk)
    for load in readers:
        load.ending = True
        load.thread.join(30)
        load.raise_error()
    assert made < 3 * 50 * RATIO / 2


def test_scope_policy_is_shared(live):
    """Two disks under one policy with scope: policy together get what one alone gets."""
    live.policies.write("shared", iops=100, scope="policy")
    other = make_disk(live.in_mount("d", "b.img"))
    for disk in (live.disk, other):
        attach(disk, "shared")
    with Load(live.disk) as one, Load(other) as two:
        one.count(0.5)
        both = one.done + two.done
        time.sleep(4)
        both = one.done + two.done - both
        assert both < 100 * 4 * 1.6
        assert min(one.done, two.done) > 20      # neither is starved
        for disk in (live.disk, other):
            clear(disk)
        one.makes(300)
        two.makes(300)


def test_bandwidth_limits_too(live):
    live.policies.write("thin", bandwidth="256K")
    with Load(live.disk) as load:
        load.makes(100)
        free = load.rate()
        attach(live.disk, "thin")       # 64 blocks a second
        load.count(1)
        assert load.rate(2) * RATIO < free
        clear(live.disk)
        load.makes(300)


def test_buffered_writers_are_not_corrupted(live):
    """Through the page cache, with a policy that comes and goes."""
    stop = threading.Event()

    def switch():
        while not stop.is_set():
            for name in ("fast", "watch", ""):
                attach(live.disk, name)

    thread = threading.Thread(target=switch)
    thread.start()
    try:
        for generation in range(1, 30):
            with open(live.disk, "r+b") as f:
                f.write(bytes([generation]) * (64 * BLOCK))
            with open(live.disk, "rb") as f:
                assert f.read(64 * BLOCK) == bytes([generation]) * (64 * BLOCK)
    finally:
        stop.set()
        thread.join()
    with open(live.in_store("d", "a.img"), "rb") as f:
        assert f.read(64 * BLOCK) == bytes([29]) * (64 * BLOCK)


# ---- events ---------------------------------------------------------------------------------

def test_words_of_a_life(live):
    begin = last_event(live)
    with open(live.disk, "rb"):
        attach(live.disk, "slow")
        attach(live.disk, "fast")
        clear(live.disk)
    try:
        attach(live.disk, "nonsense")
    except OSError:
        pass
    assert words(live, begin, "d/a.img") == ["policy-attached", "policy-attached",
                                             "policy-cleared", "policy-refused"]
    told = [e for e in events(live, begin) if e["event"].startswith("policy")]
    assert [e.get("policy") for e in told] == ["slow", "fast", "fast", "nonsense"]
    assert all(len(e["text"]) > 10 and e["time"].endswith("Z") for e in told)
    seqs = [e["seq"] for e in events(live)]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))


def test_deleted_while_limited(live):
    """An open disk that loses its name goes on, at its limit or not, and is gone at the end."""
    attach(live.disk, "fast")
    with Load(live.disk) as load:
        load.makes(50)
        os.unlink(live.disk)
        load.makes(50)
    eventually(lambda: not os.path.exists(live.disk), "the name is gone")
