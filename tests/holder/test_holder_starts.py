# SPDX-License-Identifier: GPL-2.0-or-later
"""The holder starts a mount, or says why not and leaves nothing behind."""
import os
import re
import resource
import signal
import socket
import subprocess
import time

import pytest

from held import alive, wait_until
import weir as weirs


def test_returns_when_mounted(held):
    """Without -f: the command ends when the mount serves, with nothing open of the caller's."""
    h = held()
    done = subprocess.run(h.line(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20,
                          check=False)
    assert done.returncode == 0 and h.mounted() and os.listdir(h.point) == []
    wait_until(h.find_socket, "the command socket")
    status = h.status()
    assert status["state"] == "serving" and status["starts"] == 1
    h.umount()
    wait_until(lambda: not alive(status["holder"]), "the end of the holder")
    assert not h.answers() and not alive(status["worker"])


def test_foreground_ends_with_the_mount(held):
    h = held()
    process = h.start()
    assert h.mounted()
    h.umount()
    assert process.wait(20) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_unmounts(held, number):
    h = held()
    process = h.start()
    process.send_signal(number)
    assert process.wait(20) == 0 and not h.mounted() and not h.answers()


def test_a_signal_unmounts_when_open_files_close(held):
    h = held()
    process = h.start()
    directory = os.open(h.point, os.O_RDONLY)
    try:
        process.terminate()
        wait_until(lambda: not h.mounted(), "the lazy unmount")
        assert os.fstat(directory).st_ino == 1
        assert process.poll() is None
    finally:
        os.close(directory)
    assert process.wait(20) == 0


@pytest.mark.parametrize("foreground", [True, False])
@pytest.mark.parametrize("word, sentence", [
    ("exit1", "I do not want to"), ("crash", "signal 6")])
def test_a_start_that_fails(held, word, sentence, foreground):
    """Said on stderr, exit code 1, no mount, no restart."""
    h = held(word)
    assert h.spawn(*["-f"] * foreground).wait(20) == 1
    assert h.log().count(sentence) == 1 and not h.mounted()


def test_wrong_words(held):
    h = held()
    assert h.spawn("-o", "nonsense").wait(20) == 2
    assert "nonsense" in h.log()
    h.store += "/none"
    assert h.spawn().wait(20) == 2
    assert "No such file" in h.log()


def test_a_mount_that_the_kernel_refuses(held):
    """The mount point goes away under us: the worker says so, nothing is left."""
    h = held("hang")
    process = h.spawn("-f")
    process.terminate()
    assert process.wait(20) in (1, -signal.SIGTERM) and not h.mounted()


def test_only_libc():
    """The holder is small, and needs nothing but libc."""
    with open(weirs.program("weir-holder"), "rb") as program:
        if b"__asan_init" in program.read():
            pytest.skip("a sanitizer's library is there, too")
    out = subprocess.run(["ldd", weirs.program("weir-holder")], stdout=subprocess.PIPE, check=True,
                         timeout=20).stdout.decode()
    names = set(re.findall(r"^\s*(\S+)", out, re.M))
    assert {os.path.basename(name).split(".")[0] for name in names} <= \
        {"linux-vdso", "libc", "ld-linux-x86-64", "ld-linux-aarch64", "ld64"}, out


def test_readable_in_one_sitting():
    folder = os.path.join(weirs.SOURCE, "fs")
    lines = 0
    for name in os.listdir(folder):
        if name.startswith("holder") and not name.startswith("holders."):
            with open(os.path.join(folder, name), encoding="utf-8") as source:
                lines += len(source.readlines())
    assert lines < 2000


def test_what_the_children_get(held):
    """Descriptors 0 to 7 and no others; none of systemd's variables; a lower OOM score."""
    h = held()
    h.start(env={**os.environ, "NOTIFY_SOCKET": "/nonexistent", "LISTEN_PID": "1",
                 "LISTEN_FDS": "3"})
    status = h.status()
    for pid, most in ((status["worker"], 7), (status["broker"], 3)):
        assert sorted(map(int, os.listdir("/proc/%d/fd" % pid))) == list(range(most + 1))
        with open("/proc/%d/environ" % pid, "rb") as environ:
            words = environ.read()
        assert b"NOTIFY_SOCKET" not in words and b"LISTEN_" not in words
        with open("/proc/%d/status" % pid, encoding="ascii") as text:
            text = text.read()
        for name in ("CapEff", "CapPrm", "CapBnd"):
            assert not int(re.search(name + r":\s*(\w+)", text).group(1), 16) & 1 << 24
        assert re.search(r"SigBlk:\s*0+$", text, re.M)
    with open("/proc/%d/oom_score_adj" % status["worker"], encoding="ascii") as score:
        assert int(score.read()) in (-900, 0)


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid, encoding="utf-8") as stat:
        times = stat.read().rsplit(")", 1)[1].split()[11:13]
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


def test_no_descriptor_for_a_question(held):
    """Who asks waits until there is one; the holder does not spin meanwhile."""
    h = held()
    holder = h.start().pid
    h.status()
    limits = resource.prlimit(holder, resource.RLIMIT_NOFILE)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.settimeout(20)
        resource.prlimit(holder, resource.RLIMIT_NOFILE, (6, limits[1]))
        before = cpu_seconds(holder)
        client.connect(h.socket)
        client.send(b"status")
        time.sleep(1)
        assert cpu_seconds(holder) - before < 0.2
        resource.prlimit(holder, resource.RLIMIT_NOFILE, limits)
        assert client.recv(2000).startswith(b"state=serving")
