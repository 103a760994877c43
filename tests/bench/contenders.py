# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is compared: how each one is built, mounted over its own files, and checked.

All stand over the same JOBS disk images, written in full beforehand: on a virtual disk equal
files at different places can differ in speed by a factor of two. Therefore one contender is
mounted at a time: mount() makes the images reachable in self.directory with the cache setting
of the shape; unmount() ends that. What a contender cannot do is a machine.Failed with a
sentence. Only gocryptfs has files of its own, encrypted ones.

  native       the backing directory itself
  weir         weir, no policy: the kernel's FUSE passthrough
  weir-daemon  weir, no policy, passthrough=off: every byte through the worker
  weir-policy  weir, passthrough=off, policy with limit (never reached) and inspect
  pll          libfuse's passthrough_ll, built from the example in Debian's libfuse3-dev,
               -o xattr (weir answers xattrs too), cache=auto or cache=never, timeout=1.0
               (weir's, too), so only the bytes' way differs
  gocryptfs    encrypts; has no cache setting
  qemu-fuse    qemu-storage-daemon's FUSE export of raw files; has no cache setting
"""

import json
import os
import shutil
import subprocess

import machine
from machine import Failed

JOBS = 4
EXAMPLES = "/usr/share/doc/libfuse3-dev/examples"
POLICY = """weir: 1
name: bench
version: 1
description: Limits so high that they never hold anything back, and inspection.
stages:
  limit: {iops: 100000000, bandwidth: 100G}
  inspect: {}
"""


def fill(path, size):
    """Write @size bytes that no layer can compress or skip; durable when it returns."""
    chunk = os.urandom(1 << 20)
    with open(path, "wb", buffering=0) as image:
        for start in range(0, size, len(chunk)):
            image.write(chunk[:size - start])
        os.fsync(image.fileno())


class Contender:
    name = "native"
    title = "backing directory"
    families = ("buffered", "direct", "nocache")

    def __init__(self, place, build):
        self.place = place
        self.build = build
        self.backing = place.directory("datastore")
        self.directory = self.backing
        self.daemon = None
        self.note = print               # takes a sentence for the report

    def images(self):
        return [os.path.join(self.directory, f"disk{n}.img") for n in range(JOBS)]

    def prepare(self, size):
        """Write the images unless another contender did."""
        for number in range(JOBS):
            path = os.path.join(self.backing, f"disk{number}.img")
            if not os.path.exists(path):
                fill(path, size)

    def mount(self, cache):
        """Nothing to mount."""

    def unmount(self):
        if self.daemon:
            self.place.stop(self.daemon)
            self.daemon = None

    def backing_files(self):
        return [os.path.join(self.backing, name) for name in sorted(os.listdir(self.backing))
                if os.path.isfile(os.path.join(self.backing, name))]

    def warm(self, through_mount):
        """The backing's page cache holds every image, the mount's too if asked."""
        for path in self.backing_files() + (self.images() if through_mount else []):
            with open(path, "rb", buffering=0) as image:
                while image.read(1 << 20):
                    pass

    def settle(self):
        """No write of this contender is still on its way to the disk afterwards."""
        for path in self.backing_files():
            fd = os.open(path, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)


class Mounted(Contender):
    """A contender with one mount point over its backing directory."""

    def __init__(self, place, build):
        super().__init__(place, build)
        self.directory = place.directory(self.name)

    def mount(self, cache):
        self.daemon = self.place.start(self.command(cache), [self.directory])


def weir_program(build):
    """How weir is started in the foreground, from a build tree or as installed."""
    command = os.path.join(build, "ctl", "weir")
    if os.access(command, os.X_OK):
        return [command, "mount", "-f"]
    holder = os.path.join(build, "fs", "weir-holder")
    if os.access(holder, os.X_OK):
        return [holder, "-f"]
    raise Failed(f"not built in {build}")


class Weir(Mounted):
    name = "weir"
    title = "weir, no policy"
    families = ("buffered", "direct")
    options = ""
    way = "passthrough"
    stages = []

    def command(self, cache):
        options = f"cache={cache},policies={self.place.directory('policies')}{self.options}"
        return weir_program(self.build) + ["-o", options, self.backing, self.directory]

    def mount(self, cache):
        super().mount(cache)
        self.check()

    def check(self):
        """What is measured is what the name says: the way and the stages of an open disk."""
        path = self.images()[0]
        with open(path, "rb", buffering=0) as image:
            image.read(4096)
            try:
                status = json.loads(os.getxattr(path, "user.weir.status"))
            except (OSError, ValueError) as problem:
                self.note(f"{self.name}: way and stages are not verified: {problem}")
                return
        found = (status.get("way"), sorted(status.get("stages", [])))
        if found != (self.way, self.stages):
            raise Failed(f"way and stages are {found}, not {(self.way, self.stages)}")


class WeirDaemon(Weir):
    name = "weir-daemon"
    title = "weir, no policy, passthrough=off"
    families = ("buffered", "direct", "nocache")
    options = ",passthrough=off"
    way = "daemon"


class WeirPolicy(WeirDaemon):
    name = "weir-policy"
    title = "weir, limit + inspect"
    stages = ["inspect", "limit"]

    def prepare(self, size):
        super().prepare(size)
        with open(os.path.join(self.place.directory("policies"), "bench.yaml"), "w") as out:
            out.write(POLICY)

    def check(self):
        for path in self.images():
            try:
                os.setxattr(path, "user.weir.policy", b"bench")
            except OSError as problem:
                raise Failed(f"attaching the policy: {problem.strerror}") from None
        super().check()

    def unmount(self):
        """The others serve the same images: without a policy."""
        for path in self.images() if self.daemon else []:
            try:
                os.removexattr(path, "user.weir.policy")
            except OSError as problem:
                self.note(f"{self.name}: clearing the policy: {problem.strerror}")
        super().unmount()


def build_passthrough_ll(place):
    """The example as Debian ships it, optimised as Debian builds; the program's path."""
    program = os.path.join(place.path, "passthrough_ll")
    if not os.path.exists(program):
        source = os.path.join(EXAMPLES, "passthrough_ll.c")
        if not os.path.exists(source):
            raise Failed(f"{source} is missing: install libfuse3-dev")
        flags = machine.run(["pkg-config", "fuse3", "--cflags", "--libs"]).split()
        machine.run(["gcc", "-O2", "-g", "-Wall", source, f"-I{EXAMPLES}", "-o", program] + flags)
    return program


class PassthroughLl(Mounted):
    name = "pll"
    title = "passthrough_ll"

    def command(self, cache):
        return [build_passthrough_ll(self.place), "-f", "-o",
                f"source={self.backing},xattr,timeout=1.0,"
                f"cache={'never' if cache == 'none' else cache}", self.directory]


class Gocryptfs(Mounted):
    name = "gocryptfs"
    title = "gocryptfs"
    families = ("buffered", "direct")

    def __init__(self, place, build):
        super().__init__(place, build)
        self.backing = place.directory("encrypted")

    def prepare(self, size):
        if not shutil.which("gocryptfs"):
            raise Failed("gocryptfs is not installed")
        machine.run(["gocryptfs", "-init", "-q", "-scryptn", "10", "-extpass", "echo bench",
                     self.backing])
        self.mount("auto")
        try:
            for path in self.images():
                fill(path, size)
        finally:
            self.unmount()

    def command(self, cache):
        return ["gocryptfs", "-fg", "-q", "-nosyslog", "-extpass", "echo bench",
                self.backing, self.directory]


class QemuFuse(Mounted):
    name = "qemu-fuse"
    title = "qemu-storage-daemon FUSE export"
    families = ("buffered", "direct")

    def prepare(self, size):
        if not shutil.which("qemu-storage-daemon"):
            raise Failed("qemu-storage-daemon is not installed")
        super().prepare(size)
        for path in self.images():
            open(path, "w").close()         # an export covers a regular file

    def mount(self, cache):
        argv = ["qemu-storage-daemon"]
        for number, path in enumerate(self.images()):
            argv += ["--blockdev", f"driver=file,node-name=file{number},locking=off,"
                                   f"filename={self.backing}/disk{number}.img",
                     "--blockdev", f"driver=raw,node-name=raw{number},file=file{number}",
                     "--export", f"type=fuse,id=export{number},node-name=raw{number},"
                                 f"mountpoint={path},writable=on"]
        self.daemon = self.place.start(argv, self.images())


CONTENDERS = (Contender, Weir, WeirDaemon, WeirPolicy, PassthroughLl, Gocryptfs, QemuFuse)


def version(argv):
    """First line of what a program says about its version, or why it does not."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10)
    except OSError as problem:
        return problem.strerror
    return (done.stdout or done.stderr).strip().splitlines()[0]
