# SPDX-License-Identifier: GPL-2.0-or-later
"""Random operation sequences give the same results, errnos and trees as the backing filesystem.

The short form by default; --weir-steps makes it longer, --weir-seed repeats one.  A failure leaves
its sequence in /var/tmp and says how tests/mount/replay cuts it down.
"""
import os

import pytest

import backing
import model
import weir as weirs

STEPS = 6000
# The devices that are made here are nobody's to open.
OPTIONS = "nodev,nosuid"


def twin_of(mount, directory, kind):
    return backing.Backing(directory, "twin", kind, 512, OPTIONS)


@pytest.fixture
def twins(mounted, directory):
    """twins(kind, way) -> (mount, path of the twin); the twin goes when the mount is gone."""
    made = []

    def make(kind, way):
        options = way + "," + OPTIONS if weirs.KIND == "weir" and kind != "dir" else way
        mount = mounted(backing=kind, options=options, seconds=170, store_options=OPTIONS)
        made.append(twin_of(mount, directory, kind))
        return mount, made[-1].path

    yield make
    problems = [problem for twin in made for problem in twin.close()]
    assert not problems, problems


def compare(request, mount, twin, kind, steps):
    seed = request.config.getoption("--weir-seed")
    steps = request.config.getoption("--weir-steps") or steps
    times = kind != "dir"               # relatime: a read may set atime, or not
    with model.Model(mount.in_mount("w"), os.path.join(twin, "w"), mount.in_store("w"),
                     strict=weirs.KIND == "bind", times=times) as both:
        try:
            both.random(seed, steps)
        except model.Difference as difference:
            name = "/var/tmp/weir-steps-%d-%s-%s-%d" % (
                seed, kind, "off" if "=off" in mount.options else "on", os.getpid())
            model.write_steps(name, difference.steps)
            pytest.fail("seed %d, step %d: %s\n\nsudo tests/mount/replay %s -o '%s' %s" % (
                seed, len(difference.steps), difference.text, kind, mount.options, name),
                pytrace=False)
        if request.config.getoption("--weir-steps"):
            print("\n" + both.summary())


@pytest.mark.parametrize("kind", ("ext4", "xfs", "btrfs", "dir"))
def test_random_operations_match_the_backing_filesystem(request, twins, kind, way):
    mount, twin = twins(kind, way)
    compare(request, mount, twin, kind, STEPS if kind == "ext4" else STEPS // 3)
