# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/mount/backing.py - directories to put weir in front of.

A Backing is a private filesystem on a loop device, or a plain directory.  Whatever it makes lies
below one temporary directory; close() undoes it and says what it could not undo.
"""
import os
import shutil
import subprocess

import syscalls

# Equal twins need equal hash seeds, no reserve that depends on who writes, and no guessing ahead.
MAKE = {
    "ext4": ["mkfs.ext4", "-q", "-m", "0", "-E",
             "hash_seed=5f0c5cf5-ae54-4b5d-9d1c-3f2a58e1c0aa,lazy_itable_init=1"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
    "btrfs": ["mkfs.btrfs", "-q", "-f"],
}
MOUNT_OPTIONS = {"ext4": "loop,noatime", "xfs": "loop,noatime,allocsize=4096",
                 "btrfs": "loop,noatime"}
KINDS = ("ext4", "xfs", "btrfs", "dir")


def run(*command, seconds=30):
    """Run a helper program; its output is in the error when it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=seconds, check=False)
    if done.returncode:
        raise RuntimeError("%s: exit %d: %s" % (" ".join(command), done.returncode,
                                                done.stdout.decode(errors="replace")))
    return done.stdout.decode(errors="replace")


def mounts_below(prefix):
    """Mount points at or below a directory, the deepest last."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        for line in table:
            point = line.split()[4].replace("\\040", " ")
            if point == prefix or point.startswith(prefix + "/"):
                found.append(point)
    return found


def loops_below(prefix):
    """Loop devices whose file lies below a directory."""
    found = []
    for name in os.listdir("/sys/block"):
        try:
            with open("/sys/block/%s/loop/backing_file" % name, encoding="utf-8") as f:
                if f.read().startswith(prefix + "/"):
                    found.append("/dev/" + name)
        except OSError:
            pass                        # not a loop device, or not in use
    return found


class Backing:
    """A filesystem of some kind at self.path, on an image beside it (a plain one has none)."""

    def __init__(self, directory, name, kind="ext4", megabytes=512, options=""):
        self.kind = kind
        self.path = os.path.join(directory, name)
        self.image = self.path + ".img"
        self.options = options
        os.mkdir(self.path)
        if kind != "dir":
            with open(self.image, "wb") as f:
                f.truncate(megabytes << 20)
            run(*MAKE[kind], self.image)
            self.mount()
        if kind == "ext4":
            os.rmdir(os.path.join(self.path, "lost+found"))
        os.chmod(self.path, 0o755)

    def mount(self):
        options = ",".join(filter(None, (MOUNT_OPTIONS[self.kind], self.options)))
        run("mount", "-t", self.kind, "-o", options, self.image, self.path)

    def remount(self):
        """Unmount and mount: nothing of it stays in memory (a plain directory: nothing happens)."""
        if self.kind != "dir":
            syscalls.umount2(self.path)
            self.mount()

    def close(self):
        """Undo everything; returns the list of what went wrong."""
        problems = []
        if self.kind != "dir" and os.path.ismount(self.path):
            try:
                syscalls.umount2(self.path)
            except OSError as error:
                problems.append("umount of the backing %s: %s" % (self.path, error))
                syscalls.umount2(self.path, syscalls.MNT_DETACH)
        if self.kind == "dir":
            shutil.rmtree(self.path, ignore_errors=True)
        elif os.path.exists(self.image):
            os.unlink(self.image)
        return problems
