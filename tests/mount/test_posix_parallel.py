# SPDX-License-Identifier: GPL-2.0-or-later
"""Eight processes in the same directories disturb each other no more than on a local filesystem."""
import os
import subprocess

import parallel

HERE = os.path.dirname(os.path.abspath(__file__))
PROCESSES = 8
STEPS = 400


def test_eight_processes_in_one_tree(request, weir):
    for name in parallel.DIRECTORIES:
        os.mkdir(weir.in_mount(name))
    seed = request.config.getoption("--weir-seed")
    steps = request.config.getoption("--weir-steps") or STEPS
    command = ["/usr/bin/python3", os.path.join(HERE, "parallel.py"), weir.path]
    processes = [subprocess.Popen([*command, str(n), str(seed), str(steps)],
                                  stderr=subprocess.PIPE, cwd="/") for n in range(PROCESSES)]
    try:
        texts = [(p.communicate(timeout=55)[1].decode(errors="replace"), p.returncode)
                 for p in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
            process.stderr.close()
    wrong = [text for text, code in texts if code]
    assert not wrong, "\n\n".join(wrong)


def test_appends_of_four_processes_all_arrive(weir):
    """O_APPEND: each record whole, none over another."""
    path = weir.in_mount("log")
    pids = []
    for number in range(4):
        pid = os.fork()
        if pid == 0:
            try:
                fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
                for turn in range(200):
                    os.write(fd, b"%d:%04d;" % (number, turn) * 10 + b"\n")
            except OSError:
                os._exit(1)
            os._exit(0)
        pids.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 4
    with open(path, "rb") as f:
        lines = f.read().splitlines()
    wanted = [b"%d:%04d;" % (n, t) * 10 for n in range(4) for t in range(200)]
    assert sorted(lines) == sorted(wanted)


def test_one_of_many_creates_it(weir):
    """O_EXCL, link and mkdir: of eight at once exactly one succeeds, every time."""
    for turn in range(30):
        for kind in ("open", "mkdir", "rename"):
            winners = race(weir, "%s%d" % (kind, turn), kind)
            assert winners == 1, (kind, turn, winners)


def race(weir, name, kind):
    pids = []
    reader, writer = os.pipe()
    for number in range(8):
        pid = os.fork()
        if pid == 0:
            os.close(writer)
            os.read(reader, 1)          # ends when everybody is there
            os._exit(0 if attempt(weir, name, kind, number) else 1)
        pids.append(pid)
    os.close(reader)
    os.close(writer)
    return sum(os.waitpid(pid, 0)[1] == 0 for pid in pids)


def attempt(weir, name, kind, number):
    try:
        if kind == "open":
            os.open(weir.in_mount(name), os.O_CREAT | os.O_EXCL | os.O_RDWR)
        elif kind == "mkdir":
            os.mkdir(weir.in_mount(name))
        else:
            os.mkdir(weir.in_mount("%s-%d" % (name, number)))
            os.mkdir(weir.in_mount("%s-%d" % (name, number), "x"))
            os.rename(weir.in_mount("%s-%d" % (name, number)), weir.in_mount(name))
        return True
    except OSError:
        return False
