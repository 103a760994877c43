# SPDX-License-Identifier: GPL-2.0-or-later
"""A handle that a client has stays good, or is stale, and never is another file's.

Whatever is restarted, in whichever order, also when another filesystem took the mount's device
number in between.
"""
import os
import re
import time

import pytest

import nfsrpc
import rig as rigs

NAMES = ("disk.raw", "vm1/disk.vmdk", "vm1/snapshots/disk-000001.vmdk", "vm1/gone.raw")


@pytest.fixture(autouse=True)
def weir_only(request):
    """passthrough_ll's node ids are addresses: they end with it."""
    one = request.getfixturevalue("alone")
    if one.volatile and ("[weir" in request.node.name or "behind" in request.node.name):
        pytest.skip("the stand-in's handles end with it")


# What happens to the servers.  Each takes the rig and leaves both running.

def ganesha_restarted(one):
    one.restart_ganesha()


def ganesha_killed(one):
    one.kill_ganesha()
    one.start_ganesha()


def weir_restarted(one):
    one.stop_ganesha()
    one.vm.stop()
    one.vm.start()
    one.start_ganesha()


def wait_for_commit():
    """weir commits the node ids of new files within a second; a kill before that loses them."""
    time.sleep(2)


def weir_killed(one):
    wait_for_commit()
    one.vm.kill()
    one.stop_ganesha()
    one.vm.start()
    one.start_ganesha()


def mount_under_another_number(one, number):
    one.take_number(number)
    one.vm.start()
    assert rigs.device_of(one.vm.point) != number


def weir_restarted_another_mount_between(one):
    number = rigs.device_of(one.vm.point)
    one.stop_ganesha()
    one.vm.stop()
    mount_under_another_number(one, number)
    one.start_ganesha()


def weir_killed_another_mount_between(one):
    number = rigs.device_of(one.vm.point)
    wait_for_commit()
    one.vm.kill()
    one.kill_ganesha()
    mount_under_another_number(one, number)
    one.start_ganesha()


def weir_restarted_while_ganesha_goes_on(one):
    """Unexported and exported again by SIGHUP: the other exports of a server need no restart."""
    number = rigs.device_of(one.vm.point)
    one.weir_nfs("unexport", one.vm.point, reload=True)
    rigs.wait_for("umount", lambda: rigs.run("umount", one.vm.point, check=False).returncode == 0)
    rigs.wait_for("end of weir", lambda: not one.vm.process.running())
    mount_under_another_number(one, number)
    export_again(one)


def export_again(one):
    one.export(one.vm, reload=True)
    rigs.wait_for("export", lambda: one.tool("nfs-ls", one.url(one.vm.point), check=False,
                                             limit=30).returncode == 0)


def weir_killed_while_ganesha_goes_on(one):
    """ganesha holds the dead mount until it is unexported; what is there again gets a new one."""
    wait_for_commit()
    one.vm.kill()
    one.weir_nfs("unexport", one.vm.point, reload=True)
    one.vm.start()
    export_again(one)


EVENTS = (ganesha_restarted, ganesha_killed, weir_restarted, weir_killed,
          weir_restarted_another_mount_between, weir_killed_another_mount_between,
          weir_restarted_while_ganesha_goes_on, weir_killed_while_ganesha_goes_on)


def fill(one):
    for name in NAMES:
        path = one.vm.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(name.encode() * 1000)
            os.fsync(file.fileno())


def is_stale(function, *arguments):
    with pytest.raises(nfsrpc.NfsError) as caught:
        function(*arguments)
    assert caught.value.status == nfsrpc.ESTALE


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_v3_handles_stay(alone, client3, event):
    """Files, directories and the root: the same bytes, fileid and fsid; writes arrive."""
    fill(alone)
    nfs = client3(alone)
    root = nfs.mount(alone.vm.point)
    handles = {name: nfs.walk(root, name) for name in NAMES}
    directory = nfs.walk(root, "vm1")
    before = {name: nfs.getattr(handle) for name, handle in handles.items()}
    event(alone)
    for name, handle in handles.items():
        assert nfs.read(handle, 4000, 0) == (name.encode() * 1000)[:4000]
        after = nfs.getattr(handle)
        assert {key: after[key] for key in ("fileid", "fsid", "size", "mtime", "mode")} == \
            {key: before[name][key] for key in ("fileid", "fsid", "size", "mtime", "mode")}
        nfs.write(handle, b"again", 100)
        with open(alone.vm.path(name), "rb") as file:
            assert file.read()[95:110] == (name.encode() * 1000)[95:100] + b"again" + \
                (name.encode() * 1000)[105:110]
    assert nfs.mount(alone.vm.point) == root
    assert nfs.lookup(directory, "disk.vmdk") == handles["vm1/disk.vmdk"]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_v4_handles_stay(alone, client4, event):
    fill(alone)
    nfs = client4(alone)
    handles = {name: nfs.walk(alone.vm.path(name)) for name in NAMES}
    event(alone)
    for name, handle in handles.items():
        assert nfs.read(handle, 4000, 0) == (name.encode() * 1000)[:4000]
        nfs.write(handle, b"again", 100)
        assert nfs.read(handle, 5, 100) == b"again"
        assert nfs.walk(alone.vm.path(name)) == handle


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_a_deleted_file_s_handle_is_stale(alone, client3, event):
    """However many files come after it, under its name and others, its handle is none of theirs."""
    fill(alone)
    nfs = client3(alone)
    root = nfs.mount(alone.vm.point)
    gone = nfs.walk(root, "vm1/gone.raw")
    nfs.remove(nfs.walk(root, "vm1"), "gone.raw")
    is_stale(nfs.read, gone, 10, 0)
    event(alone)
    for number in range(100):
        name = f"vm1/new-{number}" if number else "vm1/gone.raw"
        with open(alone.vm.path(name), "wb") as file:
            file.write(b"not yours")
    made = [nfs.walk(root, f"vm1/new-{number}") for number in range(1, 100)]
    assert gone not in made and gone != nfs.walk(root, "vm1/gone.raw")
    is_stale(nfs.read, gone, 10, 0)
    is_stale(nfs.write, gone, b"lost", 0)
    is_stale(nfs.getattr, gone)


def test_killed_at_once(alone, client3):
    """A handle so new that no commit has it: its own file or stale, never one made afterwards."""
    nfs = client3(alone)
    root = nfs.mount(alone.vm.point)
    for attempt in range(5):
        made = {f"a{attempt}-{number}": None for number in range(20)}
        for name in made:
            made[name] = nfs.create(root, name)
            nfs.write(made[name], name.encode(), 0)
        alone.kill_ganesha()
        alone.vm.kill()
        alone.vm.start()
        alone.start_ganesha()
        later = {}
        for number in range(20):
            name = f"b{attempt}-{number}"
            later[name] = nfs.create(root, name)
            nfs.write(later[name], name.encode(), 0)
        assert not set(made.values()) & set(later.values())
        for name, handle in made.items():
            assert reads_or_is_stale(nfs, handle) in (name.encode(), nfsrpc.ESTALE)
            assert nfs.read(nfs.lookup(root, name), 100, 0) == name.encode()
        for name, handle in later.items():
            assert nfs.read(handle, 100, 0) == name.encode()


def reads_or_is_stale(nfs, handle):
    try:
        return nfs.read(handle, 100, 0)
    except nfsrpc.NfsError as error:
        return error.status


def test_deleted_and_renamed_while_ganesha_is_away(alone, client3):
    """What happened on the mount meanwhile counts: renamed stays, deleted and replaced are stale."""
    fill(alone)
    nfs = client3(alone)
    root = nfs.mount(alone.vm.point)
    moved, gone, replaced = (nfs.walk(root, name) for name in
                             ("disk.raw", "vm1/gone.raw", "vm1/disk.vmdk"))
    alone.stop_ganesha()
    os.rename(alone.vm.path("disk.raw"), alone.vm.path("vm1/moved.raw"))
    os.unlink(alone.vm.path("vm1/gone.raw"))
    os.rename(alone.vm.path("vm1/snapshots/disk-000001.vmdk"), alone.vm.path("vm1/disk.vmdk"))
    if not alone.volatile:
        alone.vm.stop()
        alone.vm.start()
    alone.start_ganesha()
    assert nfs.read(moved, 8, 0) == b"disk.raw"
    is_stale(nfs.read, gone, 8, 0)
    is_stale(nfs.read, replaced, 8, 0)
    assert nfs.lookup(nfs.walk(root, "vm1"), "moved.raw") == moved


def test_deleted_behind_weir_s_back(alone, client3):
    """Deleted and made again in the datastore while nothing runs: stale, never the new file."""
    fill(alone)
    nfs = client3(alone)
    root = nfs.mount(alone.vm.point)
    gone = nfs.walk(root, "vm1/gone.raw")
    alone.stop_ganesha()
    alone.vm.stop()
    behind = os.path.join(alone.vm.datastore, "vm1/gone.raw")
    os.unlink(behind)
    with open(behind, "wb") as file:
        file.write(b"not yours")
    alone.vm.start()
    alone.start_ganesha()
    is_stale(nfs.read, gone, 10, 0)
    assert nfs.read(nfs.walk(root, "vm1/gone.raw"), 10, 0) == b"not yours"


# A program that holds one open file all the time

def rounds(holder):
    text = holder.output()
    assert "WRONG" not in text, text
    return len(re.findall(r"round \d+", text))


def goes_on(holder, what):
    """Some more rounds, all with bytes that are right."""
    before = rounds(holder)
    rigs.wait_for(f"rounds of the client {what}", lambda: rounds(holder) >= before + 10, 60)


def test_an_open_program_goes_on(alone):
    """libnfs opened a file once; through every event it goes on reading what it wrote."""
    with open(alone.vm.path("held.raw"), "wb") as file:
        file.truncate(64 * 4096)
    holder = alone.tool_process("holder", rigs.PYTHON, os.path.join(rigs.HERE, "holder.py"),
                                alone.url(alone.vm.path("held.raw")))
    try:
        goes_on(holder, "before anything")
        for event in EVENTS:
            if not alone.volatile or event.__name__.startswith("ganesha"):
                event(alone)
                goes_on(holder, "after " + event.__name__)
        assert holder.running()
    finally:
        holder.end()


def test_qemu_s_image_goes_on(alone):
    """qemu-io keeps an image open over a restart of ganesha, and its pattern is right after it."""
    url = alone.url(alone.vm.path("open.raw"), None)
    alone.tool("qemu-img", "create", "-f", "raw", url, "4M")
    program = ["nsenter", f"--net=/run/netns/{alone.namespace}", "qemu-io", "-f", "raw",
               "-c", "write -P 0x33 0 1M", "-c", "sleep 3000", "-c", "write -P 0x44 1M 1M",
               "-c", "flush", "-c", "read -P 0x33 0 1M", "-c", "read -P 0x44 1M 1M", url]
    with rigs.subprocess.Popen(program, stdout=rigs.subprocess.PIPE, text=True) as qemu:
        try:
            rigs.wait_for("the first write", lambda: os.stat(
                os.path.join(alone.vm.datastore, "open.raw")).st_blocks >= 2048)
            ganesha_restarted(alone)
            text = qemu.communicate(timeout=90)[0]
        finally:
            qemu.kill()
    assert qemu.returncode == 0 and "failed" not in text, text
    assert text.count("read 1048576/1048576") == 2, text
