# SPDX-License-Identifier: GPL-2.0-or-later
"""Changes in the datastore behind weir's back are seen within 1.5 s, and give no wrong file."""
import errno
import os
import random
import shutil
import time

import pytest

SEEN_SECONDS = 1.5


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def read(path):
    """Content; None when there is no such file."""
    try:
        with open(path, encoding="utf-8") as f:
            return f.read()
    except FileNotFoundError:
        return None


def soon(look, want):
    """Wait until look() is @want; at most as long as a change may go unnoticed."""
    deadline = time.monotonic() + SEEN_SECONDS
    while time.monotonic() < deadline:
        if look() == want:
            return
        time.sleep(0.02)
    assert look() == want


def test_written_behind(weir):
    write(weir.in_mount("a"), "first")
    assert read(weir.in_mount("a")) == "first"
    write(weir.in_store("a"), "second, and longer")
    soon(lambda: (read(weir.in_mount("a")), os.stat(weir.in_mount("a")).st_size),
         ("second, and longer", 18))


def test_overwritten_in_place_behind_with_the_same_size(weir):
    write(weir.in_mount("a"), "first")
    assert read(weir.in_mount("a")) == "first"
    time.sleep(0.02)                    # another mtime, or nobody can tell
    write(weir.in_store("a"), "other")
    soon(lambda: read(weir.in_mount("a")), "other")


def test_shrunk_behind(weir):
    write(weir.in_mount("a"), "x" * 100_000)
    assert len(read(weir.in_mount("a"))) == 100_000
    os.truncate(weir.in_store("a"), 10)
    soon(lambda: (os.stat(weir.in_mount("a")).st_size, read(weir.in_mount("a"))), (10, "x" * 10))


def test_written_behind_while_open(weir):
    write(weir.in_mount("a"), "first")
    with open(weir.in_mount("a"), "rb", buffering=0) as f:
        assert f.read() == b"first"
        time.sleep(0.02)
        write(weir.in_store("a"), "other")
        soon(lambda: os.pread(f.fileno(), 100, 0) and read(weir.in_mount("a")), "other")
        assert os.pread(f.fileno(), 100, 0) == b"other"


def test_created_behind(weir):
    assert read(weir.in_mount("a")) is None
    write(weir.in_store("a"), "new")
    soon(lambda: read(weir.in_mount("a")), "new")
    assert "a" in os.listdir(weir.path)


def test_deleted_behind(weir):
    write(weir.in_mount("a"), "a")
    assert read(weir.in_mount("a")) == "a"
    os.unlink(weir.in_store("a"))
    soon(lambda: read(weir.in_mount("a")), None)
    write(weir.in_mount("a"), "again")
    assert read(weir.in_store("a")) == "again"


def test_renamed_behind(weir):
    write(weir.in_mount("a"), "a")
    number = os.stat(weir.in_mount("a")).st_ino
    os.mkdir(weir.in_mount("d"))
    os.rename(weir.in_store("a"), weir.in_store("d", "b"))
    soon(lambda: (read(weir.in_mount("a")), read(weir.in_mount("d", "b"))), (None, "a"))
    assert os.stat(weir.in_mount("d", "b")).st_ino == number


def test_replaced_behind(weir):
    """As editors and `cp --remove-destination` do: another inode under the name."""
    write(weir.in_mount("a"), "old")
    with open(weir.in_mount("a"), "rb", buffering=0) as f:
        write(weir.in_store("t"), "new")
        os.rename(weir.in_store("t"), weir.in_store("a"))
        soon(lambda: read(weir.in_mount("a")), "new")
        assert os.pread(f.fileno(), 10, 0) == b"old"    # who has the old file open keeps it


def test_deleted_and_created_again_behind(weir):
    """ext4 takes the same inode number at once: only the generation tells."""
    for turn in range(10):
        name = "f%d" % turn
        write(weir.in_mount(name), "old")
        assert read(weir.in_mount(name)) == "old"
        os.unlink(weir.in_store(name))
        write(weir.in_store(name), "new")
    soon(lambda: {read(weir.in_mount("f%d" % turn)) for turn in range(10)}, {"new"})


def test_an_open_file_deleted_and_created_again_behind(weir):
    write(weir.in_mount("a"), "old")
    with open(weir.in_mount("a"), "r+b", buffering=0) as f:
        os.unlink(weir.in_store("a"))
        write(weir.in_store("a"), "new")
        soon(lambda: read(weir.in_mount("a")), "new")
        os.pwrite(f.fileno(), b"OLD", 0)
        assert os.pread(f.fileno(), 10, 0) == b"OLD"
        assert read(weir.in_mount("a")) == read(weir.in_store("a")) == "new"


def test_swapped_behind(weir):
    for name in "ab":
        write(weir.in_mount(name), name)
        read(weir.in_mount(name))
    os.rename(weir.in_store("a"), weir.in_store("t"))
    os.rename(weir.in_store("b"), weir.in_store("a"))
    os.rename(weir.in_store("t"), weir.in_store("b"))
    soon(lambda: (read(weir.in_mount("a")), read(weir.in_mount("b"))), ("b", "a"))


def test_a_directory_became_a_file_and_back(weir):
    os.mkdir(weir.in_mount("d"))
    write(weir.in_mount("d", "x"), "x")
    shutil.rmtree(weir.in_store("d"))
    write(weir.in_store("d"), "file")
    soon(lambda: os.path.isfile(weir.in_mount("d")) and read(weir.in_mount("d")), "file")
    os.unlink(weir.in_store("d"))
    os.mkdir(weir.in_store("d"))
    soon(lambda: os.path.isdir(weir.in_mount("d")), True)
    assert os.listdir(weir.in_mount("d")) == []


def test_a_directory_moved_behind_into_its_own_former_child(weir):
    """What was the parent is below the child now: no loop, and both are where they are."""
    os.makedirs(weir.in_mount("p", "c"))
    write(weir.in_mount("p", "c", "f"), "f")
    write(weir.in_mount("p", "g"), "g")
    os.rename(weir.in_store("p", "c"), weir.in_store("c"))
    os.rename(weir.in_store("p"), weir.in_store("c", "p"))
    soon(lambda: (read(weir.in_mount("c", "f")), read(weir.in_mount("c", "p", "g"))), ("f", "g"))
    assert sorted(os.listdir(weir.in_mount("c"))) == ["f", "p"]


def test_mode_owner_and_times_behind(weir):
    write(weir.in_mount("a"), "a")
    os.stat(weir.in_mount("a"))
    os.chmod(weir.in_store("a"), 0o4711)
    os.chown(weir.in_store("a"), 12, 34)
    os.utime(weir.in_store("a"), ns=(5, 1_000_000_007))

    def facts():
        st = os.stat(weir.in_mount("a"))
        return st.st_mode & 0o7777, st.st_uid, st.st_gid, st.st_mtime_ns
    soon(facts, (0o711, 12, 34, 1_000_000_007))


def test_xattrs_behind(weir):
    write(weir.in_mount("a"), "a")
    os.listxattr(weir.in_mount("a"))
    os.setxattr(weir.in_store("a"), "user.x", b"1")
    soon(lambda: os.getxattr(weir.in_mount("a"), "user.x")
         if "user.x" in os.listxattr(weir.in_mount("a")) else None, b"1")


def test_an_acl_behind_counts(weir):
    import generator
    write(weir.in_mount("a"), "a")
    os.chmod(weir.in_mount("a"), 0o600)
    value = generator.acl([(1, 6, 2**32 - 1), (2, 4, 1000), (4, 0, 2**32 - 1), (16, 4, 2**32 - 1),
                           (32, 0, 2**32 - 1)])
    os.setxattr(weir.in_store("a"), "system.posix_acl_access", value)
    soon(lambda: os.getxattr(weir.in_mount("a"), "system.posix_acl_access")
         if "system.posix_acl_access" in os.listxattr(weir.in_mount("a")) else None, value)
    soon(lambda: readable_by(weir.in_mount("a"), 1000), True)


def readable_by(path, uid):
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            os.close(os.open(path, os.O_RDONLY))
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def test_a_removed_directory_is_gone(weir):
    os.makedirs(weir.in_mount("d", "e"))
    os.listdir(weir.in_mount("d", "e"))
    shutil.rmtree(weir.in_store("d"))
    soon(lambda: os.path.exists(weir.in_mount("d", "e")), False)
    with pytest.raises(OSError) as caught:
        write(weir.in_mount("d", "e", "f"), "f")
    assert caught.value.errno in (errno.ENOENT, errno.ESTALE)


def test_random_changes_behind_give_no_wrong_file(weir):
    """Each file says its name and version; a name never shows another name's content."""
    rng = random.Random(7)
    names = ["f%d" % n for n in range(12)]
    state = {}
    for turn in range(60):
        name = rng.choice(names)
        action = rng.randrange(3)
        if action == 0:
            write(weir.in_store(name), "%s v%d" % (name, turn))
            state[name] = "%s v%d" % (name, turn)
        elif action == 1:
            write(weir.in_store("tmp"), "%s v%d" % (name, turn))
            os.rename(weir.in_store("tmp"), weir.in_store(name))
            state[name] = "%s v%d" % (name, turn)
        elif name in state:
            os.unlink(weir.in_store(name))
            del state[name]
        for other in rng.sample(names, 4):
            got = read_or_stale(weir.in_mount(other))
            assert got is None or got == "" or got.split()[0] == other, (other, got)
    soon(lambda: {n: read(weir.in_mount(n)) for n in names}, {n: state.get(n) for n in names})


def read_or_stale(path):
    try:
        return read(path)
    except OSError as error:
        assert error.errno == errno.ESTALE
        return None
