# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine under the benchmark: its directories, daemons, mounts and caches.

A Workplace owns one directory on the file system that is measured, every daemon
started there and every mount they made.

Always holds: leaving the Workplace, by whatever way, ends each process it started
(by process id) and each mount (lazily only when all else failed), and removes the
directory, unless a mount below it could not be ended: then the directory stays, and
the last line says so, because removing it would remove files through the mount.

Should this process be killed itself, its daemons get SIGTERM from the kernel.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time

# The kernel ends what we started when we die without a chance to clean up.
DIE_WITH_US = ["setpriv", "--pdeathsig", "TERM"]
MOUNT_WAIT_S = 20
AUTOGROUP = "/proc/self/autogroup"


class Failed(Exception):
    """A sentence for people: why something could not be started or measured."""


def mountpoints_below(path):
    """Every mount point at or below @path, the deepest first."""
    found = []
    with open("/proc/self/mountinfo") as table:
        for line in table:
            point = line.split()[4].encode().decode("unicode_escape")
            if point == path or point.startswith(path + "/"):
                found.append(point)
    return sorted(found, key=len, reverse=True)


def run(argv, **more):
    """Run a short command; its stdout, or Failed with its last words."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, **more)
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise Failed(f"{argv[0]} failed ({done.returncode}): {words[-1]}")
    return done.stdout


def run_group(argv, limit_s):
    """Run a command with children in a process group of its own: (status, stdout, stderr)."""
    child = subprocess.Popen(DIE_WITH_US + argv, stdin=subprocess.DEVNULL, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             process_group=0)
    try:
        out, err = child.communicate(timeout=limit_s)
    except BaseException as problem:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        if isinstance(problem, subprocess.TimeoutExpired):
            raise Failed(f"{argv[0]} did not end in {limit_s} s") from None
        raise
    return child.returncode, out, err


def descendants(pid):
    """@pid and all its children's children, as the kernel lists them now."""
    pids = [pid]
    for parent in pids:
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{task}/children") as children:
                    pids += [int(child) for child in children.read().split()]
        except OSError:
            continue        # it ended meanwhile
    return pids


@contextlib.contextmanager
def priority(nice):
    """This process and its children are preferred to others' work on the machine.

    With autogroups nice counts only inside a session; the session's own nice value, which its
    other members (the caller's shell) share, is put back at the end.
    """
    os.setpriority(os.PRIO_PROCESS, 0, nice)
    try:
        with open(AUTOGROUP) as group:
            before = int(group.read().rsplit(None, 1)[1])
    except OSError:         # the kernel has no autogroups
        yield
        return
    _write(AUTOGROUP, str(nice))
    try:
        yield
    finally:
        _write(AUTOGROUP, str(before))


@contextlib.contextmanager
def one_cpu():
    """This process and the children it starts stay on one CPU: no wake-ups of another one."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _write(path, value):
    with open(path, "w") as knob:
        knob.write(value)


def drop_caches():
    """Clean pages, dentries and inodes leave memory: the next walk reads the disk."""
    _write("/proc/sys/vm/drop_caches", "3")


def wait_until(condition, seconds, step_s=0.01):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(step_s)
    return True


class Daemon:
    """One running file system daemon and the mount points it serves."""

    def __init__(self, argv, mountpoints, log):
        self.argv = argv
        self.mountpoints = mountpoints
        self.log = log
        began = time.monotonic()
        with open(log, "ab") as sink:
            self.process = subprocess.Popen(DIE_WITH_US + argv, stdin=subprocess.DEVNULL,
                                            stdout=sink, stderr=sink, process_group=0)
        try:
            self._wait_mounted()
        except BaseException:
            self.stop()
            raise
        self.mount_s = time.monotonic() - began     # from exec to the first answer

    def _wait_mounted(self):
        def mounted_or_dead():
            return self.process.poll() is not None or \
                all(mountpoints_below(point) for point in self.mountpoints)

        if not wait_until(mounted_or_dead, MOUNT_WAIT_S, 0.001):
            raise Failed(f"no mount after {MOUNT_WAIT_S} s: {self._last_words()}")
        if self.process.poll() is not None:
            raise Failed(f"ended with {self.process.returncode}: {self._last_words()}")
        for point in self.mountpoints:
            os.stat(point)

    def _last_words(self):
        with open(self.log, errors="replace") as log:
            lines = log.read().strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def server_pid(self):
        """The process that answers the requests: weir's worker, else the daemon itself."""
        for pid in descendants(self.process.pid):
            try:
                with open(f"/proc/{pid}/comm") as name:
                    if name.read().strip() == "weir-worker":
                        return pid
            except OSError:
                continue
        return self.process.pid

    def stop(self):
        """Unmount, then end the process: first kindly, then with force, lazily last."""
        for point in self.mountpoints:
            if mountpoints_below(point):
                wait_until(lambda p=point: self._umount(p), 2, 0.1)
        for signal_number, seconds in ((None, 3), (signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            if signal_number is not None:
                self._signal_all(signal_number)
            if wait_until(lambda: self.process.poll() is not None, seconds):
                break
        for point in self.mountpoints:
            for mounted in mountpoints_below(point):
                self._umount(mounted, "-l")

    def _signal_all(self, signal_number):
        for pid in descendants(self.process.pid):
            try:
                os.kill(pid, signal_number)
            except ProcessLookupError:
                pass

    @staticmethod
    def _umount(point, *options):
        done = subprocess.run(["umount", *options, point], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return done.returncode == 0


class Workplace:
    """A directory of our own, and all that was started in it."""

    def __init__(self, parent):
        self.path = tempfile.mkdtemp(prefix="weir-bench-", dir=parent)
        self._daemons = []

    def __enter__(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._interrupted)
        return self

    @staticmethod
    def _interrupted(number, frame):
        raise KeyboardInterrupt

    def __exit__(self, *what):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)       # cleaning up is not interrupted
        while self._daemons:
            self._daemons.pop().stop()
        left = mountpoints_below(self.path)
        if left:
            print(f"could not unmount {', '.join(left)}: {self.path} stays", flush=True)
        else:
            shutil.rmtree(self.path, ignore_errors=True)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def directory(self, *names):
        path = os.path.join(self.path, *names)
        os.makedirs(path, exist_ok=True)
        return path

    def start(self, argv, mountpoints):
        log = os.path.join(self.directory("log"), os.path.basename(argv[0]) + ".log")
        daemon = Daemon(argv, mountpoints, log)
        self._daemons.append(daemon)
        return daemon

    def stop(self, daemon):
        daemon.stop()
        self._daemons.remove(daemon)
