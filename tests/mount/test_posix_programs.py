# SPDX-License-Identifier: GPL-2.0-or-later
"""Ordinary programs on the mount: copies, archives, sockets, FIFOs, programs, reflinks."""
import errno
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import time

import pytest

import snapshot
import syscalls

FIEMAP_EXTENT_SHARED = 0x2000


def run(*command, **more):
    return subprocess.run(command, check=True, timeout=40, stdout=subprocess.PIPE, **more).stdout


@pytest.fixture
def tree(weir):
    """A small tree with one of everything."""
    root = weir.in_mount("t")
    os.makedirs(os.path.join(root, "d", "e"))
    with open(os.path.join(root, "sparse"), "wb") as f:
        f.truncate(1 << 20)
        f.seek(300_000)
        f.write(b"data")
    os.link(os.path.join(root, "sparse"), os.path.join(root, "d", "link"))
    os.symlink("../sparse", os.path.join(root, "d", "s"))
    os.mkfifo(os.path.join(root, "d", "e", "p"))
    os.setxattr(os.path.join(root, "sparse"), "user.x", b"1")
    os.chown(os.path.join(root, "sparse"), 12, 34)
    os.utime(os.path.join(root, "sparse"), ns=(10**18, 10**18 + 1))
    return root


def same(one, other):
    """Everything but ctime and atime."""
    trees = [snapshot.take(os.fsencode(path)) for path in (one, other)]
    for entries in trees:
        entries.pop(b"")
        for facts in entries.values():
            facts["times"] = facts["times"][1]
            facts.pop("loose", None)
    wrong = [(name, key, trees[0].get(name, {}).get(key), trees[1].get(name, {}).get(key))
             for name in {*trees[0], *trees[1]}
             for key in {*trees[0].get(name, {}), *trees[1].get(name, {})}]
    assert not [row for row in wrong if row[2] != row[3]]


@pytest.mark.parametrize("target", ("t2", "../out"))
def test_cp_keeps_everything(weir, tree, target):
    other = os.path.join(weir.path, target)
    run("cp", "-a", "--sparse=auto", tree, other)
    same(tree, other)


def test_tar_there_and_back(weir, tree):
    archive = os.path.join(weir.directory, "x.tar")
    run("tar", "-C", weir.path, "--xattrs", "--sparse", "-cf", archive, "t")
    os.mkdir(weir.in_mount("back"))
    run("tar", "-C", weir.in_mount("back"), "--xattrs", "-xpf", archive)
    same(tree, weir.in_mount("back", "t"))


def test_rm_r(weir, tree):
    run("rm", "-r", tree)
    assert os.listdir(weir.path) == []


def test_du_and_find_see_what_is_there(weir, tree):
    assert int(run("du", "-k", "-s", tree).split()[0]) < 200        # sparse stays sparse
    assert len(run("find", tree, "-printf", "%y\n").splitlines()) == 7


def test_a_socket_is_reached_through_the_mount(weir):
    server = socket.socket(socket.AF_UNIX)
    server.bind(weir.in_mount("sock"))
    server.listen()
    client = socket.socket(socket.AF_UNIX)
    client.connect(weir.in_mount("sock"))
    client.send(b"hello")
    with server.accept()[0] as connection:
        assert connection.recv(10) == b"hello"
    client.close()
    server.close()


def test_a_fifo_carries_bytes(weir):
    os.mkfifo(weir.in_mount("p"))
    pid = os.fork()
    if pid == 0:
        with open(weir.in_mount("p"), "wb") as f:
            f.write(b"hello")
        os._exit(0)
    with open(weir.in_mount("p"), "rb") as f:
        assert f.read() == b"hello"
    assert os.waitpid(pid, 0)[1] == 0


def test_a_running_program_cannot_be_written(weir):
    program = weir.in_mount("sleep")
    shutil.copy("/usr/bin/sleep", program)
    with subprocess.Popen([program, "30"]) as process:
        try:
            time.sleep(0.1)
            assert process.poll() is None
            with pytest.raises(OSError) as caught:
                os.close(os.open(program, os.O_WRONLY))
            assert caught.value.errno == errno.ETXTBSY
            os.unlink(program)
            assert process.poll() is None
        finally:
            process.kill()


def test_a_program_open_for_writing_cannot_be_run(weir):
    program = weir.in_mount("true")
    shutil.copy("/usr/bin/true", program)
    with open(program, "r+b"):
        with pytest.raises(OSError) as caught:
            subprocess.run([program], check=True, timeout=20)
        assert caught.value.errno == errno.ETXTBSY
    run(program)


def test_copy_file_range_shares_extents_where_the_backing_can(mounted, way):
    weir = mounted(backing="btrfs", options=way)
    with open(weir.in_mount("a"), "wb") as f:
        f.write(os.urandom(1 << 20))
        os.fsync(f.fileno())
    with open(weir.in_mount("a"), "rb") as a, open(weir.in_mount("b"), "wb") as b:
        done = 0
        while done < 1 << 20:
            done += os.copy_file_range(a.fileno(), b.fileno(), (1 << 20) - done, done, done)
        os.fsync(b.fileno())
    assert shared_extents(weir.in_store("b"))
    with open(weir.in_mount("a"), "rb") as a, open(weir.in_mount("b"), "rb") as b:
        assert a.read() == b.read()


def shared_extents(path):
    request = bytearray(struct.pack("<QQIIII", 0, 2**64 - 1, 1, 0, 64, 0) + bytes(56 * 64))
    with open(path, "rb") as f:
        fcntl.ioctl(f, syscalls.FS_IOC_FIEMAP, request)
    count = struct.unpack_from("<I", request, 20)[0]
    return count and all(struct.unpack_from("<I", request, 32 + 56 * i + 40)[0] &
                         FIEMAP_EXTENT_SHARED for i in range(count))


def test_exclusive_create_verifier(weir):
    """NFS servers keep it in atime and mtime, and look for it when the request comes again."""
    fd = os.open(weir.in_mount("a"), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0)
    os.utime(fd, ns=(0x12345678 * 10**9, 0x7abcdef0 * 10**9))
    os.close(fd)
    st = os.stat(weir.in_mount("a"))
    assert (st.st_atime_ns, st.st_mtime_ns) == (0x12345678 * 10**9, 0x7abcdef0 * 10**9)
    if weir.is_weir():
        weir.restart()
        st = os.stat(weir.in_mount("a"))
        assert (st.st_atime_ns, st.st_mtime_ns) == (0x12345678 * 10**9, 0x7abcdef0 * 10**9)


def test_directories_can_be_synced(weir):
    os.mkdir(weir.in_mount("d"))
    for name in ("", "d"):
        fd = os.open(weir.in_mount(name), os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(fd)
        os.fdatasync(fd)
        os.close(fd)


def test_names_of_every_byte(weir):
    root = os.fsencode(weir.path) + b"/"
    names = sorted(b"x" + bytes([byte]) for byte in range(1, 256) if byte != 0x2F)
    names += [b"L" * 255, b"\xff" * 255]
    for name in names:
        with open(root + name, "wb") as f:
            f.write(name)
    assert sorted(os.listdir(root)) == sorted(names)
    for name in names:
        with open(root + name, "rb") as f:
            assert f.read() == name


def test_a_full_datastore_says_so_and_recovers(mounted, way):
    weir = mounted(options=way, megabytes=48)
    written = 0
    with open(weir.in_mount("big"), "wb", buffering=0) as f:
        with pytest.raises(OSError) as caught:
            while written < 1 << 30:
                written += f.write(b"x" * 65536)
                os.fsync(f.fileno())
        assert caught.value.errno == errno.ENOSPC
    assert os.stat(weir.in_mount("big")).st_size >= written
    with pytest.raises(OSError) as caught:
        with open(weir.in_mount("other"), "wb", buffering=0) as f:
            for _ in range(100):
                f.write(b"y" * 65536)
                os.fsync(f.fileno())
    assert caught.value.errno == errno.ENOSPC
    os.unlink(weir.in_mount("big"))
    deadline = time.monotonic() + 2
    while not can_write(weir.in_mount("other")):
        assert time.monotonic() < deadline, "still full"


def can_write(path):
    with open(path, "wb", buffering=0) as f:
        try:
            return f.write(b"z" * 65536) == 65536
        except OSError as error:
            assert error.errno == errno.ENOSPC
            return False


def test_tmpfile_is_refused_cleanly(only_weir, weir):
    """Not in libfuse 3.14: programs fall back when they get one of these."""
    with pytest.raises(OSError) as caught:
        os.close(os.open(weir.path, os.O_TMPFILE | os.O_RDWR))
    assert caught.value.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT)
