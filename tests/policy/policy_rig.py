# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/policy/policy_rig.py - what tests of policies need: files, attributes, disks, load.

Everything is done as an administrator does it, by extended attributes and system calls.  Load is
a thread that writes and reads blocks which say where and when they were written; a wrong byte or
an error ends it, and stop() raises what it met.
"""
import errno
import json
import mmap
import os
import random
import struct
import subprocess
import threading
import time

BLOCK = 4096
SECONDS = 20                            # for what has to happen "soon" on a busy machine
HOLD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hold.py")


# ---- policies -----------------------------------------------------------------------------

class PolicyDirectory:
    """A directory of policy files, outside of the datastore."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "policies")
        os.makedirs(self.path, exist_ok=True)
        self.write("slow", iops=50)
        self.write("fast", iops=10000000)
        self.write("watch", limit=False)
        self.write_text("never", "weir: 1\nname: never\nversion: 1\ndescription: Never past.\n"
                                 "passthrough: never\n")

    def file(self, name):
        return os.path.join(self.path, name + ".yaml")

    def write(self, name, version=1, limit=True, **settings):
        """A policy with inspect, and a limit with @settings: iops=50, scope="policy", ..."""
        text = "weir: 1\nname: %s\nversion: %d\ndescription: A test's.\nstages:\n" % (name, version)
        if limit:
            text += "  limit: {%s}\n" % ", ".join("%s: %s" % kv for kv in settings.items())
        self.write_text(name, text + "  inspect: {}\n")

    def write_text(self, name, text):
        """Replace the file in one step, as editors do."""
        with open(self.file(name) + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(self.file(name) + ".new", self.file(name))

    def remove(self, name):
        os.unlink(self.file(name))


# ---- attributes ---------------------------------------------------------------------------

def get(path, word):
    return os.getxattr(path, "user.weir." + word).decode()


def get_json(path, word):
    return json.loads(get(path, word))


def attach(path, name, namespace="user"):
    os.setxattr(path, namespace + ".weir.policy", name.encode())


def clear(path):
    os.removexattr(path, "user.weir.policy")


def own(path):
    """The policy attached to this very object; None: none is."""
    try:
        return get(path, "policy")
    except OSError as error:
        assert error.errno == errno.ENODATA, error
        return None


def status(path):
    return get_json(path, "status")


def stats(path):
    return get_json(path, "stats")


def compliance(path):
    return get(path, "compliance")


def covered(path):
    """The policy that covers the object, and where it comes from: (name, from), or None."""
    policy = status(path).get("policy")
    return policy and (policy["name"], policy["from"])


def refused(path):
    """The sentence about the last refused change; None: there is none."""
    return status(path)["compliance"].get("refused")


def fails(number, call, *arguments):
    """The call must fail with this errno and no other."""
    try:
        call(*arguments)
    except OSError as error:
        assert error.errno == number, "%s instead of %s" % (error, errno.errorcode[number])
    else:
        raise AssertionError("succeeds instead of %s" % errno.errorcode[number])


def events(weir, after=0):
    return get_json(weir.path, "events.%d" % after)


def words(weir, after=0, path=None):
    """The events' words, without "mounted", for one path or for all."""
    return [e["event"] for e in events(weir, after)
            if e["event"] not in ("mounted", "disk-recognised") and path in (None, e.get("path"))]


def last_event(weir):
    return events(weir)[-1]["seq"]


def eventually(question, what, seconds=SECONDS):
    """Wait until @question is true; generous, for a busy machine."""
    end_of_wait = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end_of_wait, "not after %d s: %s" % (seconds, what)
        time.sleep(0.02)


# ---- disks --------------------------------------------------------------------------------

def pattern(block, generation=0):
    """What a block holds: 512 times (block, generation)."""
    return struct.pack("<II", block, generation) * (BLOCK // 8)


def make_disk(path, blocks=256):
    """A raw disk of patterns."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(b"".join(pattern(i) for i in range(blocks)))
    return path


def holds_patterns(path, blocks=256):
    with open(path, "rb") as f:
        return f.read() == b"".join(pattern(i) for i in range(blocks))


def make_vmdk(folder, name, blocks=256, parent=None, parent_cid="ffffffff"):
    """NAME.vmdk, a descriptor, and NAME-flat.vmdk, its only extent."""
    make_disk(os.path.join(folder, name + "-flat.vmdk"), blocks)
    hint = 'parentFileNameHint="%s"\n' % parent if parent else ""
    text = ('# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=%s\n%s'
            'createType="monolithicFlat"\n\n# Extent description\n'
            'RW %d FLAT "%s-flat.vmdk" 0\n\n# The Disk Data Base\n#DDB\n\n'
            'ddb.adapterType = "lsilogic"\nddb.geometry.cylinders = "1"\n'
            'ddb.geometry.heads = "16"\nddb.geometry.sectors = "63"\n'
            'ddb.virtualHWVersion = "8"\n' % (parent_cid, hint, blocks * BLOCK // 512, name))
    path = os.path.join(folder, name + ".vmdk")
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    return path


def make_vmx(folder, name, *disks):
    text = '.encoding = "UTF-8"\nconfig.version = "8"\nvirtualHW.version = "8"\n' \
           'displayName = "%s"\nscsi0.present = "TRUE"\n' % name
    for i, disk in enumerate(disks):
        text += 'scsi0:%d.present = "TRUE"\nscsi0:%d.fileName = "%s"\n' % (i, i, disk)
    path = os.path.join(folder, name + ".vmx")
    os.makedirs(folder, exist_ok=True)
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    return path


# ---- processes ----------------------------------------------------------------------------

def spawn(*arguments, **options):
    """A helper process that talks on its pipes; see hold.py."""
    return subprocess.Popen(["/usr/bin/python3", HOLD, *arguments], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, **options)


def ready(child):
    assert child.stdout.readline() == b"ready\n"
    return child


def end(child):
    if child.stdin and not child.stdin.closed:
        child.stdin.close()
    try:
        child.wait(SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    child.stdout.close()


# ---- load ---------------------------------------------------------------------------------

class Load:
    """Random 4 KiB writes and reads of one disk with O_DIRECT, each read verified."""

    def __init__(self, path, blocks=256, seed=1):
        self.path = path
        self.blocks = blocks
        self.random = random.Random(seed)
        self.generations = [0] * blocks
        self.done = 0
        self.error = None
        self.ending = False
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, value, trace):
        self.ending = True
        self.thread.join(60)
        if kind is None:
            assert not self.thread.is_alive(), "an I/O on %s hangs" % self.path
            self.raise_error()

    def raise_error(self):
        if self.error:
            raise AssertionError("the load on %s met %r" % (self.path, self.error))

    def run(self):
        buffer = mmap.mmap(-1, BLOCK)
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_DIRECT)
            try:
                while not self.ending:
                    self.one(fd, buffer)
                for block in range(self.blocks):
                    if self.done > 2000 or block < 4:
                        self.verify(fd, buffer, block)
            finally:
                os.close(fd)
        except (OSError, AssertionError) as error:
            self.error = error

    def one(self, fd, buffer):
        block = self.random.randrange(self.blocks)
        if self.random.random() < 0.5:
            generation = self.generations[block] + 1
            buffer[:] = pattern(block, generation)
            assert os.pwrite(fd, buffer, block * BLOCK) == BLOCK
            self.generations[block] = generation
        else:
            self.verify(fd, buffer, block)
        self.done += 1

    def verify(self, fd, buffer, block):
        assert os.preadv(fd, [buffer], block * BLOCK) == BLOCK
        assert bytes(buffer) == pattern(block, self.generations[block]), \
            "wrong bytes in block %d" % block

    def count(self, seconds):
        """How many I/Os it makes in a while; raises what it met."""
        before = self.done
        time.sleep(seconds)
        self.raise_error()
        return self.done - before

    def makes(self, n, seconds=SECONDS):
        """Wait until it has made @n more I/Os."""
        goal = self.done + n
        eventually(lambda: self.done >= goal or self.error, "%d I/Os, only %d" %
                   (n, self.done - goal + n), seconds)
        self.raise_error()

    def rate(self, seconds=1.0):
        return self.count(seconds) / seconds
