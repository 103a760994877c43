# SPDX-License-Identifier: GPL-2.0-or-later
"""The harness itself: it finds nothing on a plain directory, and what is wrong if something is."""
import os
import subprocess
import time

import run as runs


def run(place, **settings):
    result = runs.Run(place, runs.Settings(kind="plain", seconds=1, kills=0, open_files=10,
                                           data=1, names=2, fighters=2, **settings)).go()
    return result.faults


def test_a_plain_directory_has_no_fault(place):
    assert run(place) == []


def test_calls_made_twice_and_a_damaged_byte_are_found(place):
    faults = run(place, lie=30, damage=True)
    assert any("should come to success" in text for text in faults), faults
    assert any("behind the mount" in text and "b0" in text for text in faults), faults


CHILD = """import os, sys
top = os.open(sys.argv[1], os.O_RDONLY)
sys.stdin.readline()
os.mkdir("made", dir_fd=top)
"""


def killed_at(place, n, moment):
    """(name of the n-th call of CHILD, whether its directory was made)."""
    os.mkdir(place)
    child = subprocess.Popen(["/usr/bin/python3", "-c", CHILD, place], stdin=subprocess.PIPE)
    time.sleep(0.1)
    with subprocess.Popen([os.path.join(os.path.dirname(runs.data_program()), "killpoint"),
                           str(child.pid), str(n), moment], text=True, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as tracer:
        assert tracer.stdout.readline() == "ready\n"
        child.stdin.write(b"\n")
        child.stdin.close()
        child.wait(10)
        said = tracer.stdout.read().split()
    assert said[0] == "killed", said
    return said[1], os.path.isdir(os.path.join(place, "made"))


def test_a_process_is_killed_before_or_after_its_nth_call(place):
    for moment, made in (("entry", False), ("exit", True)):
        for n in range(1, 8):
            name, there = killed_at(os.path.join(place, "%s-%d" % (moment, n)), n, moment)
            if name == "mkdirat":
                assert there == made
                break
        else:
            raise AssertionError("no mkdirat among the first calls")
