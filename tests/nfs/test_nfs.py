# SPDX-License-Identifier: GPL-2.0-or-later
"""Images and names over NFS: a real ganesha exports a weir mount, and hypervisors' tools use it."""
import os
import random

import pytest

import nfsrpc
import rig as rigs

MIB = 1 << 20


def image(path, size=8 * MIB, seed=1):
    """A raw image with data at random places, and holes between."""
    source = random.Random(seed)
    with open(path, "wb") as file:
        file.truncate(size)
        for _ in range(24):
            file.seek(source.randrange(size // 4096) * 4096)
            file.write(source.randbytes(source.randrange(1, 16) * 512))
    os.truncate(path, size)


def content(path):
    with open(path, "rb") as file:
        return file.read()


# Images in and out

@pytest.mark.parametrize("form", ("raw", "qcow2", "vmdk", "vdi"))
def test_an_image_goes_in_and_comes_out(served, form, tmp_path):
    """qemu-img writes each format over NFS; the mount and NFS give back the same disk."""
    image(tmp_path / "in.raw")
    path = served.vm.path("convert." + form)
    url = served.url(path, None)
    served.tool("qemu-img", "convert", "-f", "raw", "-O", form, str(tmp_path / "in.raw"), url)
    served.tool("qemu-img", "compare", "-f", "raw", "-F", form, str(tmp_path / "in.raw"), url)
    served.tool("qemu-img", "convert", "-f", form, "-O", "raw", url, str(tmp_path / "out.raw"))
    assert content(tmp_path / "out.raw") == content(tmp_path / "in.raw")
    rigs.run("qemu-img", "compare", "-f", form, "-F", "raw", path, str(tmp_path / "in.raw"))
    assert content(path) == content(os.path.join(served.vm.datastore, "convert." + form))


@pytest.mark.parametrize("form", ("raw", "qcow2", "vmdk", "vdi"))
def test_an_image_goes_in_and_comes_out_v4(served, client4, form, tmp_path):
    """The same with v4: in by WRITEs of ours, for version4.c says what libnfs cannot; out by QEMU."""
    image(tmp_path / "in.raw")
    rigs.run("qemu-img", "convert", "-O", form, str(tmp_path / "in.raw"), str(tmp_path / "in"))
    nfs, name = client4(served), "convert4." + form
    data = content(tmp_path / "in")
    nfs.create_exclusive(nfs.walk(served.vm.point), name, os.urandom(8))
    handle = nfs.walk(served.vm.path(name))
    for offset in range(0, len(data), MIB):
        nfs.write(handle, data[offset:offset + MIB], offset, nfsrpc.UNSTABLE)
    nfs.commit(handle)
    assert content(served.vm.path(name)) == data
    served.tool("nfs-cp", served.url(served.vm.path(name), 4), str(tmp_path / "out"))
    assert content(tmp_path / "out") == data
    if form == "raw":
        return                              # QEMU reads 2 MiB at once, and libnfs refuses the reply
    url = served.url(served.vm.path(name), None)
    served.qemu(4, "qemu-img", "convert", "-f", form, "-O", "raw", url, str(tmp_path / "out.raw"))
    assert content(tmp_path / "out.raw") == content(tmp_path / "in.raw")


def test_guest_writes_reach_the_datastore(served, version):
    """qemu-io's patterns over NFS, with flushes, are in the backing file and read back."""
    name = f"guest-v{version}.raw"
    large = "64k" if version == 3 else "1k"
    url = served.url(served.vm.path(name), None)
    with open(served.vm.path(name), "wb") as file:
        file.truncate(16 * MIB)
    served.qemu(version, "qemu-io", "-f", "raw", "-c", f"write -P 0x5a 0 {large}",
                "-c", "write -P 0xa5 5M 1k", "-c", "flush", "-c", "write -P 0x11 512 512", url)
    text = served.qemu(version, "qemu-io", "-f", "raw", "-c", "read -P 0x11 512 512",
                       "-c", "read -P 0x5a 0 512", "-c", "read -P 0xa5 5M 1k",
                       "-c", "read -P 0 8M 1M", url).stdout
    assert "verification failed" not in text
    data = content(os.path.join(served.vm.datastore, name))
    assert len(data) == 16 * MIB
    assert data[512:1024] == b"\x11" * 512 and data[5 * MIB:5 * MIB + 1024] == b"\xa5" * 1024


def test_an_image_is_resized(served):
    path = served.vm.path("resize.raw")
    url = served.url(path, None)
    served.tool("qemu-img", "create", "-f", "raw", url, "1M")
    served.tool("qemu-img", "resize", "-f", "raw", url, "3M")
    assert os.path.getsize(path) == 3 * MIB
    served.tool("qemu-img", "resize", "--shrink", "-f", "raw", url, "2M")
    assert os.path.getsize(os.path.join(served.vm.datastore, "resize.raw")) == 2 * MIB


def test_a_snapshot_chain_works(served, tmp_path):
    """An overlay on a base, both over NFS: reads come through, writes stay above."""
    image(tmp_path / "in.raw")
    base, over = (served.url(served.vm.path(name), None) for name in ("base.qcow2", "over.qcow2"))
    served.tool("qemu-img", "convert", "-O", "qcow2", str(tmp_path / "in.raw"), base)
    served.tool("qemu-img", "create", "-f", "qcow2", "-b", base, "-F", "qcow2", over)
    served.tool("qemu-img", "compare", "-f", "qcow2", "-F", "raw", over, str(tmp_path / "in.raw"))
    served.tool("qemu-io", "-f", "qcow2", "-c", "write -P 7 1M 64k", over)
    served.tool("qemu-img", "compare", "-f", "qcow2", "-F", "raw", base, str(tmp_path / "in.raw"))
    text = served.tool("qemu-io", "-f", "qcow2", "-c", "read -P 7 1M 64k", over).stdout
    assert "verification failed" not in text


def test_libnfs_tools_copy_and_list(served, version, tmp_path):
    """nfs-cp in (v3) and out, nfs-cat and nfs-ls agree with the file."""
    data = random.Random(version).randbytes(3 * MIB + 17)
    (tmp_path / "in").write_bytes(data)
    path = served.vm.path(f"copy-v{version}.bin")
    served.tool("nfs-cp", str(tmp_path / "in"), served.url(path, 3))
    url = served.url(path, version)
    served.tool("nfs-cp", url, str(tmp_path / "out"))
    assert content(tmp_path / "out") == data == content(path)
    with open(tmp_path / "cat", "wb") as out:
        rigs.subprocess.run(["nsenter", f"--net=/run/netns/{served.namespace}", "nfs-cat", url],
                            stdout=out, check=True, timeout=60)
    assert content(tmp_path / "cat") == data
    listing = served.tool("nfs-ls", served.url(served.vm.point, version)).stdout
    assert any(str(len(data)) in line and line.endswith(f"copy-v{version}.bin")
               for line in listing.splitlines())


def test_a_large_directory_is_listed_whole(served, version):
    directory = served.vm.path(f"many-v{version}")
    os.mkdir(directory)
    names = {f"file-{number:05}" for number in range(3000)}
    for name in names:
        os.close(os.open(os.path.join(directory, name), os.O_CREAT | os.O_WRONLY))
    listing = served.tool("nfs-ls", served.url(directory, version)).stdout
    assert sorted(line.split()[-1] for line in listing.splitlines()) == sorted(names)


# Names

def refused(status, function, *arguments):
    with pytest.raises(nfsrpc.NfsError) as caught:
        function(*arguments)
    assert caught.value.status == status


def test_a_renamed_file_keeps_its_handle(served, client3):
    """v3: the handle follows the file; who was renamed over is stale."""
    nfs = client3(served)
    root = nfs.mount(served.vm.point)
    moved, replaced = nfs.create(root, "moved"), nfs.create(root, "replaced")
    nfs.write(moved, b"moved", 0)
    nfs.write(replaced, b"replaced", 0)
    nfs.rename(root, "moved", root, "replaced")
    assert nfs.read(moved, 100, 0) == b"moved"
    assert nfs.lookup(root, "replaced") == moved
    refused(nfsrpc.ESTALE, nfs.read, replaced, 100, 0)
    refused(nfsrpc.NOENT, nfs.lookup, root, "moved")
    directory = nfs.mkdir(root, "renames")
    nfs.rename(root, "replaced", directory, "deep")
    assert nfs.read(moved, 100, 0) == b"moved"
    assert content(served.vm.path("renames/deep")) == b"moved"


def test_a_renamed_file_keeps_its_handle_v4(served, client4):
    nfs = client4(served)
    for name in ("moved4", "replaced4"):
        with open(served.vm.path(name), "wb") as file:
            file.write(name.encode())
    root = nfs.walk(served.vm.point)
    moved, replaced = (nfs.walk(served.vm.path(name)) for name in ("moved4", "replaced4"))
    nfs.rename(root, "moved4", root, "replaced4")
    assert nfs.read(moved, 100, 0) == b"moved4"
    assert nfs.walk(served.vm.path("replaced4")) == moved
    refused(nfsrpc.ESTALE, nfs.read, replaced, 100, 0)


def test_an_exclusive_create_is_done_once(served, client3):
    """v3: the same verifier again is the retransmission of one request; another is refused."""
    nfs = client3(served)
    root = nfs.mount(served.vm.point)
    made = nfs.create(root, "exclusive", nfsrpc.EXCLUSIVE, b"weir-001")
    assert nfs.create(root, "exclusive", nfsrpc.EXCLUSIVE, b"weir-001") == made
    refused(nfsrpc.EXIST, nfs.create, root, "exclusive", nfsrpc.EXCLUSIVE, b"weir-002")
    refused(nfsrpc.EXIST, nfs.create, root, "exclusive", nfsrpc.GUARDED)


def test_an_exclusive_create_is_done_once_v4(served, client4):
    nfs = client4(served)
    root = nfs.walk(served.vm.point)
    nfs.create_exclusive(root, "exclusive4", b"weir-401")
    nfs.create_exclusive(root, "exclusive4", b"weir-401")
    refused(nfsrpc.EXIST, nfs.create_exclusive, root, "exclusive4", b"weir-402")


def test_the_verifier_outlives_the_servers(alone, client3):
    """It is in atime and mtime, so ganesha and weir may both have been restarted in between."""
    if alone.volatile:
        pytest.skip("the stand-in's handles end with it")
    nfs = client3(alone)
    root = nfs.mount(alone.vm.point)
    made = nfs.create(root, "exclusive", nfsrpc.EXCLUSIVE, b"\xff\xfe\x80\x01weir")
    alone.stop_ganesha()
    alone.vm.stop()
    alone.vm.start()
    alone.start_ganesha()
    assert nfs.create(root, "exclusive", nfsrpc.EXCLUSIVE, b"\xff\xfe\x80\x01weir") == made
    refused(nfsrpc.EXIST, nfs.create, root, "exclusive", nfsrpc.EXCLUSIVE, b"\xff\xfe\x80\x02weir")


def test_handles_are_short_enough_for_esxi(served, client3, client4):
    nfs, nfs4 = client3(served), client4(served)
    deep = served.vm.path("deep/er/and/deeper")
    os.makedirs(deep)
    root = nfs.mount(served.vm.point)
    assert len(nfs.walk(root, "deep/er/and/deeper")) <= 56
    assert len(nfs4.walk(deep)) <= 56


# Users

def test_files_belong_to_the_client_s_user(served, client3):
    if served.standin:
        pytest.skip("with passthrough_ll they belong to root")
    nfs = client3(served, uid=12345)
    directory = served.vm.path("users")
    os.mkdir(directory)
    os.chmod(directory, 0o777)
    handle = nfs.walk(nfs.mount(served.vm.point), "users")
    made = nfs.create(handle, "mine")
    assert nfs.getattr(made)["uid"] == nfs.getattr(made)["gid"] == 12345
    assert os.stat(os.path.join(directory, "mine")).st_uid == 12345
    os.chmod(directory, 0o755)
    refused(13, nfs.create, handle, "not mine")


def test_root_is_squashed_when_asked(rig, client3):
    """--squash root: a client's root may not write what belongs to root; default is that it may."""
    rig.vm = rig.mount("vm")
    rig.export(rig.vm, "--squash", "root")
    rig.start_ganesha()
    nfs = client3(rig)
    root = nfs.mount(rig.vm.point)
    refused(13, nfs.create, root, "file")
    rig.export(rig.vm, "--squash", "none", reload=True)
    rigs.wait_for("the changed export", lambda: creates(nfs, root), 20)


def creates(nfs, root):
    try:
        return nfs.create(root, "file", nfsrpc.UNCHECKED)
    except nfsrpc.NfsError:
        return None


def test_other_clients_are_refused(rig, client3):
    """Who is not in --clients cannot mount, and cannot use a handle that it has."""
    rig.vm = rig.mount("vm")
    rig.export(rig.vm)
    rig.start_ganesha()
    nfs = client3(rig)
    root = nfs.mount(rig.vm.point)
    rig.export(rig.vm, "--clients", "192.0.2.0/24", reload=True)
    rigs.wait_for("the refusal", lambda: not can_read(nfs, root), 20)
    with pytest.raises(nfsrpc.NfsError):
        nfs.mount(rig.vm.point)


def can_read(nfs, handle):
    try:
        return nfs.getattr(handle)
    except nfsrpc.NfsError:
        return None


@pytest.mark.parametrize("only, other", (("--v3-only", 4), ("--v4-only", 3)))
def test_one_version_only(rig, only, other):
    rig.vm = rig.mount("vm")
    with open(rig.vm.path("file"), "wb") as file:
        file.write(b"there")
    rig.export(rig.vm, only)
    rig.start_ganesha()
    path = rig.vm.path("file")
    assert rig.tool("nfs-cat", rig.url(path, 7 - other)).stdout == "there"
    assert rig.tool("nfs-cat", rig.url(path, other), check=False, limit=30).returncode != 0


def test_directories_of_one_mount(rig, client3):
    """Exports of a mount's directories go beside each other; a second mount is refused."""
    if rig.standin:
        pytest.skip("weir-nfs knows weir's mounts only")
    rig.vm = rig.mount("vm")
    for name in ("one", "two"):
        os.mkdir(rig.vm.path(name))
        with open(rig.vm.path(name + "/file"), "w", encoding="ascii") as file:
            file.write(name)
        rig.weir_nfs("export", rig.vm.path(name), "--no-nlm", "--recovery",
                     os.path.join(rig.root, "recovery"))
    rig.start_ganesha()
    nfs = client3(rig)
    for name in ("one", "two"):
        root = nfs.mount(rig.vm.path(name))
        assert nfs.read(nfs.lookup(root, "file"), 10, 0) == name.encode()
    other = rig.mount("other")
    assert "apart" in rig.export(other, check=False).stdout
