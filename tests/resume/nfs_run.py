# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/resume/nfs_run.py - a run (run.py) whose clients come over the network.

nfs-ganesha serves the mount in a network namespace of its own (tests/nfs/rig.py); names_load.py and
nfs_data.py reach it through libnfs, NFSv3 for data and both versions for names; a few local
processes work beside them.  The worker is killed below the server.
"""
import os
import random
import subprocess
import sys

import run as runs
import victim as victims

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "nfs"))
import rig as rigs      # noqa: E402


class Served(victims.Victim):
    """A mount that the rig starts; here it is only found and killed."""

    def __init__(self, rig, mount):     # pylint: disable=super-init-not-called
        self.rig, self.mount = rig, mount
        self.point, self.store = mount.point, mount.datastore
        self.kind = "weir" if mount.process else "plain"
        self.directory = rig.root
        self.log_file = mount.point + ".log"
        self.holder = mount.process and mount.process.child
        self.expected_log = list(victims.EARNED)

    def start(self):
        return self                     # the rig did it

    def finish(self):
        problems = []
        if self.kind != "weir":
            return problems
        try:
            self.mount.stop()
        except (AssertionError, TimeoutError, subprocess.SubprocessError) as error:
            problems.append("the mount's end: %s" % error)
        return problems + self.bad_lines()

    def close(self):
        return []


class NfsRun(runs.Run):
    """See the head of the file."""

    def __init__(self, directory, settings):
        settings.open_files = 0
        super().__init__(directory, settings)
        self.victim.close()
        self.rig = rigs.Rig()

    def go(self):
        try:
            self.rig.open()
            options = "policy-xattr=trusted,passthrough=%s,policies=%s" % (
                self.settings.passthrough, self.policies)
            if self.settings.kind == "weir":
                self.rig.mount("vm", options=options)
            else:
                self.rig.mounts.append(rigs.Mount(self.rig, "vm"))
                rigs.run("mount", "--bind", self.rig.mounts[0].datastore, self.rig.mounts[0].point)
            self.victim = Served(self.rig, self.rig.mounts[0])
            return super().go()
        finally:
            if self.result.faults:
                runs.keep_logs(self.rig.root, "/var/tmp/weir-soak-%d-rig" % self.settings.seed)
            self.rig.close()

    def attach(self, path, policy):
        if policy and self.settings.kind == "weir":
            os.setxattr(path, "trusted.weir.policy", policy.encode())

    def start_loads(self):
        s, draw = self.settings, random.Random(self.settings.seed)
        self.limit = "%d" % (s.seconds + 300)
        self.rig.export(self.rig.mounts[0], *(["--force"] if s.kind != "weir" else []))
        self.rig.start_ganesha()
        for i in range(s.names):
            self.client("nfs-names-%d" % i, "names_load.py", self.side(4 if i % 2 else 3, "names"),
                        str(draw.randrange(1 << 30)), self.limit, "--behind", self.behind("names"))
        for i in range(s.data):
            for name, policy in (("free", None), ("watched", "observe")):
                path = os.path.join(self.victim.point, "open", "%s%d" % (name, i))
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
                self.attach(path, policy)
                self.client("nfs-data-%s%d" % (name, i), "nfs_data.py", self.side(3, "open"),
                            "%s%d" % (name, i), str(draw.randrange(1 << 30)), self.limit)
        self.start("names-local", runs.PYTHON, os.path.join(runs.HERE, "names_load.py"),
                   os.path.join(self.victim.point, "names"), str(draw.randrange(1 << 30)),
                   self.limit, "--behind", self.behind("names"))

    def side(self, version, below):
        return "nfs:%d:127.0.0.1:%s:%s" % (version, self.victim.point, below)

    def client(self, name, script, *arguments):
        self.start(name, "nsenter", "--net=/run/netns/" + self.rig.namespace, runs.PYTHON,
                   os.path.join(runs.HERE, script), *arguments)

    def start_probes(self, point):
        pass

    def end_loads(self):
        super().end_loads()
        self.rig.stop_ganesha()
