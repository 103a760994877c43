# SPDX-License-Identifier: GPL-2.0-or-later
"""Names instead of bytes: walks of large trees, mount time, memory and descriptors.

One tree per size, FILES_PER_DIRECTORY empty files in each directory; all contenders stand
over the same tree, one at a time.

  first   weir only: a fresh mount with no catalog yet, so every file gets its node id
  cold    caches dropped (dentries, inodes, pages), then a fresh mount, then the walk
  warm    the same walk again, at once, on the same mount

`ls -lR` asks for the attributes and ACL xattrs of every file, `find` only for names.
"""

import concurrent.futures
import os
import shutil
import subprocess
import time

import contenders as c
import machine
from load import take_turns
from machine import Failed

FILES_PER_DIRECTORY = 100
WALKS = {"ls -lR": ["ls", "-lR"], "find": ["find"]}
WALK_LIMIT_S = 120
KNOWN_FEW = 1000


class Stand:
    """A contender over the tree @backing, without images."""

    def __init__(self, name, place, backing, build):
        self.name, self.place, self.backing, self.build = name, place, backing, build
        self.daemon = None
        self.tree = os.path.join(backing, "tree")
        self.mountpoint = None
        if name != "native":
            self.mountpoint = place.directory("meta", name)
            self.tree = os.path.join(self.mountpoint, "tree")

    def command(self):
        if self.name == "weir":
            return c.weir_program(self.build) + ["-o", "cache=auto", self.backing,
                                                 self.mountpoint]
        xattr = "no_xattr" if self.name == "pll-no-xattr" else "xattr"
        return [c.build_passthrough_ll(self.place), "-f", "-o",
                f"source={self.backing},{xattr},timeout=1.0,cache=auto", self.mountpoint]

    def forget(self):
        """weir's catalog and all else it keeps: as if it never stood here."""
        shutil.rmtree(os.path.join(self.backing, ".weir"), ignore_errors=True)

    def mount(self):
        if self.mountpoint:
            self.daemon = self.place.start(self.command(), [self.mountpoint])

    def unmount(self):
        if self.daemon:
            self.place.stop(self.daemon)
            self.daemon = None


def make_tree(backing, files):
    for number in range(files):
        directory = os.path.join(backing, "tree", f"d{number // FILES_PER_DIRECTORY:05}")
        if number % FILES_PER_DIRECTORY == 0:
            os.makedirs(directory)
        fd = os.open(os.path.join(directory, f"file{number:07}.vmdk"),
                     os.O_CREAT | os.O_WRONLY, 0o644)
        os.close(fd)
    os.sync()


def walk(command, *paths):
    """Seconds one walk takes; Failed with its first complaint."""
    began = time.monotonic()
    child = subprocess.Popen(machine.DIE_WITH_US + command + list(paths),
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True,
                             env={**os.environ, "LC_ALL": "C"})
    try:
        complaint = child.communicate(timeout=WALK_LIMIT_S)[1]
    except BaseException as problem:
        child.kill()
        child.wait()
        if isinstance(problem, subprocess.TimeoutExpired):
            raise Failed(f"{command[0]} did not end in {WALK_LIMIT_S} s") from None
        raise
    taken = time.monotonic() - began
    if child.returncode != 0:
        first = (complaint.strip().splitlines() or ["failed"])[0]
        raise Failed(f"{command[0]}: {first.rsplit(': ', 1)[-1]}")      # without our paths
    return taken


def walk_at_once(directories):
    """Several walks of each directory, all at the same time, a few times over."""
    directories = directories * 4
    for _ in range(4):
        with concurrent.futures.ThreadPoolExecutor(len(directories)) as pool:
            list(pool.map(lambda path: walk(WALKS["ls -lR"], path), directories))


def memory(pid):
    """Bytes of a process: resident, private, and anonymous (neither file nor catalog map)."""
    wanted = {"Rss": 0, "Private_Clean": 0, "Private_Dirty": 0, "Anonymous": 0}
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        for line in rollup:
            key = line.split(":")[0]
            if key in wanted:
                wanted[key] = int(line.split()[1]) * 1024
    return {"rss": wanted["Rss"], "anonymous": wanted["Anonymous"],
            "uss": wanted["Private_Clean"] + wanted["Private_Dirty"]}


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Metadata:
    def __init__(self, samples, place, build, names, plan, say):
        self.samples, self.place, self.build, self.plan, self.say = \
            samples, place, build, plan, say
        self.names = [name for name in ("native", "weir", "pll", "pll-no-xattr")
                      if name.split("-")[0] in names]

    def run(self, sizes):
        for files in sizes:
            self.say(f"making a tree of {files} files")
            backing = self.place.directory("meta", f"backing-{files}")
            make_tree(backing, files)
            stands = [Stand(name, self.place, backing, self.build) for name in self.names]
            for round_number in range(self.plan.walk_rounds):
                self.say(f"walks of {files} files: round {round_number + 1} "
                         f"of {self.plan.walk_rounds}")
                for kind, command in WALKS.items():
                    for stand in take_turns(stands, round_number):
                        self._walks(stand, files, kind, command, round_number)
            for stand in stands:
                self._footprint(stand, files)
            shutil.rmtree(backing)

    def _walks(self, stand, files, kind, command, round_number):
        shape = f"{kind} {files}"
        if stand.name == "weir":
            stand.forget()
            self._walk_states(stand, shape, command, round_number, ("first",))
        self._walk_states(stand, shape, command, round_number, ("cold", "warm"))

    def _walk_states(self, stand, shape, command, round_number, states):
        if f"{shape} {states[0]}" in [s for s, who in self.samples.skips if who == stand.name]:
            return
        try:
            machine.drop_caches()
            stand.mount()
            if stand.daemon:
                self._add(f"mount {shape.split()[-1]} {states[0]}", stand, round_number,
                          stand.daemon.mount_s * 1000, "ms")
            for state in states:
                self._add(f"{shape} {state}", stand, round_number,
                          walk(command, stand.tree), "s")
        except Failed as problem:
            for state in states:
                self.samples.skip(f"{shape} {state}", stand.name, str(problem))
        finally:
            stand.unmount()

    def _add(self, shape, stand, round_number, value, unit, measure="value"):
        self.samples.add(shape, stand.name, round_number, value, unit, measure)

    def _footprint(self, stand, files):
        """Memory and descriptors with few and with all files known to the kernel.

        The base is taken after several walks of few files at once: then the daemon's threads
        with their buffers are there, and what still grows grows with the files.
        """
        if not stand.mountpoint:
            return
        shape = f"footprint {files}"
        few = [os.path.join(stand.tree, f"d{n:05}")
               for n in range(KNOWN_FEW // FILES_PER_DIRECTORY)]
        try:
            stand.mount()
            pid = stand.daemon.server_pid()
            walk_at_once(few)
            self._add(shape, stand, 0, descriptors(pid), "descriptors", "at 1000")
            before = memory(pid)
            walk(WALKS["ls -lR"], stand.tree)
            self._add(shape, stand, 0, descriptors(pid), "descriptors", "at all")
            for kind, value in memory(pid).items():
                self._add(shape, stand, 0, (value - before[kind]) / (files - KNOWN_FEW),
                          "bytes/file", kind)
            self._add(shape, stand, 0, before["rss"] / 2 ** 20, "MiB", "base")
        except Failed as problem:
            self.samples.skip(shape, stand.name, str(problem))
        finally:
            stand.unmount()
