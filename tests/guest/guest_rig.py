# SPDX-License-Identifier: GPL-2.0-or-later
"""guest_rig.py - a weir mount, ganesha exporting it, a guest on both, and the killer of workers.

As tests/nfs/rig.py, of which it is one: everything it starts is remembered and ended, in any
state.  Workers are killed only where a holder starts another one.
"""
import os
import random
import re
import signal
import statistics
import time

import rig as rigs
import weir as weirs
from guest_disks import Disk
from guest_qemu import Guest

# The worker's errors, rightly, when kill_holder() was there.
HOLDER_GONE = re.compile("weir-holder is gone|the holder does not hear us|"
                         "the worker of .* was killed by signal 9")
NEVER_ANSWERED = 20             # seconds without a new worker: the holder is at fault


POLICIES = {
    # Narrower than what the guest wants: a killed worker always has requests that wait.
    "narrow": "stages:\n  limit: {iops: 80}\n  inspect: {}\n",
    "watched": "stages:\n  inspect: {}\n",
}


def standard_disks():
    """One of each way of the bytes: kernel, daemon, VMDKs, NFS; O_DIRECT and not."""
    return [
        Disk("vda", "ordered", drive="cache=none,aio=threads,discard=unmap"),
        Disk("vdb", "journal", policy="narrow", drive="cache=none,aio=io_uring,discard=unmap"),
        Disk("vdc", "ordered", form="vmdk", options="subformat=monolithicSparse",
             drive="cache=writeback", policy="watched"),
        Disk("vdd", "journal", form="vmdk", options="subformat=monolithicFlat",
             drive="cache=none,aio=native"),
        Disk("vde", "journal", nfs=True, drive="cache=writeback"),
    ]


def processes(name, argument):
    """Living processes with that name and argument; the argument is a path of this run only."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                if file.read().strip() != name:
                    continue
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if os.fsencode(argument) in file.read().split(b"\0"):
                    found.append(int(pid))
        except OSError:
            pass                        # it went in between
    return found


class GuestRig(rigs.Rig):
    """Use: open(), prepare(), guest.boot(), kill... , finish() returns what was wrong; close()."""

    def __init__(self, disks=None, limit=150, options=""):
        """@options: of the mount, besides those that the guest's disks need."""
        super().__init__()
        self.options = options
        self.vm = None
        self.disks = disks or standard_disks()
        self.guest = Guest(self.root, self.disks, limit, self.tool_process)
        self.kills = self.holders_killed = self.upgrades = 0

    def prepare(self):
        """Mount, export, make the disks, attach their policies."""
        policies = os.path.join(self.root, "policies")
        os.mkdir(policies)
        for name, text in POLICIES.items():
            with open(os.path.join(policies, name + ".yaml"), "w", encoding="ascii") as file:
                file.write(f"weir: 1\nname: {name}\nversion: 1\ndescription: For tests.\n{text}")
        options = ["policy-xattr=trusted", "policies=" + policies, self.options]
        self.vm = self.mount("vm", options=",".join(filter(None, options)))
        if any(disk.nfs for disk in self.disks):
            self.export(self.vm)
            self.start_ganesha()
        for disk in self.disks:
            disk.make(self.vm.point, self.root)
            if disk.policy:
                rigs.run(self.weir, "policy", "set", disk.policy, disk.path)

    # The killer

    def workers(self):
        """The worker's pid in a list; empty while there is none."""
        return processes("weir-worker", self.vm.point)

    def holders(self):
        return processes("weir-holder", self.vm.point)

    def kill_worker(self, frozen=0.0):
        """SIGKILL, after SIGSTOP for @frozen seconds, and wait until the next one is there."""
        before = self.workers()
        if not before:
            return
        if frozen:
            os.kill(before[0], signal.SIGSTOP)
            time.sleep(frozen)
        began = time.monotonic()
        os.kill(before[0], signal.SIGKILL)
        self.kills += 1
        while not set(self.workers()) - set(before):
            if time.monotonic() - began > NEVER_ANSWERED:
                raise AssertionError(f"no worker {NEVER_ANSWERED} s after kill {self.kills}\n"
                                     + self.vm.process.output()[-3000:])
            time.sleep(0.002)

    def upgrade(self):
        """The same program again: what counts here is the hand-over."""
        rigs.run(self.weir, "upgrade", self.vm.point, limit=30)
        self.upgrades += 1

    def kill_holder(self, alone=1.0):
        """SIGKILL of the holder.  The worker serves on; `weir upgrade' brings a new holder."""
        for pid in self.holders():
            os.kill(pid, signal.SIGKILL)
        rigs.wait_for("end of the holder", lambda: not self.holders())
        self.wait(alone)
        self.upgrade()
        rigs.wait_for("new holder and worker", lambda: self.holders() and self.workers())
        self.holders_killed += 1

    def trouble(self, seconds, mean=0.5, upgrade_every=12, most=None, source=random):
        """Kills at random moments for @seconds, and hand-overs; nothing without holder."""
        until, count = time.monotonic() + seconds, 0
        while time.monotonic() < until and (most is None or self.kills < most):
            time.sleep(min(source.expovariate(1 / mean), 5 * mean,
                           max(0.0, until - time.monotonic())))
            if not self.guest.process.running():
                raise AssertionError("the guest ended\n" + self.guest.logs())
            if not self.holders():
                continue
            count += 1
            if count % upgrade_every == 0:
                self.upgrade()
            else:
                self.kill_worker(frozen=source.choice((0, 0, 0, 0, 0.3)))

    def wait(self, seconds):
        """Leave the guest alone for a while; it must live."""
        time.sleep(seconds)
        assert self.guest.process.running(), "the guest ended\n" + self.guest.logs()

    # The end

    def finish(self):
        """Stop the guest and judge everything; the list of what was wrong."""
        self.guest.stop()
        problems = self.guest.faults()
        said = self.guest.said()
        self.stop_servers()
        for disk in self.disks:
            problems += disk.judge(self.vm.datastore, self.root, said)
        return problems + [line for line in self.vm.process.output().splitlines()
                           if weirs.BAD_LOG.search(line) and not HOLDER_GONE.search(line)]

    def stop_servers(self):
        if self.ganesha:
            self.ganesha.end()
        self.vm.stop()
        rigs.wait_for("end of holder and worker", lambda: not self.holders() + self.workers())

    def numbers(self):
        """What this run did, for people."""
        said, longest = self.guest.acknowledged(), self.guest.longest()
        lines = [f"boot {self.guest.boot_seconds:.1f} s, {self.kills} kills, "
                 f"{self.holders_killed} of the holder, {self.upgrades} upgrades, "
                 f"{sum(said.values())} records acknowledged"]
        served = [int(ms) for ms in re.findall(r"is served again after (\d+) ms",
                                               self.vm.process.output())]
        if served:
            lines.append(f"served again after {statistics.median(served):.0f} ms (median), "
                         f"{max(served)} ms at most")
        for disk in self.disks:
            worst, mean = longest.get(disk.name, (0, 0))
            lines.append(f"{disk}: {said[disk.name]} records, fsync mean {mean:.1f} ms, "
                         f"longest {worst:.0f} ms")
        return "\n".join(lines)

    def emergency(self):
        if self.guest.process:
            self.guest.process.send(signal.SIGKILL)
        super().emergency()

    def close(self):
        self.guest.end()
        if self.vm:
            self.end_successors()
        super().close()

    def end_successors(self):
        """A holder that `weir upgrade' started is nobody's child here."""
        if self.vm.process.running():
            return
        rigs.libc.umount2(os.fsencode(self.vm.point), rigs.MNT_DETACH)
        for pid in self.holders() + self.workers():
            os.kill(pid, signal.SIGKILL)
