# SPDX-License-Identifier: GPL-2.0-or-later
"""Random I/O reads back what was written, whatever way it was written and whoever else writes."""
import os
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
STEPS = 1500
REGION = 300_000                        # no multiple of a page: neighbours share one


def start(request, path, number, *extra, steps=STEPS):
    steps = request.config.getoption("--weir-steps") or steps
    seed = request.config.getoption("--weir-seed") + number
    return subprocess.Popen(
        ["/usr/bin/python3", os.path.join(HERE, "random_io.py"), path, str(seed), str(steps),
         *map(str, extra)], stderr=subprocess.PIPE, cwd="/")


def finish(processes):
    """Wait for all; every one must have found what it wrote."""
    try:
        texts = [(p.communicate(timeout=160)[1], p.returncode) for p in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
            process.stderr.close()
    wrong = [text.decode(errors="replace") for text, code in texts if code]
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.parametrize("kind", ("ext4", "xfs", "btrfs"))
def test_processes_on_files_of_their_own(request, mounted, way, kind):
    weir = mounted(backing=kind, options=way, seconds=170)
    finish([start(request, weir.in_mount("f%d" % n), n) for n in range(3)])


def test_processes_on_parts_of_one_file(request, mounted, way):
    """Parts that end inside a page, through buffers and mappings (O_DIRECT stays in its part)."""
    weir = mounted(options=way, seconds=170)
    path = weir.in_mount("disk.img")
    with open(path, "wb") as f:
        f.truncate(4 * REGION)
    finish([start(request, path, n, n * REGION, REGION) for n in range(4)])


def test_what_was_written_is_there_after_a_restart(request, mounted, way):
    weir = mounted(options=way, seconds=170)
    if weir.kind == "bind":
        pytest.skip("nothing to restart")
    for number in range(2):
        finish([start(request, weir.in_mount("f"), number, steps=300)])
        with open(weir.in_mount("f"), "rb") as f:
            before = f.read()
        weir.restart()
        with open(weir.in_mount("f"), "rb") as f:
            assert f.read() == before
        os.unlink(weir.in_mount("f"))
