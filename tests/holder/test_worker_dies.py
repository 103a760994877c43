# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever becomes of the worker, the mount stays and clients see a pause."""
import os
import signal
import threading
import time

import pytest

from held import alive, wait_until


class Client:
    """Asks for attributes without end; remembers the first error and the longest wait."""

    def __init__(self, path):
        self.path, self.error, self.worst, self.calls = path, None, 0, 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stop.is_set():
            begin = time.monotonic()
            try:
                os.statvfs(self.path)
            except OSError as error:
                self.error = error
                return
            self.worst = max(self.worst, time.monotonic() - begin)
            self.calls += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(20)
        assert not self.thread.is_alive(), "a client hangs"


def test_kill_is_a_pause(held):
    h = held()
    h.start()
    with Client(h.point) as client:
        for _ in range(20):
            worker = h.serving()["worker"]
            time.sleep(0.12)            # long enough to be no storm
            os.kill(worker, signal.SIGKILL)
            h.serving(other_than=worker)
    assert client.error is None and client.calls > 100
    assert client.worst < 0.5, client.worst
    assert h.status()["starts"] == 21


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGTERM, signal.SIGUSR1])
def test_other_ends(held, number):
    """A fault, a hand-over that nobody asked for; SIGTERM is not for the worker."""
    h = held()
    h.start()
    worker = h.worker()
    os.kill(worker, number)
    if number == signal.SIGTERM:
        time.sleep(0.2)
        assert h.worker() == worker
    else:
        h.serving(other_than=worker)
    assert os.listdir(h.point) == []


def test_a_storm_backs_off_and_never_gives_up(held):
    """A worker that cannot start any more: tried again, less and less often, for ever."""
    h = held("once")
    h.start()
    os.kill(h.worker(), signal.SIGKILL)
    begin = time.monotonic()
    time.sleep(3)
    status = h.status()
    elapsed = time.monotonic() - begin
    # 0 0 0 10 20 40 80 160 320 640 1280 2000 ...
    assert 8 <= status["starts"] <= 15 + elapsed / 2, status
    assert status["back_off_ms"] >= 1280
    assert h.mounted()
    h.install("weir-worker", "serve")
    assert h.ask("upgrade").startswith("ok "), h.log()
    assert h.serving()["upgrades"] == 1 and os.listdir(h.point) == []


def test_unmount_while_no_worker_lives(held):
    h = held("once")
    process = h.start()
    os.kill(h.worker(), signal.SIGKILL)
    wait_until(lambda: h.status()["back_off_ms"] >= 640, "back-off")
    h.weir("umount", h.point)
    assert process.wait(5) == 0 and not h.mounted() and not h.answers()


def test_a_broker_that_dies(held):
    h = held()
    h.start()
    before = h.status()
    os.kill(before["broker"], signal.SIGKILL)
    after = h.serving(other_than=before["worker"])
    assert after["broker"] not in (0, before["broker"]) and alive(after["broker"])
    wait_until(lambda: not alive(before["broker"]), "reaping")


def test_a_broker_ends_with_its_worker(held):
    h = held()
    h.start()
    before = h.status()
    os.kill(before["worker"], signal.SIGKILL)
    h.serving(other_than=before["worker"])
    wait_until(lambda: not alive(before["broker"]), "the end of its broker")
    assert "broker" not in h.log()


def test_a_stopped_worker_is_waited_for(held):
    """SIGSTOP is a pause, too: nobody kills who was stopped on purpose."""
    h = held()
    h.start()
    worker = h.worker()
    os.kill(worker, signal.SIGSTOP)
    with Client(h.point) as client:
        time.sleep(0.5)
        assert h.worker() == worker and client.calls == 0
        os.kill(worker, signal.SIGCONT)
        wait_until(lambda: client.calls > 10, "the client")
    assert client.error is None


def test_a_worker_that_breaks_the_protocol(held):
    h = held("rude")
    h.start()
    wait_until(lambda: h.status()["starts"] > 3, "its restarts")
    assert "broke the protocol" in h.log() and h.mounted()


@pytest.mark.parametrize("word, options", [("serve", ["-o", "resume=off"]), ("classic", [])])
def test_classic(held, word, options):
    """Without resume the mount goes with its worker, at once and with a sentence."""
    h = held(word)
    process = h.start(*options)
    assert h.ask("upgrade").startswith("failed ")
    os.kill(h.worker(), signal.SIGKILL)
    assert process.wait(20) == 1 and not h.mounted()
    assert "was killed by signal 9" in h.log() and "unmounted" in h.log()
    assert not h.answers()
