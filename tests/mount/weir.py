# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/mount/weir.py - a mount of weir that a test can start, kill, restart and trust.

A Mount owns its worker process (in a session of its own), the worker's log, and the mount.
Always: every wait has a limit; a watchdog kills the worker and aborts the mount when the test's
time is over, so that a system call stuck in a dead filesystem returns; finish() leaves no mount,
process, loop device or descriptor behind and lists everything that was not right.

$WEIR_BUILD         the build directory (default: build beside tests/)
$WEIR_MOUNT_KIND    weir (default); to try the harness itself: bind, passthrough_ll
$PASSTHROUGH_LL     the program for the latter
"""
import os
import re
import signal
import subprocess
import threading
import time

import backing
import janitor
import syscalls

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("WEIR_BUILD", os.path.join(SOURCE, "build")))
KIND = os.environ.get("WEIR_MOUNT_KIND", "weir")
START_SECONDS = 20
STOP_SECONDS = 20
# The leak checker says the exception when a thread ends while it looks: it found no leak.
BAD_LOG = re.compile(r"\bERROR\b|^error:|==\d+==(?!Unable to get registers)|runtime error:|Assertion|assertion|"
                     r"(Address|Leak|Thread|UndefinedBehavior)Sanitizer|"
                     r"the worker of .* (was killed|ended)", re.M)  # clients would not notice
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99:handle_abort=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=0",
    "TSAN_OPTIONS": "exitcode=99:second_deadlock_stack=1",
}


def program(name):
    """Path of a program in the build tree."""
    folder = "fs" if name in ("weir-holder", "weir-worker", "weir-broker") else "ctl"
    return os.path.join(BUILD, folder, name)


def command(kind, source, point, options):
    """The command line that serves @source at @point in the foreground."""
    if kind == "passthrough_ll":
        example = os.environ.get("PASSTHROUGH_LL", "/tmp/passthrough_ll")
        return [example, "-f", "-o", "source=%s,allow_other,default_permissions" % source, point]
    extra = ["-o", options] if options else []
    return [program("weir-holder"), "-f", *extra, source, point]


def children(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as f:
            return [int(word) for word in f.read().split()]
    except OSError:
        return []


def processes_of_session(sid):
    """Living processes of a session (field 6 of stat), other than zombies."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % pid, "rb") as f:
                fields = f.read().rsplit(b")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == sid and fields[0] != b"Z":
            found.append(int(pid))
    return found


def wait_for_session(sid):
    """Until what was killed is gone, and the datastore's lock with it."""
    end = time.monotonic() + STOP_SECONDS
    while processes_of_session(sid) and time.monotonic() < end:
        time.sleep(0.005)


def command_name(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return f.read().split(b"\0")[0].decode()
    except OSError:
        return ""


class Mount:
    """One datastore with weir in front of it.  self.path is the mount, self.store the backing."""

    def __init__(self, directory, store, options="", kind=None, seconds=60):
        self.directory = directory
        self.store = store
        self.options = options
        self.kind = kind or KIND
        self.path = os.path.join(directory, "mnt")
        self.log_file = os.path.join(directory, "log")
        self.process = None
        self.sessions = []              # of every worker ever started
        self.problems = []
        self.expected_log = []
        self.timed_out = False
        self.watchdog = threading.Timer(seconds, self.abort)
        self.watchdog.daemon = True
        self.watchdog.start()
        os.mkdir(self.path)

    # -- life ---------------------------------------------------------------------------------

    def start(self):
        """Serve the datastore; returns when the mount is in the mount table."""
        if self.kind == "bind":
            backing.run("mount", "--bind", self.store, self.path)
            return self
        self.process = self.spawn()
        self.wait_mounted()
        return self

    def spawn(self, options=None, point=None):
        """Start a worker without waiting for its mount; the caller ends it."""
        line = command(self.kind, self.store, point or self.path,
                       self.options if options is None else options)
        with open(self.log_file, "ab") as log:
            process = subprocess.Popen(
                line, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory,
                start_new_session=True, env={**os.environ, **SANITIZERS})
        self.sessions.append(process.pid)
        janitor.remember(os.path.dirname(self.directory), process.pid)
        return process

    def wait_mounted(self):
        end = time.monotonic() + START_SECONDS
        while not self.is_mounted():
            if self.process.poll() is not None:
                raise AssertionError("the worker ended with %d:\n%s" %
                                     (self.process.returncode, self.log()))
            if time.monotonic() > end:
                raise AssertionError("not mounted after %d s:\n%s" % (START_SECONDS, self.log()))
            time.sleep(0.005)

    def is_mounted(self):
        return self.path in backing.mounts_below(self.path)

    def stop(self):
        """Unmount as an administrator does; both umount and the worker must end with 0."""
        done = subprocess.run(["umount", self.path], stdout=subprocess.PIPE, timeout=STOP_SECONDS,
                              stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 0, "umount: exit %d: %s" % (done.returncode, done.stdout)
        if self.process:
            process, self.process = self.process, None
            try:
                status = process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process = process
                raise AssertionError("the worker lives %d s after umount" % STOP_SECONDS) from None
            assert status == 0, "the worker ended with %d:\n%s" % (status, self.log()[-4000:])

    def kill(self):
        """SIGKILL worker and holder at once, and take away the dead mount; open files of the test go dead."""
        self.kill_process()
        while self.is_mounted():
            syscalls.umount2(self.path, syscalls.MNT_DETACH)

    def restart(self):
        self.stop()
        return self.start()

    def kill_process(self):
        if not self.process:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(STOP_SECONDS)
        wait_for_session(self.process.pid)
        self.process = None

    def abort(self):
        """The watchdog: free whoever hangs in a call on this mount."""
        self.timed_out = True
        try:
            if self.process:
                os.killpg(self.process.pid, signal.SIGKILL)
            syscalls.umount2(self.path, syscalls.MNT_FORCE)
        except OSError:
            pass                        # busy: the connection is aborted all the same

    # -- what a test asks ---------------------------------------------------------------------

    def log(self):
        try:
            with open(self.log_file, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def expect_log(self, pattern):
        """Lines that match are wanted by this test and not held against the worker."""
        self.expected_log.append(re.compile(pattern))

    def in_mount(self, *names):
        return os.path.join(self.path, *names)

    def in_store(self, *names):
        return os.path.join(self.store, *names)

    def descriptors(self):
        """How many files the worker has open."""
        return len(os.listdir("/proc/%d/fd" % self.worker()))

    def child(self, name):
        """The pid of a process that the holder keeps; there may be none for a moment."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            for pid in children(self.process.pid):
                if command_name(pid) == name:
                    return pid
            time.sleep(0.002)
        raise AssertionError("no %s:\n%s" % (name, self.log()))

    def worker(self):
        return self.child("weir-worker")

    def broker(self):
        return self.child("weir-broker")

    def is_weir(self):
        return self.kind == "weir"

    # -- the end ------------------------------------------------------------------------------

    def finish(self):
        """Take everything down; returns the list of what was not right."""
        self.watchdog.cancel()
        if self.timed_out:
            self.problems.append("the watchdog had to kill the worker: something hung")
        if self.process and self.process.poll() is not None:
            self.problems.append("the worker died: status %d" % self.process.returncode)
        if self.is_mounted():
            try:
                self.stop()
            except (AssertionError, subprocess.TimeoutExpired) as error:
                self.problems.append(str(error))
        self.kill_process()
        self.detach_what_is_left()
        self.check_log()
        return self.problems

    def detach_what_is_left(self):
        for _ in range(8):
            if not self.is_mounted():
                return
            syscalls.umount2(self.path, syscalls.MNT_DETACH)
        self.problems.append("still mounted: " + self.path)

    def check_log(self):
        for line in self.log().splitlines():
            if BAD_LOG.search(line) and not any(p.search(line) for p in self.expected_log):
                self.problems.append("log: " + line)
