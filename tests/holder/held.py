# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/holder/held.py - a holder with programs of its own, which a test may exchange.

The programs lie in a private directory, so the holder finds them beside itself.  By default they
are stubs (stub.c) with a word for what they do; use_real() takes weir's.
"""
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time

import backing
import janitor
import syscalls
import weir as weirs

STUB = os.path.join(weirs.BUILD, "tests", "holder", "holder-stub")
SECONDS = 20


def wait_until(condition, what, seconds=SECONDS):
    """Poll until @condition gives something true; that is returned."""
    end = time.monotonic() + seconds
    while True:
        got = condition()
        if got:
            return got
        assert time.monotonic() < end, "timed out: " + what
        time.sleep(0.005)


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid, "rb") as stat:
            return b") Z" not in stat.read()
    except OSError:
        return False


class Held:
    """One mount.  status() is what the holder says; log() what it logged in the foreground."""

    def __init__(self, directory, word="serve"):
        self.directory = directory
        self.bin = os.path.join(directory, "bin")
        self.store = os.path.join(directory, "store")
        self.point = os.path.join(directory, "mnt")
        self.log_file = os.path.join(directory, "log")
        self.processes = []             # of ours: Popen
        self.pids = set()               # of theirs, seen in a status
        self.socket = None              # path, once known
        for path in (self.bin, self.store, self.point):
            os.mkdir(path)
        shutil.copy(weirs.program("weir-holder"), self.bin)
        self.install("weir-worker", word)
        self.install("weir-broker", "serve")

    # -- programs -----------------------------------------------------------------------------

    def install(self, name, word):
        """Put another program in the place of @name, as a package does: by a rename."""
        new = os.path.join(self.bin, "new")
        shutil.copy(STUB, new)
        with open(new, "ab") as program:
            program.write(word.encode().ljust(16, b"\0"))
        os.rename(new, os.path.join(self.bin, name))

    def use_real(self):
        for name in ("weir-worker", "weir-broker", "weir-recognise", "weir"):
            if os.path.exists(weirs.program(name)):
                shutil.copy(weirs.program(name), self.bin)

    def line(self, *extra):
        return [os.path.join(self.bin, "weir-holder"), *extra, self.store, self.point]

    def spawn(self, *extra, **options):
        """A holder, without waiting for anything."""
        with open(self.log_file, "ab") as log:
            process = subprocess.Popen(self.line(*extra), stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=log, start_new_session=True, cwd=self.directory,
                                       **options)
        self.processes.append(process)
        janitor.remember(os.path.dirname(self.directory), process.pid)
        return process

    def start(self, *extra, **options):
        """A holder in the foreground whose worker serves."""
        process = self.spawn("-f", *extra, **options)
        wait_until(lambda: self.find_socket() or process.poll() is not None, "the mount")
        assert process.poll() is None, self.log()
        return process

    # -- what it says -------------------------------------------------------------------------

    def mounted(self):
        return self.point in backing.mounts_below(self.directory)

    def find_socket(self):
        with open("/proc/self/mountinfo", encoding="utf-8") as table:
            for line in table:
                if line.split()[4] == self.point:
                    self.socket = "/run/weir/" + line.split()[2]
        return self.socket and self.answers()

    def answers(self):
        """A socket may be there of a holder that was killed, or whose mount has just gone."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            if s.connect_ex(self.socket) != 0:
                return False
            size = struct.calcsize("3i")
            who = s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
            return self.is_ours(struct.unpack("3i", who)[0])

    def ask(self, what, seconds=30):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.settimeout(seconds)
            s.connect(self.socket)
            s.send(what.encode())
            return s.recv(2000).decode()

    def status(self):
        found = dict(word.split("=", 1) for word in self.ask("status").split())
        found = {name: int(value) if re.fullmatch(r"-?\d+", value) else value
                 for name, value in found.items()}
        self.pids |= {found["holder"], found["worker"], found["broker"]} - {0}
        return found

    def worker(self):
        return self.status()["worker"]

    def serving(self, other_than=0):
        """Wait for a worker that serves and is another one; its status."""
        def found():
            status = self.status()
            good = status["state"] == "serving" and status["worker"] != other_than
            return status if good else None
        return wait_until(found, "a worker that serves: " + self.log())

    def log(self):
        try:
            with open(self.log_file, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def workers(self):
        """All living processes that run a worker of ours."""
        return [int(pid) for pid in filter(str.isdigit, os.listdir("/proc"))
                if self.is_ours(pid) and alive(int(pid)) and
                os.readlink("/proc/%s/exe" % pid).split()[0].endswith("/weir-worker")]

    # -- the end ------------------------------------------------------------------------------

    def umount(self):
        """As umount(8), which first asks the mount about itself: a worker must be there."""
        subprocess.run(["umount", self.point], check=True, timeout=SECONDS)

    def weir(self, *words, code=0):
        """The weir command beside our holder; its output and errors."""
        program = os.path.join(self.bin, "weir")
        if not os.path.exists(program):
            shutil.copy(weirs.program("weir"), program)
        done = subprocess.run([program, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=2 * SECONDS, check=False)
        assert done.returncode == code, (done.returncode, done.stdout, self.log())
        return done.stdout.decode()

    def end(self):
        if self.socket and os.path.exists(self.socket):
            try:
                self.status()
            except OSError:
                pass
        for pid in self.pids | {p.pid for p in self.processes if p.poll() is None}:
            try:
                if alive(pid) and os.stat("/proc/%d" % pid).st_uid == 0 and self.is_ours(pid):
                    os.kill(pid, signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError):
                pass                        # it ended just now
        for process in self.processes:
            process.wait(SECONDS)
        while self.mounted():
            syscalls.umount2(self.point, syscalls.MNT_DETACH)

    def is_ours(self, pid):
        try:
            return os.readlink("/proc/%s/exe" % pid).startswith(self.bin)
        except OSError:
            return False
