# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/resume/run.py - one run: a mount, load on it, kills, and everything compared afterwards.

    result = run.Run(directory, Settings(seconds=30, kills=200, ...)).go()

Result.faults lists whatever was not right: a load's own "FAULT" lines, a load that ended badly or
not at all, a worker that did not come back, wrong bytes in the backing files, an unclean umount, a
bad line in the log, something left behind.  Everything that waits has a limit; who hangs in the
mount is set free when it has run out.
"""
import dataclasses
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time

import killer as killers
import victim as victims

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"
GRACE = 90                              # seconds a load has to end after SIGTERM
OPEN_FILES = 1000
PAUSE_MAX = 5000                        # ms; more is a fault, however busy the machine
# name: ways of data_load.c, policy
FILES = {"a": ("dbp", None), "b": ("mb", None), "c": ("dbp", "observe"), "d": ("mb", "observe"),
         "e": ("d", None), "f": ("bp", "fast")}
FAST = """weir: 1
name: fast
version: 1
description: A limit that nobody reaches, so that both stages are in the way.
stages:
  limit: {iops: 1000000, bandwidth: 100G}
  inspect: {}
"""


@dataclasses.dataclass
class Settings:
    """What a run is to be.  also: see killer.py."""

    seconds: float = 30
    kills: int = 100
    seed: int = 1
    passthrough: str = "on"
    backing: str = "dir"
    kind: str = "weir"                  # or plain: the directory itself
    also: tuple = ()
    data: int = 2
    names: int = 4
    fighters: int = 3
    mortals: bool = True                # clients that die in their calls
    covered: bool = True                # half of the trees of names lie under a policy
    open_files: int = OPEN_FILES
    lie: int = 0                        # names_load.py
    damage: bool = False                # a byte of a backing file is changed: must be found


@dataclasses.dataclass
class Result:
    settings: Settings
    kills: int = 0
    operations: int = 0
    seconds: float = 0
    faults: list = dataclasses.field(default_factory=list)
    pauses: dict = dataclasses.field(default_factory=dict)     # probe: [ms for each kill]
    upgrades: list = dataclasses.field(default_factory=list)   # ms, the whole command
    upgrade_pauses: dict = dataclasses.field(default_factory=dict)
    said: list = dataclasses.field(default_factory=list)
    events: dict = dataclasses.field(default_factory=dict)

    def line(self):
        parts = ["kills %d" % self.kills, "operations %d" % self.operations,
                 "seconds %.0f" % self.seconds]
        for name, ms in sorted(self.pauses.items()):
            parts.append("%s pause median %.1f worst %.1f ms" % (
                name, statistics.median(ms), max(ms)))
        if self.upgrades:
            parts.append("%d upgrades, command median %.0f worst %.0f ms" % (
                len(self.upgrades), statistics.median(self.upgrades), max(self.upgrades)))
        for name, ms in sorted(self.upgrade_pauses.items()):
            parts.append("%s pause at upgrade median %.1f worst %.1f ms" % (
                name, statistics.median(ms), max(ms)))
        return "; ".join(parts + ["faults %d" % len(self.faults),
                                  "seed %d" % self.settings.seed])


class Load:
    """A process that works on the mount; its output is in a file."""

    def __init__(self, directory, name, *command):
        self.name = name
        self.log_file = os.path.join(directory, name + ".out")
        with open(self.log_file, "wb") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=out, start_new_session=True, cwd=HERE)
        victims.janitor.remember(directory, self.process.pid)

    def end(self, until):
        """Wait; None, or what was not right."""
        try:
            code = self.process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            return "%s hangs: %s" % (self.name, self.where())
        faults = self.lines("FAULT")
        if code or faults:
            return "%s: exit code %d: %s" % (self.name, code,
                                             "\n".join(faults) or self.output()[-2000:])
        return None

    def where(self):
        try:
            tids = os.listdir("/proc/%d/task" % self.process.pid)
        except OSError:
            return "gone"
        return ", ".join(sorted({victims.stack_of(tid) for tid in tids}))

    def kill(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)

    def output(self):
        with open(self.log_file, encoding="utf-8", errors="replace") as f:
            return f.read()

    def lines(self, word):
        return [line for line in self.output().splitlines() if line.startswith(word)]

    def operations(self):
        return sum(int(line.split()[1]) for line in self.lines("operations"))

    def slow(self):
        return [tuple(map(float, line.split()[1:3])) for line in self.lines("slow")]


class Run:
    """See the head of the file."""

    def __init__(self, directory, settings):
        self.directory = directory
        self.settings = settings
        self.result = Result(settings)
        self.loads, self.probes = [], {}
        self.models = os.path.join(directory, "models")
        self.policies = os.path.join(directory, "policies")
        os.mkdir(self.models)
        os.mkdir(self.policies)
        with open(os.path.join(self.policies, "fast.yaml"), "w", encoding="ascii") as f:
            f.write(FAST)
        with open(os.path.join(self.policies, "observe.yaml"), "w", encoding="ascii") as f:
            f.write(FAST.replace("fast", "observe").replace(
                "  limit: {iops: 1000000, bandwidth: 100G}\n", ""))
        options = "passthrough=%s,policies=%s" % (settings.passthrough, self.policies)
        self.victim = victims.Victim(directory, options, settings.backing, settings.kind)

    def go(self):
        begin = time.monotonic()
        try:
            self.victim.start()
            self.set_up()
            self.start_loads()
            self.kill_for_a_while()
            self.end_loads()
            self.verify()
            self.orphans_are_gone()
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            self.fault("the run itself: %s" % error)
        finally:
            for load in self.loads:
                load.kill()
            self.result.faults += self.victim.finish()
            self.verify_behind()
            self.result.faults += self.victim.close()
        self.result.seconds = time.monotonic() - begin
        return self.result

    def fault(self, text):
        self.result.faults.append(text)

    # -- before ---------------------------------------------------------------------------------

    def set_up(self):
        point = self.victim.point
        for name in ("data", "names", "covered", "open", "probe"):
            os.mkdir(os.path.join(point, name))
        self.attach(os.path.join(point, "covered"), "observe")
        for i in range(self.settings.data):
            for name, (_, policy) in FILES.items():
                path = os.path.join(point, "data", "%s%d" % (name, i))
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
                self.attach(path, policy)
        for i in range(self.settings.open_files):
            path = os.path.join(point, "open", "f%d" % i)
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
        path = os.path.join(point, "probe", "read")
        with open(path, "wb") as f:
            f.write(os.urandom(1 << 20))
        self.attach(path, "observe")

    def attach(self, path, policy):
        if policy and self.settings.kind == "weir":
            os.setxattr(path, "user.weir.policy", policy.encode())

    def start_loads(self):
        s = self.settings
        point, draw = self.victim.point, random.Random(s.seed)
        self.limit = "%d" % (s.seconds + 300)
        for i in range(s.data):
            self.start("data-%d" % i, data_program(), os.path.join(point, "data"), self.models,
                       self.limit, str(draw.randrange(1 << 30)),
                       *("%s%d:%s" % (name, i, ways) for name, (ways, _) in FILES.items()))
        for i in range(s.names):
            below = "covered" if i % 2 and s.covered else "names"
            self.start("names-%d" % i, PYTHON, os.path.join(HERE, "names_load.py"),
                       os.path.join(point, below), str(draw.randrange(1 << 30)), self.limit,
                       "--behind", self.behind(below), "--lie", str(s.lie),
                       *(["--signals"] if i == 2 else []))
        if s.fighters:
            self.start("fighters", PYTHON, os.path.join(HERE, "fighters.py"),
                       os.path.join(point, "fight"), str(draw.randrange(1 << 20)), self.limit,
                       str(s.fighters))
        if s.mortals:
            self.start("mortals", PYTHON, os.path.join(HERE, "mortals.py"),
                       os.path.join(point, "mortal"), self.behind("mortal"),
                       str(draw.randrange(1 << 20)), self.limit)
        if s.open_files:
            self.start_probes(point)

    def start_probes(self, point):
        probe = (PYTHON, os.path.join(HERE, "probe.py"))
        self.probes = {
            "read": self.start("probe-read", *probe, "read", point + "/probe/read", self.limit,
                               str(self.settings.open_files), point + "/open"),
            "stat": self.start("probe-stat", *probe, "stat", point + "/probe/read", self.limit),
            "create": self.start("probe-create", *probe, "create", point + "/probe/made",
                                 self.limit)}

    def behind(self, name):
        return os.path.join(self.victim.store, name)

    def start(self, name, *command):
        load = Load(self.directory, name, *command)
        self.loads.append(load)
        return load

    # -- while ----------------------------------------------------------------------------------

    def kill_for_a_while(self):
        s = self.settings
        time.sleep(1.0)
        if s.kind != "weir" or not s.kills:
            time.sleep(s.seconds)
            self.killer = None
            return
        self.killer = killers.Killer(self.victim, s.seed, s.kills, s.seconds, s.also)
        self.killer.start()
        self.killer.join(s.seconds + 60)
        self.killer.over.set()
        self.killer.join(60)
        self.result.kills = self.killer.kills()
        self.result.faults += self.killer.faults
        self.result.said = self.killer.said
        for event in self.killer.events:
            self.result.events[event[1]] = self.result.events.get(event[1], 0) + 1

    def end_loads(self):
        time.sleep(0.5)
        for load in self.loads:
            if load.process.poll() is None:
                load.process.send_signal(signal.SIGTERM)
        until = time.monotonic() + GRACE
        rescue = threading.Timer(GRACE + 15, self.victim.abort)
        rescue.daemon = True
        rescue.start()
        for load in self.loads:
            text = load.end(until)
            if text:
                self.fault(text)
            self.result.operations += load.operations()
        if any(" hangs: " in text for text in self.result.faults):
            self.fault("where the worker is:\n" + self.victim.where_everybody_is())
        rescue.cancel()
        if self.killer:
            for name, load in self.probes.items():
                found = killers.pauses(self.killer.events, load.slow()) or [0]
                self.result.pauses[name] = found
                if max(found) > PAUSE_MAX:
                    self.fault("%s waited %.0f ms around a kill" % (name, max(found)))
                if self.killer.upgrades:
                    self.result.upgrade_pauses[name] = killers.pauses(
                        self.killer.events, load.slow(), ("upgrade",))
            self.result.upgrades = self.killer.upgrades

    # -- after ----------------------------------------------------------------------------------

    def verify(self):
        self.verify_files(os.path.join(self.victim.point, "data"), "through the mount")

    def verify_behind(self):
        if self.settings.damage:
            with open(os.path.join(self.victim.store, "data", "b0"), "r+b") as f:
                f.seek(12345)
                f.write(b"!")
        if os.path.isdir(os.path.join(self.victim.store, "data")):
            self.verify_files(os.path.join(self.victim.store, "data"), "behind the mount")

    def verify_files(self, directory, how):
        for model in sorted(os.listdir(self.models)):
            path = os.path.join(directory, model[:-len(".model")])
            done = subprocess.run([data_program(), "--verify", path,
                                   os.path.join(self.models, model)], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=60, check=False)
            if done.returncode:
                self.fault("%s: %s" % (how, done.stdout.decode(errors="replace")))

    def orphans_are_gone(self):
        """Nothing is open any more: nothing unlinked may be kept, not even after all the kills."""
        place = os.path.join(self.victim.store, ".weir", "orphans")
        end = time.monotonic() + 5
        left = []
        while self.settings.kind == "weir" and os.path.isdir(place):
            left = os.listdir(place)
            if not left or time.monotonic() > end:
                break
            time.sleep(0.05)
        if left:
            self.fault("%d orphans are left: %s" % (len(left), left[:5]))


def data_program():
    return os.path.join(victims.weirs.BUILD, "tests", "resume", "data-load")


def keep_logs(directory, to):
    """Copy what a fault needs out of a run's directory."""
    os.makedirs(to, exist_ok=True)
    for root in (directory, os.path.join(directory, "0")):
        for name in os.listdir(root) if os.path.isdir(root) else ():
            if name.endswith((".out", ".log")) or name == "log":
                with open(os.path.join(root, name), "rb") as f, \
                        open(os.path.join(to, name), "wb") as out:
                    out.write(f.read())


if __name__ == "__main__":
    sys.exit("see soak")
