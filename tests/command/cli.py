# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/command/cli.py - run the weir command, and make trees that look like a mount to it.

The fake tree is a plain directory whose files carry the answers of a mount as ordinary xattrs:
so every answer, also one that no real disk gives easily, can be shown to the command.
"""
import json
import os
import subprocess

import weir as weirs

WEIR = weirs.program("weir")
SECONDS = 30


def weir(*arguments, code=0, program=WEIR, seconds=SECONDS, **options):
    """Run it; its exit code must be @code. Returns stdout and stderr."""
    environment = dict(os.environ, **weirs.SANITIZERS)
    done = subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, timeout=seconds,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                          env=environment, **options)
    out, err = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == code, (arguments, done.returncode, out, err)
    assert "Sanitizer" not in err and "runtime error" not in err, err
    return out, err


def answer(path, name, value):
    """Let @path give @value (text, or something for JSON) for user.weir.@name."""
    if not isinstance(value, str):
        value = json.dumps(value)
    os.setxattr(path, "user.weir." + name, value.encode())


def disk(path, type_="raw", size=1 << 30, **members):
    """A file that a mount would call a disk."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb"):
        pass
    status = {"weir": 1, "path": os.path.basename(path), "kind": "disk",
              "disk": {"type": type_, "capacity": size}, "size": size, "allocated": 4096,
              "way": "closed", "compliance": {"state": "not-applicable"}}
    status["disk"].update(members.pop("disk", {}))
    status.update(members)
    answer(path, "status", status)
    return path


def directories(root):
    """Let the directories of a fake tree answer as a mount's do."""
    answer(root, "status", {"weir": 1, "path": "", "kind": "datastore"})
    for parent, names, _ in os.walk(root):
        for name in names:
            answer(os.path.join(parent, name), "status", {"weir": 1, "kind": "directory"})
