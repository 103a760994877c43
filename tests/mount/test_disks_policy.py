# SPDX-License-Identifier: GPL-2.0-or-later
"""A policy covers what belongs to its disk or VM by what recognition saw, whatever it is called."""
import os

import pytest

import disks
from disks import images, status

pytestmark = pytest.mark.usefixtures("only_weir")
POLICY = "weir: 1\nname: watched\nversion: 1\nstages:\n  inspect: {}\n"


@pytest.fixture
def watched(mounted, way, directory):
    """A mount that knows the policy "watched"."""
    folder = os.path.join(directory, "policies")
    os.mkdir(folder)
    with open(os.path.join(folder, "watched.yaml"), "w", encoding="ascii") as f:
        f.write(POLICY)
    return mounted(options=way + ",policies=" + folder)


def attach(path):
    os.setxattr(path, "user.weir.policy", b"watched")


def covered(path):
    return status(path).get("policy", {}).get("name") == "watched"


def test_the_extents_of_a_descriptor_are_covered(watched):
    disks.write(watched.in_store("a", "data.bin"), size=disks.SIZE)
    disks.flat(watched.in_store("a"), "d", extent="data.bin", size=None)
    disks.write(watched.in_store("a", "other.bin"), size=disks.SIZE)
    attach(watched.in_mount("a", "d.vmdk"))
    assert covered(watched.in_mount("a", "data.bin"))
    assert not covered(watched.in_mount("a", "other.bin"))
    watched.restart()
    assert covered(watched.in_mount("a", "data.bin"))


def test_snapshots_made_later_are_covered_whatever_their_name(watched):
    base = images.qemu(watched.in_mount("base.vmdk"), "vmdk")
    attach(base)
    os.mkdir(watched.in_mount("c"))
    for name, parent in (("c/one.vmdk", "../base.vmdk"), ("c/two.vmdk", "one.vmdk")):
        images.qemu_img("create", "-f", "vmdk", "-F", "vmdk", "-b", parent, watched.in_mount(name))
        disks.wait_event(watched, "disk-recognised", name)
        assert covered(watched.in_mount(name))
    images.qemu(watched.in_mount("c/alone.vmdk"), "vmdk")
    assert not covered(watched.in_mount("c/alone.vmdk"))
    watched.restart()
    assert covered(watched.in_mount("c/two.vmdk"))


def test_a_policy_on_a_vm_covers_its_disks_elsewhere(watched):
    disks.chain(watched.in_store("disks"), ["base", "snap"])
    disks.flat(watched.in_store("disks"), "other")
    disks.write(watched.in_store("vm1", "vm1.vmx"), images.vmx_bytes(["../disks/snap.vmdk"]))
    attach(watched.in_mount("vm1", "vm1.vmx"))
    for name in ("snap.vmdk", "snap-flat.vmdk", "base.vmdk", "base-flat.vmdk"):
        assert covered(watched.in_mount("disks", name)), name
    assert not covered(watched.in_mount("disks", "other.vmdk"))
    shown = status(watched.in_mount("vm1", "vm1.vmx"))["disks"]
    assert {"disks/snap.vmdk", "disks/base.vmdk"} <= {d["path"] for d in shown}


def test_a_hostile_descriptor_takes_no_policy_outside(watched):
    disks.write(watched.in_store("b", "victim.img"), size=disks.SIZE)
    disks.flat(watched.in_store("a"), "d", extent="../b/victim.img", size=None)
    attach(watched.in_mount("a", "d.vmdk"))
    assert not covered(watched.in_mount("b", "victim.img"))


def test_a_file_just_made_is_not_left_pending_by_its_recognition(watched):
    os.mkdir(watched.in_mount("d"))
    attach(watched.in_mount("d"))
    for i in range(20):
        path = watched.in_mount("d", "disk%d" % i)
        images.raw(path)                           # closed: a helper looks at it now
        with open(path, "rb") as f:
            assert f.read(1) == b"\0"
            assert status(path)["compliance"]["state"] == "compliant"
