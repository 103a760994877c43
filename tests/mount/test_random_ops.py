# SPDX-License-Identifier: GPL-2.0-or-later
"""Random operation sequences give the same results, errnos and trees as the backing filesystem.

The short form by default; --weir-steps makes it longer, --weir-seed repeats one.  A failure leaves
its sequence in /var/tmp and says how tests/mount/replay cuts it down.
"""
import os

import pytest

import backing
import generator
import model
import weir as weirs

STEPS = 6000
# The devices that are made here are nobody's to open.
OPTIONS = "nodev,nosuid"

ROOT, EVE = 0, 3                        # rows of generator.USERS; eve is not in group 2000
ACCESS, DEFAULT = (
    (EVE, ("setxattr", b"d", key, generator.acl([(1, 7, 2**32 - 1), (4, 5, 2**32 - 1),
                                                 (32, 5, 2**32 - 1)]), 0, True))
    for key in generator.operations.POSIX_ACL)
CREATE = (EVE, ("open", 0, b"d/a", os.O_RDWR | os.O_CREAT, 0o666))


def directory_of_a_group(*then):
    """A set-gid directory that belongs to eve, but to a group that she is not in."""
    return [(ROOT, ("mkdir", b"d", 0o755)), (ROOT, ("chown", b"d", 1002, 2000, True)),
            (ROOT, ("chmod", b"d", 0o2755)), *then, (EVE, ("stat", b"d")), CREATE,
            (EVE, ("fstat", 0))]


# What differed once, cut down.  A default ACL leaves the set-gid bit alone (--weir-seed=1783).
ONCE = {
    "default ACL, set-gid": directory_of_a_group(DEFAULT),
    "access ACL, set-gid": directory_of_a_group(ACCESS),
    "both ACLs, set-gid": directory_of_a_group(DEFAULT, ACCESS),
}


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


def test_what_differed_once(twins, way):
    mount, twin = twins("ext4", way)
    for number, (name, steps) in enumerate(ONCE.items()):
        directory = "w%d" % number
        with model.Model(mount.in_mount(directory), os.path.join(twin, directory),
                         mount.in_store(directory), strict=weirs.KIND == "bind") as both:
            found = both.replay(steps)
        assert not found, name + ": " + found.text
        assert not any(code for _, code in both.failures), name
