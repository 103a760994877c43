# SPDX-License-Identifier: GPL-2.0-or-later
"""Files belong to who made them; every user of the mount has exactly his own rights."""
import os
import stat
import struct

import pytest

import generator
import syscalls


def as_user(uid, gid, groups, function):
    """Run function() as another user; True, or False when it raised OSError."""
    pid = os.fork()
    if pid == 0:
        try:
            syscalls.become(uid, gid, groups)
            function()
        except OSError:
            os._exit(1)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    assert status in (0, 256)
    return status == 0


@pytest.fixture
def open_mount(weir):
    os.chmod(weir.path, 0o777)
    return weir


MAKERS = {
    "open": lambda path: os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644)),
    "exclusive": lambda path: os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644)),
    "read-only": lambda path: os.close(os.open(path, os.O_CREAT | os.O_RDONLY, 0o644)),
    "mkdir": os.mkdir,
    "fifo": os.mkfifo,
    "node": os.mknod,
    "symlink": lambda path: os.symlink("x", path),
}


@pytest.mark.parametrize("maker", sorted(MAKERS))
def test_belongs_to_its_maker(open_mount, maker):
    path = open_mount.in_mount("a")
    assert as_user(1234, 5678, [99], lambda: MAKERS[maker](path))
    for place in (path, open_mount.in_store("a")):
        st = os.lstat(place)
        assert (st.st_uid, st.st_gid) == (1234, 5678)


@pytest.mark.parametrize("maker", sorted(MAKERS))
def test_a_setgid_directory_gives_its_group(open_mount, maker):
    os.mkdir(open_mount.in_mount("d"))
    os.chown(open_mount.in_mount("d"), 0, 777)
    os.chmod(open_mount.in_mount("d"), 0o2777)
    path = open_mount.in_mount("d", "a")
    assert as_user(1234, 5678, [], lambda: MAKERS[maker](path))
    st = os.lstat(path)
    assert (st.st_uid, st.st_gid) == (1234, 777)
    assert bool(st.st_mode & stat.S_ISGID) == (maker == "mkdir")


@pytest.mark.parametrize("count", (1, 31, 33, 200))
def test_each_supplementary_group_counts(open_mount, count):
    path = open_mount.in_mount("a")
    with open(path, "w", encoding="ascii"):
        pass
    groups = list(range(3000, 3000 + count))
    for gid, mode in ((groups[-1], 0o060), (groups[0], 0o060)):
        os.chown(path, 0, gid)
        os.chmod(path, mode)
        assert as_user(1234, 5678, groups, lambda: os.close(os.open(path, os.O_RDWR)))
        assert not as_user(1234, 5678, [2999], lambda: os.close(os.open(path, os.O_RDWR)))
    os.mkdir(open_mount.in_mount("d"))
    os.chown(open_mount.in_mount("d"), 0, groups[-1])
    os.chmod(open_mount.in_mount("d"), 0o2770)
    inside = open_mount.in_mount("d", "f")
    assert as_user(1234, 5678, groups, lambda: MAKERS["open"](inside))
    assert as_user(1234, 5678, groups, lambda: os.chmod(inside, 0o2755))    # group kept: a member
    assert os.stat(inside).st_mode & 0o7777 == 0o2755


def test_umask_and_default_acl(open_mount):
    """The umask counts, except below a default ACL."""
    os.mkdir(open_mount.in_mount("d"))
    os.chmod(open_mount.in_mount("d"), 0o777)
    old = os.umask(0o077)
    try:
        os.close(os.open(open_mount.in_mount("a"), os.O_CREAT | os.O_RDWR, 0o666))
        value = generator.acl([(1, 7, 2**32 - 1), (2, 6, 1000), (4, 5, 2**32 - 1),
                               (16, 7, 2**32 - 1), (32, 5, 2**32 - 1)])
        os.setxattr(open_mount.in_mount("d"), "system.posix_acl_default", value)
        os.close(os.open(open_mount.in_mount("d", "b"), os.O_CREAT | os.O_RDWR, 0o666))
    finally:
        os.umask(old)
    assert os.stat(open_mount.in_mount("a")).st_mode & 0o777 == 0o600
    assert os.stat(open_mount.in_mount("d", "b")).st_mode & 0o777 == 0o664
    assert as_user(1000, 1, [], lambda: os.close(os.open(open_mount.in_mount("d", "b"), os.O_RDWR)))


def test_write_by_another_takes_setuid_away(open_mount):
    path = open_mount.in_mount("a")
    with open(path, "w", encoding="ascii") as f:
        f.write("a")
    fd = os.open(path, os.O_RDWR)
    changes = {
        "truncate": lambda: os.truncate(path, 0),
        "open and write": lambda: write_bytes(path),
        "write": lambda: os.write(fd, b"x"),
        "ftruncate": lambda: os.ftruncate(fd, 10),
        "fallocate": lambda: syscalls.fallocate(fd, 0, 0, 100),
        "copy": lambda: os.copy_file_range(fd, fd, 2, 0, 5),
        "write again": lambda: os.pwrite(fd, b"x", 5),
    }
    try:
        for name, change in changes.items():
            os.chmod(path, 0o6777)
            assert as_user(1234, 5678, [], change), name
            assert os.stat(path).st_mode & 0o7777 == 0o777, name
    finally:
        os.close(fd)


def write_bytes(path):
    fd = os.open(path, os.O_WRONLY)
    os.write(fd, b"x")
    os.close(fd)


@pytest.mark.parametrize("user", (0, 1234))
def test_trusted_attributes_are_listed_to_root_only(open_mount, user):
    path = open_mount.in_mount("a")
    with open(path, "w", encoding="ascii"):
        pass
    os.setxattr(path, "trusted.t", b"1")
    os.setxattr(path, "user.u", b"1")
    wanted = ["trusted.t", "user.u"] if user == 0 else ["user.u"]

    def look():
        if sorted(os.listxattr(path)) != wanted:
            raise OSError
    assert as_user(user, user, [], look)


def test_capabilities_of_a_program_go_with_a_write(open_mount):
    path = open_mount.in_mount("a")
    value = struct.pack("<IIIII", 0x02000001, 0x2000, 0, 0, 0)
    for mode in ("open before", "open after"):
        fd = os.open(path, os.O_RDWR | os.O_CREAT)
        os.setxattr(path, "security.capability", value)
        assert os.getxattr(path, "security.capability") == value
        if mode == "open after":
            os.close(fd)
            fd = os.open(path, os.O_RDWR)
        os.write(fd, b"x")
        os.close(fd)
        with pytest.raises(OSError):
            os.getxattr(path, "security.capability")


def test_sticky_directory(open_mount):
    os.mkdir(open_mount.in_mount("t"))
    os.chmod(open_mount.in_mount("t"), 0o1777)
    path = open_mount.in_mount("t", "a")
    assert as_user(1000, 1000, [], lambda: MAKERS["open"](path))
    assert not as_user(1001, 1001, [], lambda: os.unlink(path))
    assert not as_user(1001, 1001, [], lambda: os.rename(path, path + "2"))
    assert as_user(1000, 1000, [], lambda: os.unlink(path))


def test_a_user_of_the_datastore_gets_no_more_through_the_mount(open_mount):
    os.mkdir(open_mount.in_mount("secret"), 0o700)
    with open(open_mount.in_mount("secret", "f"), "w", encoding="ascii") as f:
        f.write("secret")
    inside = open_mount.in_mount("secret", "f")
    assert not as_user(1000, 1000, [], lambda: os.stat(inside))
    assert not as_user(1000, 1000, [], lambda: os.listdir(open_mount.in_mount("secret")))


def test_setgid_is_dropped_for_who_is_not_of_the_group(open_mount):
    path = open_mount.in_mount("a")
    with open(path, "w", encoding="ascii"):
        pass
    os.chown(path, 1234, 777)
    assert as_user(1234, 5678, [], lambda: os.chmod(path, 0o2755))
    assert os.stat(path).st_mode & 0o7777 == 0o755
