# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/resume/killer.py - kills the worker of a mount at random moments, and keeps a list.

Moments come from three distributions: soon after the last one's death (0 to 20 ms after the new pid
exists, in bursts), a few tens of milliseconds, and up to half a second.  Besides SIGKILL: SIGSTOP
and SIGCONT, caches dropped, upgrades, as asked for; to measure, only kills with time between them.
A worker that does not come back, or an upgrade that fails without a kill, is a fault.
"""
import os
import random
import signal
import subprocess
import threading
import time

# What a worker says that is replaced because its broker died; its clients see nothing.
BROKER_LOG = ("ended with exit code 1; a new one starts", "the broker is gone",
              "weir-broker: Input/output error")


class Killer(threading.Thread):
    """victim: victim.Victim.  Ends after @kills, after @seconds, or when told to."""

    def __init__(self, victim, seed, kills, seconds, also=()):
        super().__init__(daemon=True)
        self.victim = victim
        self.random = random.Random(seed)
        self.kills_wanted = kills
        self.seconds = seconds
        self.also = also                # of stop, drop-caches, upgrade, broker, measure
        self.over = threading.Event()
        self.events = []                # (CLOCK_MONOTONIC, what, pid)
        self.upgrades = []              # milliseconds each took, as seen from here
        self.said = []                  # by upgrades
        self.faults = []

    def kills(self):
        return sum(1 for event in self.events if event[1] == "kill")

    def run(self):
        end = time.monotonic() + self.seconds
        while not self.over.is_set() and time.monotonic() < end and not self.faults and \
                self.kills() < self.kills_wanted:
            pid = self.victim.next_worker(0)
            if not pid:
                self.faults.append("no worker within 10 s after the last kill")
                break
            self.over.wait(self.interval())     # from its birth: else back-off upon back-off
            self.act(self.victim.worker() or pid)

    def interval(self):
        """Often longer than the 100 ms after which the holder no longer backs off."""
        if "measure" in self.also:
            return self.random.uniform(0.2, 0.6)
        which = self.random.random()
        if which < 0.25:
            return self.random.expovariate(1 / 0.03)
        return self.random.uniform(0.12, 0.2 if which < 0.75 else 0.5)

    def act(self, pid):
        which = self.random.random()
        if "drop-caches" in self.also and self.random.random() < 0.15:
            self.drop_caches()
        if "stop" in self.also and which < 0.15:
            self.stop_and_go(pid)
        elif "broker" in self.also and which < 0.25:
            self.kill_broker()
        elif "upgrade" in self.also and which < 0.3:
            self.upgrade()
        elif which > 0.9 and "measure" not in self.also:
            self.burst(pid)
        else:
            self.kill(pid)

    def note(self, what, pid=0):
        self.events.append((time.monotonic(), what, pid))

    def kill(self, pid):
        try:
            self.note("kill", pid)
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            self.events.pop()

    def burst(self, pid):
        """The next ones hardly live."""
        self.kill(pid)
        for _ in range(self.random.randrange(1, 4)):
            pid = self.victim.next_worker(pid)
            if not pid:
                return
            time.sleep(self.random.choice((0, self.random.uniform(0, 0.003),
                                           self.random.uniform(0, 0.02))))
            self.kill(pid)

    def kill_broker(self):
        """The worker is then started anew with another one."""
        pid = self.victim.broker()
        if pid:
            self.note("broker", pid)
            self.victim.expected_log += BROKER_LOG
            os.kill(pid, signal.SIGKILL)

    def stop_and_go(self, pid):
        try:
            os.kill(pid, signal.SIGSTOP)
            self.note("stop", pid)
            time.sleep(self.random.uniform(0.005, 0.4))
            if self.random.random() < 0.4:
                self.kill(pid)
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass

    def drop_caches(self):
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
            f.write("3")
        self.note("drop")

    def upgrade(self):
        """Alone, or with a kill in the middle of it; then any answer is right."""
        disturbed = self.random.random() < 0.4
        begin = time.monotonic()
        self.note("upgrade")
        child = subprocess.Popen([weir_program(), "upgrade", self.victim.point],
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if disturbed:
            self.victim.expected_log.append("the old program takes over again")
            time.sleep(self.random.uniform(0, 0.06))
            pid = self.victim.worker()
            if pid:
                self.kill(pid)
        try:
            said, _ = child.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            self.faults.append("weir upgrade did not come to an end in 30 s")
            return
        if not disturbed:
            self.upgrades.append((time.monotonic() - begin) * 1000)
            self.said.append(said.strip())
        if child.returncode and not disturbed:
            self.faults.append("weir upgrade: exit code %d: %s" % (child.returncode, said))


def weir_program():
    import weir as weirs
    return weirs.program("weir")


def pauses(events, slow, kinds=("kill",)):
    """For each kill the longest call, in ms, that was under way then or began at once after."""
    found = []
    times = [e[0] for e in events if e[1] in kinds]
    for i, at in enumerate(times):
        until = min(times[i + 1] if i + 1 < len(times) else at + 10, at + 0.05)
        hit = [end - begin for begin, end in slow if end > at and begin < until]
        found.append(max(hit, default=0.001) * 1000)
    return found
