# SPDX-License-Identifier: GPL-2.0-or-later
"""Another program takes over while the mount goes on; the old one when the new one fails."""
import os
import re
import signal
import socket
import time

import pytest

from held import wait_until
from test_worker_dies import Client


def program_of(pid):
    return os.readlink("/proc/%d/exe" % pid)


def test_upgrade(held):
    h = held()
    h.start()
    before = h.status()
    h.install("weir-worker", "serve")
    with Client(h.point) as client:
        answer = h.ask("upgrade")
    assert re.fullmatch(r"ok the new worker serves; clients waited [\d.]+ ms", answer), answer
    after = h.status()
    assert after["worker"] != before["worker"] and after["upgrades"] == 1
    assert "(deleted)" not in program_of(after["worker"])
    assert client.error is None and client.worst < 0.3


def test_a_package_changes_nothing_by_itself(held):
    """Programs replaced under our feet are not started before `weir upgrade` says so."""
    h = held()
    h.start()
    h.install("weir-worker", "exit1")
    for _ in range(3):
        worker = h.worker()
        os.kill(worker, signal.SIGKILL)
        assert "(deleted)" in program_of(h.serving(other_than=worker)["worker"])


@pytest.mark.parametrize("word, sentence", [
    ("probefail", "exit code 1"), ("probehang", "does not answer"),
    ("noslate", "version 42"), ("exit1", "exit code 1"), ("crash", "signal 6"),
    ("latecrash", "signal 6"), ("hang", "not ready within 5 s")])
def test_a_broken_program(held, word, sentence):
    """It is said what is wrong, and the old program serves as before."""
    h = held()
    h.start()
    before = h.status()
    h.install("weir-worker", word)
    with Client(h.point) as client:
        out = h.weir("upgrade", h.point, code=1)
        assert sentence in out, out
        after = h.serving()
        wait_until(lambda: client.calls > 10, "the client")
    assert client.error is None
    assert "(deleted)" in program_of(after["worker"])
    if word in ("probefail", "probehang", "noslate"):
        assert after["worker"] == before["worker"]
    h.install("weir-worker", "serve")
    assert "waited" in h.weir("upgrade", h.point)
    assert "(deleted)" not in program_of(h.worker())


def test_a_program_that_is_missing(held):
    h = held()
    h.start()
    worker = h.worker()
    os.unlink(os.path.join(h.bin, "weir-worker"))
    assert "cannot be run" in h.weir("upgrade", h.point, code=1)
    assert h.worker() == worker


def test_a_worker_that_does_not_let_go(held):
    """It gets a second to finish; then it is killed."""
    h = held("deaf")
    h.start()
    h.install("weir-worker", "serve")
    begin = time.monotonic()
    assert h.ask("upgrade").startswith("ok ")
    assert 1 < time.monotonic() - begin < 4


def test_a_stopped_worker_is_replaced(held):
    h = held()
    h.start()
    os.kill(h.worker(), signal.SIGSTOP)
    with Client(h.point) as client:
        assert h.ask("upgrade").startswith("ok ")
        wait_until(lambda: client.calls > 10, "the client")
    assert client.error is None


def test_a_kill_while_it_changes(held):
    """SIGKILL of whatever worker there is, at any moment of an upgrade: clients see a pause."""
    h = held()
    h.start()
    with Client(h.point) as client:
        for delay in (0, 0.002, 0.005, 0.01, 0.05, 0.2, 0.4):
            h.install("weir-worker", "serve")
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
                s.settimeout(20)
                s.connect(h.socket)
                s.send(b"upgrade")
                time.sleep(delay)
                for pid in workers_of(h):
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                assert s.recv(1000)
            h.serving()
    assert client.error is None and h.mounted()


def workers_of(h):
    """Without asking the holder, which answers one client at a time."""
    with open("/proc/%d/task/%d/children" % ((h.processes[-1].pid,) * 2), encoding="ascii") as f:
        pids = [int(word) for word in f.read().split()]
    return [pid for pid in pids if name_of(pid) == "weir-worker"]


def name_of(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return f.read().split(b"\0")[0].decode()
    except OSError:
        return ""


def test_only_root_may_ask(held, directory):
    h = held()
    h.start()
    assert os.stat(h.socket).st_mode & 0o777 == 0o600
    worker = h.worker()
    os.chmod(h.socket, 0o666)           # as a careless administrator might
    answer = as_nobody(lambda: h.ask("upgrade"))
    assert answer == "refused", answer
    assert h.worker() == worker and h.ask("nonsense").startswith("failed")


def as_nobody(what):
    """What @what gives to a user without rights; "refused" when it gives nothing."""
    ends = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgid(65534)
            os.setuid(65534)
            got = what() or "refused"
        except OSError:
            got = "refused"
        os.write(ends[1], got.encode())
        os._exit(0)
    os.close(ends[1])
    os.waitpid(pid, 0)
    with os.fdopen(ends[0], "rb") as f:
        return f.read().decode()


def test_a_silent_client_blocks_nobody_for_long(held):
    h = held()
    h.start()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.connect(h.socket)
        begin = time.monotonic()
        h.status()
        assert time.monotonic() - begin < 4
