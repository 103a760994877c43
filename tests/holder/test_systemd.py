# SPDX-License-Identifier: GPL-2.0-or-later
"""With systemd: what it is told, what it keeps, and what a start with that does.

PID 1 is not systemd here: the test holds the socket and the descriptors, and gives them back as
sd_listen_fds(3) says.
"""
import array
import os
import signal
import socket
import subprocess

import pytest

from held import alive, wait_until
from test_worker_dies import Client

NAMES = ("weir-fuse", "weir-slate", "weir-ledger")


class Manager:
    """What systemd would be for one service."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.setblocking(False)
        self.words, self.store = [], {}

    def read(self):
        while True:
            try:
                data, beside, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(64))
            except BlockingIOError:
                return self.words
            lines = data.decode().split("\n")
            self.words += lines
            self.keep(dict(line.split("=", 1) for line in lines if "=" in line), beside)

    def keep(self, said, beside):
        fds = array.array("i")
        for _, _, data in beside:
            fds.frombytes(data)
        name = said.get("FDNAME")
        if "FDSTORE" in said:
            assert len(fds) == 1 and name not in self.store
            self.store[name] = fds[0]
        if "FDSTOREREMOVE" in said and name in self.store:
            os.close(self.store.pop(name))

    def waits_for(self, word):
        wait_until(lambda: word in self.read(), word + " in " + str(self.words))

    def start(self, h, order=NAMES, **more):
        """The service again, with what is stored at 3, 4, 5 (by the shell: it keeps its pid)."""
        variables = {**os.environ, "NOTIFY_SOCKET": self.path, **more}
        if not self.store:
            return h.spawn("-f", env=variables)
        moves = " ".join("%d<&%d" % (3 + i, 100 + i) for i in range(len(order)))
        script = "export LISTEN_PID=$$; exec \"$@\" %s" % moves
        for i, name in enumerate(order):
            os.dup2(self.store[name], 100 + i)
        line = h.line("-f")
        with open(h.log_file, "ab") as log:
            process = subprocess.Popen(
                ["bash", "-c", script, "bash", *line], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True, pass_fds=[100 + i for i in range(len(order))],
                env={**variables, "LISTEN_FDS": str(len(order)), "LISTEN_FDNAMES": ":".join(order)})
        h.processes.append(process)
        for i in range(len(order)):
            os.close(100 + i)
        return process

    def close(self):
        for fd in self.store.values():
            os.close(fd)
        self.socket.close()


@pytest.fixture
def manager(directory):
    made = Manager(directory)
    yield made
    made.close()


def started(held, manager):
    h = held()
    process = manager.start(h)
    manager.waits_for("READY=1")
    wait_until(h.find_socket, "the socket")
    return h, process


def again(h, manager, process, order=NAMES):
    process.wait(20)
    manager.words.clear()
    process = manager.start(h, order)
    manager.waits_for("READY=1")
    return process


def test_what_it_is_told(held, manager):
    h, process = started(held, manager)
    assert set(manager.store) == set(NAMES) and h.status()["store"] == 1
    assert os.readlink("/proc/self/fd/%d" % manager.store["weir-fuse"]) == "/dev/fuse"
    h.umount()
    assert process.wait(20) == 0
    assert manager.read() and not manager.store, "an unmounted mount is not kept"


@pytest.mark.parametrize("order", [NAMES, NAMES[::-1]])
def test_stop_and_start_keep_the_mount(held, manager, order):
    """systemctl restart: the worker drains, everybody goes, and the next start goes on."""
    h, process = started(held, manager)
    before = h.status()
    directory = os.open(h.point, os.O_RDONLY)
    try:
        with Client(h.point) as client:
            process.terminate()
            assert process.wait(20) == 75, "left to the next start: weir@.service tells by this"
            assert "STOPPING=1" in manager.read() and not alive(before["worker"])
            assert h.mounted() and len(manager.store) == 3
            process = again(h, manager, process, order)
            wait_until(lambda: client.calls > 10, "the client")
        assert client.error is None and os.listdir(directory) == []
    finally:
        os.close(directory)
    after = h.status()
    assert after["starts"] == before["starts"] + 1 and after["holder"] == process.pid
    h.umount()
    assert process.wait(20) == 0 and not manager.read()[-1].startswith("READY")
    assert not manager.store


def test_reload(held, manager):
    _, process = started(held, manager)
    manager.words.clear()
    process.send_signal(signal.SIGHUP)
    manager.waits_for("READY=1")
    assert "RELOADING=1" in manager.words and \
        any(word.startswith("MONOTONIC_USEC=") for word in manager.words)


def test_killed_holder_and_living_worker(held, manager):
    """The worker is ended, and only then another one starts."""
    h, process = started(held, manager)
    before = h.status()
    with Client(h.point) as client:
        process.kill()
        process = again(h, manager, process)
        wait_until(lambda: client.calls > 10, "the client")
    assert client.error is None
    assert not alive(before["worker"]) and h.worker() != before["worker"]
    assert h.status()["last_status"] == 75 << 8, "it was drained"


def test_deaf_worker_without_holder(held, manager):
    h = held("deaf")
    process = manager.start(h)
    manager.waits_for("READY=1")
    wait_until(h.find_socket, "the socket")
    h.status()
    process.kill()
    again(h, manager, process)
    wait_until(h.find_socket, "the socket")
    assert h.status()["last_status"] == signal.SIGKILL


def test_store_is_kept_for_later(held, manager):
    """Somebody else has the mount, or our program is not the one for it: that may change."""
    h, process = started(held, manager)
    before = h.status()
    assert manager.start(h).wait(20) == 1 and "busy" in h.log()
    manager.read()
    assert len(manager.store) == 3 and h.status() == before
    process.kill()
    process.wait(20)
    h.install("weir-worker", "noslate")
    assert manager.start(h).wait(20) == 1 and "left alone" in h.log()
    manager.read()
    assert len(manager.store) == 3 and alive(before["worker"])
    h.install("weir-worker", "serve")
    again(h, manager, process)


def test_all_killed(held, manager):
    h, process = started(held, manager)
    before = h.status()
    with Client(h.point) as client:
        process.kill()
        os.kill(before["worker"], signal.SIGKILL)
        process = again(h, manager, process)
        wait_until(lambda: client.calls > 10, "the client")
    assert client.error is None
    assert h.status()["last_status"] == 0, "nobody saw what it died of"


def test_what_was_stored_for_another_mount(held, manager):
    """The mount went away meanwhile: what is stored is dropped, and a new mount made."""
    h, process = started(held, manager)
    process.terminate()
    process.wait(20)
    h.weir("umount", h.point)
    process = again(h, manager, process)
    assert h.mounted() and os.listdir(h.point) == []
    assert "not for a mount" in h.log()
    wait_until(h.find_socket, "the socket")
    assert h.status()["starts"] == 1


def test_one_is_missing(held, manager):
    h, process = started(held, manager)
    process.terminate()
    process.wait(20)
    h.weir("umount", h.point)
    os.close(manager.store.pop("weir-slate"))
    again(h, manager, process, ("weir-fuse", "weir-ledger"))
    assert "not for a mount" in h.log() and h.mounted()
    wait_until(h.find_socket, "the socket")


def test_nobody_stores(held, directory):
    """What systemd has not got is not left to it: SIGTERM unmounts, as without systemd."""
    h = held()
    process = h.start(env={**os.environ, "NOTIFY_SOCKET": directory + "/nobody"})
    assert h.status()["store"] == 0 and "does not keep" in h.log()
    process.terminate()
    assert process.wait(20) == 0 and not h.mounted()
