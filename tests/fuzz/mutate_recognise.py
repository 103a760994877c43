# SPDX-License-Identifier: GPL-2.0-or-later
"""Mutation fuzz over the whole of weir-recognise, libvmdk included.

    /usr/bin/python3 tests/fuzz/mutate_recognise.py [RUNS] [SEED]

Each run changes a seed image (real ones of qemu-img, hand-made ones) and expects an answer: exit
0, one line of valid JSON, in time.  Death by a signal is counted by signal, and the file is kept,
because libvmdk is alpha and the confinement is what it dies in; anything else fails.  The seed
makes a run repeatable.
"""
import collections
import json
import os
import random
import subprocess
import sys
import tempfile

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(SOURCE, "tests", "recognise"))
import images   # noqa: E402
import program  # noqa: E402

INTERESTING = (0, 1, 0x7f, 0x80, 0xff, 0x0a, 0x22, 0x20, 0x3d, 0x25)
WORDS = (b"\n", b'"', b"RW ", b"RW 1 ZERO\n", b"CID=1\n", b"# Extent description\n", b"\0",
         b"9" * 30, b"../", b"parentCID=", b'createType="vmfs"\n', b"\xff\xfe", b"=", b" " * 5000,
         b"# The Disk Data Base\n", b"# Change Tracking File\n", b'encoding="UTF-16LE"\n')
TIME_LIMIT = 5


def mutate(content, rng):
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        head = min(len(data), rng.choice((64, 512, 1600, 12000)))
        if head == 0:
            return bytes(data)
        at = rng.randrange(head)
        kind = rng.randrange(7)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at] = rng.choice(INTERESTING)
        elif kind == 2:
            data[at:at + 8] = rng.choice((b"\xff" * 8, bytes(8), b"\0" * 7 + b"\x80"))
        elif kind == 3:
            del data[rng.randrange(len(data)):]
        elif kind == 4:
            data[at:at] = rng.choice(WORDS)
        elif kind == 5:
            end = at + rng.randrange(200)
            data[at:at] = data[at:end] * rng.choice((1, 2, 50))
        else:
            del data[at:at + rng.randrange(1, 100)]
    return bytes(data)


def seed_contents(directory):
    for name in images.VMDK_SUBFORMATS:
        images.vmdk(os.path.join(directory, name + ".vmdk"), name, 1 << 20)
    images.qemu(os.path.join(directory, "vhdx"), "vhdx", 1 << 20)
    images.seeds(directory)
    contents = []
    for name in sorted(os.listdir(directory)):
        with open(os.path.join(directory, name), "rb") as f:
            contents.append(f.read(300 << 10))
    return contents


def judge(path):
    """None: an answer; a signal's number; or an AssertionError."""
    done = program.run(path, timeout=TIME_LIMIT)
    if done.returncode < 0:
        assert done.stdout == b"", "died after it had answered"
        return -done.returncode
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert done.stderr == b"" and done.stdout.count(b"\n") == 1
    assert isinstance(json.loads(done.stdout)["type"], str)
    return None


def run(runs, seed):
    """Counts of signals; {} when every run answered."""
    rng = random.Random(seed)
    signals = collections.Counter()
    with tempfile.TemporaryDirectory(prefix="weir-mutate-") as directory:
        contents = seed_contents(directory)
        path = os.path.join(directory, "mutated")
        for i in range(runs):
            content = mutate(rng.choice(contents), rng)
            with open(path, "wb") as f:
                f.write(content)
            try:
                died = judge(path)
            except (AssertionError, subprocess.TimeoutExpired, ValueError, KeyError):
                keep(content, f"bad-{seed}-{i}")
                raise
            if died:
                keep(content, f"signal{died}-{seed}-{i}")
                signals[died] += 1
    return signals


def keep(content, name):
    path = os.path.join(tempfile.gettempdir(), "weir-recognise-" + name)
    with open(path, "wb") as f:
        f.write(content)
    print("kept", path, file=sys.stderr)


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    chosen = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32)
    print(f"{count} runs, seed {chosen}: deaths by signal {dict(run(count, chosen))}")
