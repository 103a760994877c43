# SPDX-License-Identifier: GPL-2.0-or-later
"""weir-recognise gives up everything before it reads: seen from outside, and by trying."""
import os
import re
import shutil
import signal
import subprocess
import tempfile

import images
import pytest
from program import CONFINED, PROGRAM


def attempt(what, tmp_path):
    path = images.raw(tmp_path / "input", 4096)
    with open(path, "r+b") as f:
        return subprocess.run([CONFINED, what], stdin=f, capture_output=True, timeout=20,
                              check=False)


def test_what_it_needs_still_works(tmp_path):
    done = attempt("none", tmp_path)
    assert done.returncode == 0 and done.stdout == b"tried\nsurvived\n"


@pytest.mark.parametrize("what", [
    "open", "openat", "self", "socket", "fork", "clone", "execve", "kill", "ptrace",
    "executable-memory", "map-file", "read-other", "write-input", "pwrite-input", "truncate",
    "ioctl", "setuid", "limits", "prctl", "x32-open"])
def test_any_other_call_kills(tmp_path, what):
    done = attempt(what, tmp_path)
    assert done.stdout == b"tried\n"
    assert done.returncode == -signal.SIGSYS


def test_memory_and_time_are_limited(tmp_path):
    assert attempt("memory", tmp_path).stdout == b"tried\nrefused\n"
    assert attempt("loop", tmp_path).returncode == -signal.SIGXCPU


def test_each_step_without_the_filter(tmp_path):
    text = attempt("status", tmp_path).stdout.decode()
    status = dict(re.findall(r"^(\w+):\t(.*)$", text, re.M))
    assert status["NoNewPrivs"] == "1" and status["Dumpable"] == "0"
    for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[kind], 16) == 0
    if status["Open"] == "opened":
        pytest.skip("the kernel has no Landlock")
    assert status["Open"] == "Permission denied"


def test_as_root_it_becomes_nobody(tmp_path):
    text = attempt("status", tmp_path).stdout.decode()
    status = dict(re.findall(r"^(\w+):\t(.*)$", text, re.M))
    if os.getuid() != 0:
        pytest.skip("not root")
    assert status["Uid"].split() == ["65534"] * 4 and status["Gid"].split() == ["65534"] * 4
    assert status["Groups"].split() == [] and int(status["CapBnd"], 16) == 0


def test_calls_of_the_real_program(tmp_path):
    """After the filter only pread64, write and memory; before it no byte is read."""
    if not shutil.which("strace"):
        pytest.skip("no strace")
    path = images.vmdk(tmp_path / "d.vmdk", "monolithicSparse")
    trace = tmp_path / "trace"
    with open(path, "rb") as f:
        subprocess.run(["strace", "-f", "-o", trace, PROGRAM], stdin=f, check=True,
                       stdout=subprocess.DEVNULL)
    lines = trace.read_text().splitlines()
    load = [i for i, line in enumerate(lines)
            if "SECCOMP_SET_MODE_FILTER" in line and "filter=" in line and line.endswith("= 0")]
    assert len(load) == 1
    before, after = lines[:load[0]], lines[load[0] + 1:]
    assert not any(re.search(r"\b(read|pread64)\(0,", line) for line in before)
    calls = {m.group(1) for m in (re.match(r"\d+ +(\w+)\(", line) for line in after) if m}
    assert calls <= {"pread64", "write", "brk", "mmap", "munmap", "exit_group"}
    assert "pread64" in calls
    if any(re.search(r"landlock_create_ruleset\(.*VERSION\) = \d", line) for line in before):
        assert any(re.search(r"landlock_restrict_self\(.*\) += 0", line) for line in before)
    for call in ("close_range", "landlock_create_ruleset", "capset", "PR_SET_NO_NEW_PRIVS",
                 "RLIMIT_AS"):
        assert any(call in line for line in before)


@pytest.fixture
def copy(tmp_path):
    """The program and a disk where any user may reach them."""
    with tempfile.TemporaryDirectory(prefix="weir-recognise-", dir="/tmp") as directory:
        os.chmod(directory, 0o755)
        program = shutil.copy(PROGRAM, directory)
        disk = os.path.join(directory, "disk")
        with open(disk, "wb") as f:
            f.write(images.vmfs_descriptor_bytes())
        yield program, disk


@pytest.mark.parametrize("prefix", [
    ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"],
    ["setpriv", "--bounding-set=-all", "--inh-caps=-all"],
    ["setpriv", "--no-new-privs"]])
def test_it_works_with_fewer_privileges(copy, prefix):
    """As another user, and as a root without capabilities (a child of the confined worker)."""
    if os.getuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root and setpriv")
    program, disk = copy
    with open(disk, "rb") as f:
        done = subprocess.run([*prefix, program], stdin=f, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"vmdk vmfs" in done.stdout
