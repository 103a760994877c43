# SPDX-License-Identifier: GPL-2.0-or-later
"""Run weir-recognise of a build tree (WEIR_BUILD, else build/) over a file."""
import json
import os
import subprocess

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("WEIR_BUILD", os.path.join(SOURCE, "build")))
PROGRAM = os.path.join(BUILD, "ctl", "weir-recognise")
CONFINED = os.path.join(BUILD, "tests", "recognise", "confined")


def run(path, timeout=10):
    with open(path, "rb") as f:
        return subprocess.run([PROGRAM], stdin=f, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=timeout, check=False)


def recognise(path):
    """The JSON object; anything but exit 0 with one line of it is an assertion."""
    done = run(path)
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert done.stderr == b""
    assert done.stdout.endswith(b"\n") and done.stdout.count(b"\n") == 1
    assert len(done.stdout) <= 2 << 20
    return json.loads(done.stdout)
