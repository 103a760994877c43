# SPDX-License-Identifier: GPL-2.0-or-later
"""Landlock lets no file be opened by handle whose name the kernel has forgotten: it is found again.

The kernel forgets names when memory is short; here by drop_caches, after the worker, whose cache
of descriptors holds them, was killed.  What the mount's clients know (node ids) stays, so every
call below begins with a handle alone.
"""
import os
import signal
import time

import pytest

import disks
from builds import not_sanitized
from disks import images

pytestmark = pytest.mark.usefixtures("only_weir")
NOTICED = 1.3                           # seconds after which a change behind the mount is seen


def forget_names(weir):
    old = weir.worker()
    weir.expect_log("was killed by signal 9")
    os.kill(old, signal.SIGKILL)
    while weir.worker() == old:
        time.sleep(0.002)
    os.statvfs(weir.path)               # it serves
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
        f.write("3")


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def read(path):
    with open(path, "rb") as f:
        return f.read()


@pytest.fixture(params=("passthrough=on", "passthrough=off"))
def store(mounted, request):
    """Not a filesystem of its own: then every kernel's Landlock denies (fs/privilege_tree.c)."""
    weir = mounted(backing="dir", options=request.param)
    os.makedirs(weir.in_store("a/b"))
    write(weir.in_store("a/b/file"), b"content")
    os.stat(weir.in_mount("a/b/file"))
    return weir


def test_open_read_write(store):
    forget_names(store)
    assert read(store.in_mount("a/b/file")) == b"content"
    forget_names(store)
    write(store.in_mount("a/b/file"), b"more")
    assert read(store.in_store("a/b/file")) == b"more"


def test_by_path_only_descriptor(store):
    """An O_PATH descriptor holds the node id; nobody looks the name up again."""
    fd = os.open(store.in_mount("a/b/file"), os.O_PATH)
    forget_names(store)
    with open("/proc/self/fd/%d" % fd, "r+b") as f:
        assert f.read() == b"content"
    os.close(fd)


def test_truncate_and_attributes(store):
    path = store.in_mount("a/b/file")
    for change in (lambda: os.truncate(path, 3), lambda: os.chmod(path, 0o640),
                   lambda: os.chown(path, 1, 1), lambda: os.utime(path, (1, 1))):
        forget_names(store)
        change()
    st = os.stat(store.in_store("a/b/file"))
    assert (st.st_size, st.st_mode & 0o777, st.st_uid, st.st_mtime) == (3, 0o640, 1, 1)


def test_link_rename_unlink(store):
    forget_names(store)
    os.link(store.in_mount("a/b/file"), store.in_mount("a/second"))
    forget_names(store)
    os.rename(store.in_mount("a/second"), store.in_mount("third"))
    forget_names(store)
    assert read(store.in_mount("third")) == b"content"
    forget_names(store)
    os.unlink(store.in_mount("third"))
    assert os.listdir(store.store) and not os.path.exists(store.in_store("third"))
    assert os.stat(store.in_store("a/b/file")).st_nlink == 1


def test_xattrs(store):
    path = store.in_mount("a/b/file")
    for name in ("user.a", "trusted.a", "security.a"):
        forget_names(store)
        os.setxattr(path, name, b"v")
        forget_names(store)
        assert os.getxattr(path, name) == b"v"
        assert os.getxattr(store.in_store("a/b/file"), name) == b"v"
    forget_names(store)
    assert set(os.listxattr(path)) == {"user.a", "trusted.a", "security.a"}
    forget_names(store)
    os.removexattr(path, "trusted.a")
    assert "trusted.a" not in os.listxattr(store.in_store("a/b/file"))


def test_open_files_go_on(store):
    with open(store.in_mount("a/b/file"), "r+b", buffering=0) as f:
        forget_names(store)
        f.write(b"CON")
        os.fsync(f.fileno())
        forget_names(store)
        assert os.pread(f.fileno(), 7, 0) == b"CONtent"
        os.truncate(store.in_mount("a/b/file"), 5)
        forget_names(store)
        assert os.fstat(f.fileno()).st_size == 5


def test_unlinked_while_open(store):
    with open(store.in_mount("a/b/file"), "r+b", buffering=0) as f:
        os.unlink(store.in_mount("a/b/file"))
        forget_names(store)
        assert os.pread(f.fileno(), 7, 0) == b"content"
        os.ftruncate(f.fileno(), 4)
        with open("/proc/self/fd/%d" % f.fileno(), "rb") as again:
            forget_names(store)
            assert again.read() == b"cont"
    end = time.monotonic() + 5          # RELEASE is nobody's to wait for
    while os.listdir(store.in_store(".weir/orphans")):
        assert time.monotonic() < end
        time.sleep(0.01)


@not_sanitized
def test_renamed_behind(store):
    """The hints are wrong: found by the walk, and the log says so."""
    fd = os.open(store.in_mount("a/b/file"), os.O_PATH)
    os.makedirs(store.in_store("x/y/z"))
    os.rename(store.in_store("a/b/file"), store.in_store("x/y/z/other"))
    time.sleep(NOTICED)
    forget_names(store)
    with open("/proc/self/fd/%d" % fd, "rb") as f:
        assert f.read() == b"content"
    assert "not where weir saw it last" in store.log() and ", found" in store.log()
    os.close(fd)


def test_directories_and_what_is_deep_in_them(store):
    """The kernel reads directories to name a directory's ancestors, and is denied that for us."""
    deep = "/".join("d%d" % i for i in range(12))
    os.makedirs(store.in_mount(deep))
    write(store.in_mount(deep, "file"), b"deep")
    directory = os.open(store.in_mount(deep), os.O_PATH)
    forget_names(store)
    fd = os.open("new", os.O_CREAT | os.O_EXCL | os.O_WRONLY, dir_fd=directory)
    os.close(fd)
    forget_names(store)
    assert sorted(os.listdir("/proc/self/fd/%d" % directory)) == ["file", "new"]
    forget_names(store)
    os.rename("file", "other", src_dir_fd=directory, dst_dir_fd=directory)
    forget_names(store)
    os.close(directory)


def test_gone_is_gone(store):
    fd = os.open(store.in_mount("a/b/file"), os.O_PATH)
    os.unlink(store.in_store("a/b/file"))
    forget_names(store)
    with pytest.raises(OSError):
        open("/proc/self/fd/%d" % fd, "rb")
    os.close(fd)


@not_sanitized
def test_moved_out_of_the_datastore(mounted):
    """It is nobody's business of ours any more, although its handle is good."""
    store = mounted(backing="dir")
    os.makedirs(store.in_store("a/b"))
    write(store.in_store("a/b/file"), b"content")
    fd = os.open(store.in_mount("a/b/file"), os.O_PATH)
    outside = os.path.join(os.path.dirname(store.store), "outside")
    os.rename(store.in_store("a/b/file"), outside)
    time.sleep(NOTICED)
    forget_names(store)
    with pytest.raises(OSError):
        with open("/proc/self/fd/%d" % fd, "rb") as f:
            f.read()
    os.close(fd)
    os.unlink(outside)


def test_one_name_of_two_is_left(store):
    os.link(store.in_mount("a/b/file"), store.in_mount("second"))
    fd = os.open(store.in_mount("second"), os.O_PATH)
    os.unlink(store.in_store("second"))
    forget_names(store)
    with open("/proc/self/fd/%d" % fd, "rb") as f:
        assert f.read() == b"content"
    os.close(fd)


def test_policy_and_recognition(store):
    images.raw(store.in_mount("disk.img"))
    forget_names(store)
    assert disks.disk(store.in_mount("disk.img"))["type"] == "raw"
    forget_names(store)
    os.setxattr(store.in_mount("disk.img"), "user.weir.policy", b"silver")
    forget_names(store)
    with open(store.in_mount("disk.img"), "r+b", buffering=0) as f:
        f.write(b"x" * 512)
        forget_names(store)
        os.fsync(f.fileno())
    forget_names(store)
    os.removexattr(store.in_mount("disk.img"), "user.weir.policy")
    assert "trusted.weir.disk" not in os.listxattr(store.in_store("disk.img"))


def test_resent_write(store):
    path = store.in_mount("a/b/file")
    with open(path, "r+b", buffering=0) as f:
        forget_names(store)
        f.write(b"CON")
        os.fsync(f.fileno())
        forget_names(store)
        assert read(path) == b"CONtent"
