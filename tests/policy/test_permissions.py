# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may attach policies: root, and the configured group; nobody else, the file's owner neither."""
import errno
import os

import pytest

from policy_rig import attach, compliance, end, fails, get_json, make_disk, own

OWNER, GROUP, OTHER = 1234, 4711, 4712   # numbers: neither needs a name on this machine
OPERATIONS = (("policy", "slow"), ("policy", ""), ("policy", "-"), ("apply", "1"))


@pytest.fixture
def weir(managed):
    weir = managed("policy-group=%d" % GROUP)
    weir.disk = owned(weir)
    return weir


def owned(weir):
    """A disk that belongs to the user of hold.py, with a policy."""
    disk = make_disk(weir.in_mount("d", "a.img"), 4)
    os.chown(disk, OWNER, OTHER)
    os.chmod(weir.in_mount("d"), 0o777)
    attach(disk, "watch")
    return disk


def as_user(children, groups, path, word, value, namespace="user"):
    child = children("set", ",".join(map(str, groups)), path, namespace, word, value)
    said = int(child.stdout.readline())
    end(child)
    return said


@pytest.mark.parametrize("word, value", OPERATIONS)
def test_the_owner_may_not(weir, children, word, value):
    for namespace in ("user", "trusted"):
        assert as_user(children, [OTHER], weir.disk, word, value, namespace) == errno.EPERM
    assert own(weir.disk) == "watch"


@pytest.mark.parametrize("groups", ([GROUP], [OTHER, GROUP], [OTHER, 5, 6, 7, GROUP, 8]))
def test_the_group_may(weir, children, groups):
    for word, value, after in (("policy", "slow", "slow"), ("apply", "1", "slow"),
                               ("policy", "-", None), ("policy", "watch", "watch")):
        assert as_user(children, groups, weir.disk, word, value) == 0, (word, value)
        assert own(weir.disk) == after
    assert as_user(children, groups, weir.in_mount("d"), "policy", "slow") == 0


def test_without_a_group_only_root(managed, children):
    weir = managed()
    disk = owned(weir)
    for groups in ([GROUP], [0], [OTHER, 0]):
        assert as_user(children, groups, disk, "policy", "slow") == errno.EPERM
    assert own(disk) == "watch"


def test_the_group_needs_no_right_to_write(weir, children):
    """The right to attach comes from the group, not from the file's mode."""
    os.chmod(weir.disk, 0o444)
    os.chown(weir.disk, 0, 0)
    said = as_user(children, [GROUP], weir.disk, "policy", "slow")
    assert said in (0, errno.EACCES)    # the kernel asks for w on user.* first
    assert own(weir.disk) == ("slow" if said == 0 else "watch")


def test_everybody_may_read(weir, children):
    for word in ("policy", "compliance", "status", "stats", "plan.slow"):
        assert os.getxattr(weir.disk, "user.weir." + word)


# ---- trusted ----------------------------------------------------------------------------------

@pytest.fixture
def trusting(managed):
    weir = managed("policy-xattr=trusted,policy-group=%d" % GROUP)
    weir.disk = make_disk(weir.in_mount("a.img"), 4)
    return weir


def test_trusted_only(trusting):
    fails(errno.EPERM, attach, trusting.disk, "slow")
    fails(errno.EPERM, os.setxattr, trusting.disk, "user.weir.apply", b"1")
    assert own(trusting.disk) is None
    attach(trusting.disk, "slow", "trusted")
    fails(errno.EPERM, os.removexattr, trusting.disk, "user.weir.policy")
    fails(errno.EPERM, attach, trusting.disk, "")
    assert own(trusting.disk) == "slow" and compliance(trusting.disk) == "compliant"
    os.setxattr(trusting.disk, "trusted.weir.apply", b"1")
    for word in ("policy", "compliance", "status", "stats", "plan."):
        assert os.getxattr(trusting.disk, "trusted.weir." + word) == \
            os.getxattr(trusting.disk, "user.weir." + word)
    os.removexattr(trusting.disk, "trusted.weir.policy")
    assert own(trusting.disk) is None


def test_trusted_is_not_for_the_group(trusting, children):
    """The kernel itself refuses trusted.* to whoever is not root."""
    os.chmod(trusting.disk, 0o666)      # else the kernel says EACCES for user.* already
    for namespace in ("user", "trusted"):
        assert as_user(children, [GROUP], trusting.disk, "policy", "slow", namespace) == errno.EPERM
    assert own(trusting.disk) is None


def test_a_refused_change_is_no_event(weir, children):
    """Who may not write gets no sentence into the status, and no event."""
    before = get_json(weir.path, "events.0")
    as_user(children, [OTHER], weir.disk, "policy", "nonsense")
    assert get_json(weir.path, "events.0") == before
    assert "refused" not in get_json(weir.disk, "status")["compliance"]
