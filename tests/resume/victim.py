# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/resume/victim.py - a weir mount whose worker can be found, killed and waited for.

    victim = Victim(directory, options="passthrough=off", backing="ext4")
    victim.start() ... os.kill(victim.worker(), 9) ... victim.stop()

The mount is made by `weir mount -f`, which becomes the holder; the worker is the child of it that
is called weir-worker.  Always: finish() leaves nothing behind (mount, process, loop device), in any
state, within a minute, and returns what was not right; abort() frees whoever hangs in a call.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "mount"))
import backing as backings  # noqa: E402
import janitor              # noqa: E402
import syscalls             # noqa: E402
import weir as weirs        # noqa: E402

WAIT = 20
BAD_LOG = weirs.BAD_LOG
EARNED = ("was killed by signal 9 (Killed)",)       # bad lines that a run may have in its log


def state_of(pid):
    """State letter of a process, its parent; (None, 0) when there is none."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as f:
            fields = f.read().rsplit(b")", 1)[1].split()
    except OSError:
        return None, 0
    return fields[0].decode(), int(fields[1])


def name_of(pid):
    try:
        with open("/proc/%d/comm" % pid, encoding="ascii", errors="replace") as f:
            return f.read().strip()
    except OSError:
        return ""


def children(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as f:
            return list(map(int, f.read().split()))
    except OSError:
        return []


class Victim:
    """See the head of the file.  kind "plain": the directory itself, to prove the harness."""

    def __init__(self, directory, options="", backing="dir", kind="weir", name="0"):
        self.directory = os.path.join(directory, name)
        os.mkdir(self.directory)
        self.kind = kind
        self.backing = backings.Backing(self.directory, "store", backing, 2048)
        self.store = self.backing.path
        self.point = os.path.join(self.directory, "mnt") if kind == "weir" else self.store
        self.options = options
        self.log_file = os.path.join(self.directory, "log")
        self.holder = None              # Popen
        self.expected_log = list(EARNED)
        self.watched = os.path.dirname(self.directory)
        if kind == "weir":
            os.mkdir(self.point)

    # -- life ---------------------------------------------------------------------------------

    def start(self):
        if self.kind != "weir":
            return self
        line = [weirs.program("weir"), "mount", "-f"]
        line += ["-o", self.options] if self.options else []
        with open(self.log_file, "ab") as log:
            self.holder = subprocess.Popen(
                [*line, self.store, self.point], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env={**os.environ, **weirs.SANITIZERS})
        janitor.remember(self.watched, self.holder.pid)
        self.wait(lambda: self.is_mounted() and self.worker(), "a mount")
        os.stat(self.point)
        return self

    def wait(self, condition, what, seconds=WAIT):
        end = time.monotonic() + seconds
        while not condition():
            if self.holder and self.holder.poll() is not None:
                raise AssertionError("the holder ended with %d:\n%s" % (
                    self.holder.returncode, self.log()[-3000:]))
            if time.monotonic() > end:
                raise AssertionError("no %s after %d s:\n%s" % (what, seconds, self.log()[-3000:]))
            time.sleep(0.002)

    def is_mounted(self):
        return self.point in backings.mounts_below(self.point)

    def worker(self, other_than=0):
        """The living worker's pid, or None; never the one named (it may be a corpse still)."""
        if not self.holder:
            return None
        for pid in children(self.holder.pid):
            if pid != other_than and name_of(pid) == "weir-worker" and state_of(pid)[0] not in (
                    None, "Z", "X"):
                return pid
        if name_of(self.holder.pid) == "weir-worker" and other_than != self.holder.pid:
            return self.holder.pid      # a weir without a holder
        return None

    def broker(self):
        for pid in children(self.holder.pid):
            if name_of(pid) == "weir-broker" and state_of(pid)[0] not in (None, "Z", "X"):
                return pid
        return None

    def next_worker(self, last, seconds=10.0, pause=0.0002):
        """The worker after @last; None when none comes."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pid = self.worker(last)
            if pid:
                return pid
            time.sleep(pause)
        return None

    def kill_worker(self, pid=None):
        pid = pid or self.worker()
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return None
        return pid

    def weir(self, *arguments, seconds=WAIT):
        """The `weir` command: (exit code, what it said)."""
        done = subprocess.run([weirs.program("weir"), *arguments], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=seconds, check=False)
        return done.returncode, done.stdout.decode(errors="replace")

    def stop(self):
        """Unmount as an administrator does; returns what was not right."""
        if self.kind != "weir" or not self.holder:
            return []
        try:
            code, said = self.weir("umount", self.point)
        except subprocess.TimeoutExpired:
            return ["weir umount did not come to an end"]
        if code:
            return ["weir umount: exit code %d: %s" % (code, said)]
        holder, self.holder = self.holder, None
        pids = children(holder.pid)
        try:
            status = holder.wait(WAIT)
        except subprocess.TimeoutExpired:
            self.holder = holder
            return ["the holder lives %d s after umount" % WAIT]
        problems = [] if status == 0 else ["the holder ended with %d" % status]
        end = time.monotonic() + 2
        while any(state_of(p)[0] for p in pids) and time.monotonic() < end:
            time.sleep(0.01)
        return problems + ["process left: %d %s" % (p, name_of(p)) for p in pids
                           if state_of(p)[0] not in (None, "Z")]

    # -- the end ------------------------------------------------------------------------------

    def log(self):
        try:
            with open(self.log_file, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def abort(self):
        """Whoever hangs in a call on this mount gets an error."""
        try:
            syscalls.umount2(self.point, syscalls.MNT_FORCE)
        except OSError:
            pass                        # busy: the connection is aborted all the same

    def kill_all(self):
        if not self.holder:
            return
        pids = children(self.holder.pid)
        try:
            os.killpg(self.holder.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        for pid in pids:
            if state_of(pid)[0]:
                os.kill(pid, signal.SIGKILL)
        self.holder.wait(WAIT)
        self.holder = None

    def finish(self):
        problems = self.stop() if self.holder else []
        if problems:
            self.abort()
            self.kill_all()
        while self.kind == "weir" and self.is_mounted():
            syscalls.umount2(self.point, syscalls.MNT_DETACH)
        return problems + self.bad_lines()

    def bad_lines(self):
        return ["log: " + line for line in self.log().splitlines() if BAD_LOG.search(line) and
                not any(text in line for text in self.expected_log)]

    def close(self):
        """The datastore itself goes, too."""
        return self.backing.close()

    def where_everybody_is(self):
        """For a hang: what the kernel says of the worker's threads."""
        text = []
        for pid in (self.worker() or 0, self.holder.pid if self.holder else 0):
            for tid in os.listdir("/proc/%d/task" % pid) if pid else ():
                text.append("%s %s: %s" % (name_of(pid), tid, stack_of(tid)))
        return "\n".join(text)


def stack_of(pid):
    try:
        with open("/proc/%s/stack" % pid, encoding="ascii") as f:
            return " ".join(re.findall(r"(\w+)\+", f.read())[:6])
    except OSError:
        return "gone"


class RunDirectory:
    """A private directory that a janitor cleans up behind us should we be killed."""

    def __init__(self, place="/var/tmp"):
        import tempfile
        self.path = tempfile.mkdtemp(prefix="weir-resume-", dir=place)
        os.chmod(self.path, 0o755)
        script = os.path.join(os.path.dirname(janitor.__file__), "janitor.py")
        self.janitor = subprocess.Popen(["/usr/bin/python3", script, self.path],
                                        stdin=subprocess.PIPE)

    def close(self):
        if not backings.mounts_below(self.path):
            shutil.rmtree(self.path, ignore_errors=True)
        self.janitor.stdin.close()
        self.janitor.wait(60)
