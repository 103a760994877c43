# SPDX-License-Identifier: GPL-2.0-or-later
"""The recognition helper fails: the daemon says so and goes on."""
import os
import shutil
import time

import pytest

import disks
import weir as weirs
from disks import SIZE, images

pytestmark = pytest.mark.usefixtures("only_weir")

HELPERS = {
    "missing": (None, "missing"),
    "killed": ("kill -KILL $$", "signal 9"),
    "broken": ("exit 3", "failed with 3"),
    "silent": ("exit 0", "no JSON"),
    "babbling": ("echo '[1]'", "no JSON"),
    "typeless": ("echo '{\"capacity\": 5}'", "no JSON"),
    "endless": ("while :; do echo 0123456789abcdef0123456789abcdef; done", "too much"),
    "slow": ("exec sleep 60", "longer than"),
    "orphaning": ("sleep 7 & exit 0", "no JSON"),   # ended with its parent
}


@pytest.fixture
def helper(request, directory, monkeypatch):
    """A worker whose helper is a script of ours beside it."""
    script, word = HELPERS[request.param]
    build = os.path.join(directory, "build")
    os.makedirs(os.path.join(build, "fs"))
    for name in ("weir-holder", "weir-worker", "weir-broker"):
        if os.path.exists(weirs.program(name)):
            shutil.copy2(weirs.program(name), os.path.join(build, "fs"))
    if script:
        path = os.path.join(build, "fs", "weir-recognise")
        with open(path, "w", encoding="ascii") as f:
            f.write("#!/bin/sh\n%s\n" % script)
        os.chmod(path, 0o755)
    elif any(os.path.exists(p + "/weir/weir-recognise")
             for p in ("/usr/libexec", "/usr/local/libexec")):
        pytest.skip("weir is installed here: its helper is found")
    monkeypatch.setattr(weirs, "BUILD", build)
    return word


@pytest.mark.parametrize("helper", HELPERS, indirect=True)
def test_the_daemon_survives_its_helper(mounted, helper):
    weir = mounted(backing="dir")
    images.raw(weir.in_store("disk.img"))
    started = time.monotonic()
    before = weir.descriptors()
    disk = disks.disk(weir.in_mount("disk.img"))
    assert disk["type"] == "unknown" and helper in disk["problem"]
    assert time.monotonic() - started < 8
    with open(weir.in_mount("disk.img"), "r+b", buffering=0) as f:
        assert f.write(b"x" * 512) == 512           # never an error to a guest
    with open(weir.in_mount("new"), "wb") as f:
        f.write(b"hello")
    for _ in range(20):
        disks.disk(weir.in_mount("disk.img"))
    assert weir.descriptors() <= before + 10        # the cache may keep the files
    assert not weirs.children(weir.worker()) and not weirs.children(weir.broker())  # reaped


def test_what_failed_is_not_remembered(mounted, directory):
    weir = mounted(backing="dir", start=False)
    images.raw(weir.in_store("disk.img"))
    real, weirs.BUILD = weirs.BUILD, os.path.join(directory, "build")
    try:
        os.makedirs(os.path.join(weirs.BUILD, "fs"))
        for name in ("weir-holder", "weir-worker", "weir-broker"):
            if os.path.exists(os.path.join(real, "fs", name)):
                shutil.copy2(os.path.join(real, "fs", name), os.path.join(weirs.BUILD, "fs"))
        weir.start()
        if disks.disk(weir.in_mount("disk.img"))["type"] != "unknown":
            pytest.skip("weir is installed here: its helper is found")
        os.symlink(os.path.join(real, "ctl", "weir-recognise"),
                   os.path.join(weirs.BUILD, "fs", "weir-recognise"))
        end = time.monotonic() + 20                 # a failure stands for ten seconds
        while disks.disk(weir.in_mount("disk.img"))["type"] != "raw":
            assert time.monotonic() < end
            time.sleep(0.5)
    finally:
        weirs.BUILD = real


def test_many_ask_at_once(mounted):
    """One helper at a time looks at a file; all get the same answer."""
    from concurrent.futures import ThreadPoolExecutor
    weir = mounted()
    for i in range(4):
        images.raw(weir.in_store("disk%d" % i), size=SIZE)
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda i: disks.disk(weir.in_mount("disk%d" % (i % 4))), range(64)))
    assert all(d == found[0] for d in found) and found[0]["type"] == "raw"


def test_a_copied_tree_of_small_files_starts_no_helpers(mounted):
    weir = mounted()
    started = time.monotonic()
    for i in range(500):
        disks.write(weir.in_mount("f%d.txt" % i), b"words\n")
    assert time.monotonic() - started < 10
    assert not disks.events(weir, "disk-recognised")
