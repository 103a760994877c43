# SPDX-License-Identifier: GPL-2.0-or-later
"""guest_rig.py - a weir mount, ganesha exporting it, a guest on both, and the killer of workers.

As tests/nfs/rig.py, of which it is one: everything it starts is remembered and ended, in any
state.  Workers are killed only where a holder starts another one.
"""
import os
import random
import signal
import time

import rig as rigs
from guest_disks import Disk
from guest_qemu import Guest

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


def children(pid):
    """Living children of a process as {pid: name}."""
    found = {}
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            numbers = file.read().split()
    except OSError:
        return {}
    for number in numbers:
        try:
            with open(f"/proc/{number}/comm", encoding="utf-8") as file:
                found[int(number)] = file.read().strip()
        except OSError:
            pass
    return found


class GuestRig(rigs.Rig):
    """Use: open(), prepare(), guest.boot(), kill... , finish() returns what was wrong; close()."""

    def __init__(self, disks=None, limit=150):
        super().__init__()
        self.disks = disks or standard_disks()
        self.guest = Guest(self.root, self.disks, limit, self.tool_process)
        self.kills, self.pauses, self.upgrades = 0, [], []

    def prepare(self):
        """Mount, export, make the disks, attach their policies."""
        policies = os.path.join(self.root, "policies")
        os.mkdir(policies)
        for name, text in POLICIES.items():
            with open(os.path.join(policies, name + ".yaml"), "w", encoding="ascii") as file:
                file.write(f"weir: 1\nname: {name}\nversion: 1\ndescription: For tests.\n{text}")
        self.vm = self.mount("vm", options="policy-xattr=trusted,policies=" + policies)
        if any(disk.nfs for disk in self.disks):
            self.export(self.vm)
            self.start_ganesha()
        for disk in self.disks:
            disk.make(self.vm.point, self.root)
            if disk.policy:
                rigs.run(self.weir, "policy", "set", disk.policy, disk.path)

    # The killer

    def workers(self):
        """The worker's pid in a list; empty while there is none, or when nobody restarts it."""
        return [pid for pid, name in children(self.vm.process.child.pid).items()
                if name == "weir-worker"]

    def has_holder(self):
        """A worker that is the mount's first process itself is nobody's to start again."""
        return bool(self.workers())

    def kill_worker(self):
        """SIGKILL, and wait until the next one is there."""
        before = self.workers()
        if not before:
            return
        began = time.monotonic()
        os.kill(before[0], signal.SIGKILL)
        self.kills += 1
        while not set(self.workers()) - set(before):
            if time.monotonic() - began > NEVER_ANSWERED:
                raise AssertionError(f"no worker {NEVER_ANSWERED} s after kill {self.kills}\n"
                                     + self.vm.process.output()[-3000:])
            time.sleep(0.002)
        self.pauses.append(time.monotonic() - began)

    def upgrade(self):
        """The same program again: what counts here is the hand-over."""
        begin = time.monotonic()
        rigs.run(self.weir, "upgrade", self.vm.point, limit=30)
        self.upgrades.append(time.monotonic() - begin)

    def can_upgrade(self):
        return self.has_holder() and "upgrade" in rigs.run(self.weir, "--help").stdout

    def trouble(self, seconds, mean=0.5, upgrade_every=12, most=None, source=random):
        """Kills at random moments for @seconds, and hand-overs; nothing without holder."""
        until, count = time.monotonic() + seconds, 0
        upgrades = upgrade_every and self.can_upgrade()
        while time.monotonic() < until and (most is None or self.kills < most):
            time.sleep(min(source.expovariate(1 / mean), 5 * mean,
                           max(0.0, until - time.monotonic())))
            if not self.guest.process.running():
                raise AssertionError("the guest ended\n" + self.guest.logs())
            if not self.has_holder():
                continue
            count += 1
            if upgrades and count % upgrade_every == 0:
                self.upgrade()
            else:
                self.kill_worker()

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
        return problems

    def stop_servers(self):
        if self.ganesha:
            self.ganesha.end()
        self.vm.stop()

    def numbers(self):
        """What this run did, for people."""
        said, longest = self.guest.acknowledged(), self.guest.longest()
        lines = [f"boot {self.guest.boot_seconds:.1f} s, {self.kills} kills, "
                 f"{len(self.upgrades)} upgrades, {sum(said.values())} records acknowledged"]
        if self.pauses:
            lines.append(f"next worker started after {1000 * max(self.pauses):.0f} ms at most")
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
        super().close()
