# SPDX-License-Identifier: GPL-2.0-or-later
"""Help goes to stdout with 0; a wrong command line to stderr with 2, and says what was meant."""
import os
import subprocess

import pytest

from cli import WEIR, weir

COMMANDS = ("mount", "umount", "status", "policy", "check", "events")


def test_version_and_help():
    assert weir("--version")[0].startswith("weir 0.")
    out, err = weir("--help")
    assert not err
    for name in COMMANDS:
        assert "  " + name in out


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command(name):
    out, err = weir(name, "--help")
    assert not err and out.startswith("Usage: weir " + name) and "Exit codes" in out
    assert weir("help", name)[0] == out
    assert all(len(line) <= 100 for line in out.splitlines())


@pytest.mark.parametrize("typed, meant", [
    ("statsu", "status"), ("mont", "mount"), ("unmount", "umount"), ("polcy", "policy"),
    ("event", "events"), ("chek", "check"),
])
def test_nearest_command(typed, meant):
    _, err = weir(typed, code=2)
    assert 'did you mean "%s"' % meant in err


def test_nothing_near():
    _, err = weir("frobnicate\033[31m", code=2)
    assert "did you mean" not in err and "\033" not in err


@pytest.mark.parametrize("arguments", [
    [], ["mount"], ["mount", "only-one"], ["mount", "-x", "a", "b"], ["mount", "-o"],
    ["umount"], ["events"], ["events", "a", "b"], ["status", "--wach"],
    ["status", "--watch=0"], ["status", "--watch=x"], ["policy"], ["policy", "set"],
    ["policy", "set", "gold"], ["policy", "set", "", "/tmp"], ["policy", "clear"],
    ["policy", "show"], ["policy", "check"], ["policy", "list", "x"], ["policy", "lisst"],
])
def test_wrong_command_lines(arguments):
    out, err = weir(*arguments, code=2)
    assert not out and err


def test_check_has_exit_codes_of_its_own():
    weir("check", code=16)
    weir("check", "--rebild", "x", code=16)
    weir("check", "/not/there", code=8)
    weir("check", "/usr", code=8)
    assert not os.path.exists("/usr/.weir")


def test_full_disk_is_no_success():
    """What could not be written must not look like done."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run([WEIR, "--help"], stdout=full, stderr=subprocess.PIPE, check=False,
                              timeout=20)
    assert done.returncode == 1 and b"No space" in done.stderr


def test_closed_standard_descriptors():
    """What is opened must not become a missing stdout."""
    done = subprocess.run([WEIR, "--help"], close_fds=True, check=False, timeout=20,
                          preexec_fn=lambda: [os.close(fd) for fd in (0, 1, 2)])
    assert done.returncode in (0, 1)
