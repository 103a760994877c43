# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/systemd/services.py - a datastore as weir@NAME.service, and one who uses it."""
import os

CLIENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "client.py")


class Client:
    """client.py, beside systemd; end() asserts that it saw nothing and returns what it says."""

    def __init__(self, sysd, point, report):
        self.report = report
        sysd.sh("exec setsid /usr/bin/python3 '%s' '%s' '%s' </dev/null >/dev/null 2>'%s.err' &"
                % (CLIENT, point, report, report))
        self.sysd = sysd
        self.goes_on()

    def text(self, suffix=""):
        try:
            with open(self.report + suffix, encoding="utf-8") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def goes_on(self, rounds=20):
        """It does that many more rounds."""
        begin = int(self.text(".rounds") or 0)
        self.sysd.wait(lambda: self.text() or int(self.text(".rounds") or 0) >= begin + rounds,
                       "the client: " + self.text(".err"))
        assert not self.text().startswith("error"), self.text()

    def end(self):
        with open(self.report + ".stop", "w", encoding="ascii"):
            pass
        self.sysd.wait(self.text, "the client's report: " + self.text(".err"))
        assert not self.text().startswith("error"), self.text()
        return self.text()


class Service:
    """weir@NAME.service with a datastore and a mount point of its own."""

    def __init__(self, sysd, name, options="", point="mnt", more=""):
        self.sysd, self.name = sysd, name
        self.unit = "weir@%s.service" % name
        self.place = os.path.join(sysd.place, name)
        self.store = os.path.join(self.place, "store")
        self.point = os.path.join(self.place, point)
        os.makedirs(self.store)
        self.configure("DATASTORE=%s\nMOUNTPOINT=%s\nOPTIONS=%s\n%s" % (
            self.store, self.point, options, more))

    def configure(self, text):
        self.sysd.sh("cat >/etc/weir/mounts/%s.conf <<'X'\n%s\nX\nsystemctl daemon-reload" % (
            self.name, text))

    def control(self, verb, check=True):
        return self.sysd.sh("systemctl %s %s" % (verb, self.unit), check)

    def start(self):
        self.control("start")
        assert self.mounted()
        return self

    def show(self, prop):
        return self.sysd.show(self.unit, prop)

    def main(self):
        return int(self.show("MainPID"))

    def processes(self):
        """{name: pid} in the unit's cgroup, numbers as systemd sees them."""
        group = self.show("ControlGroup")
        text = group and self.sysd.sh("for p in $(cat '/sys/fs/cgroup%s/cgroup.procs'); do "
                                      "echo $(cat /proc/$p/comm 2>/dev/null) $p; done" % group)
        pairs = [line.split() for line in text.splitlines()]
        return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}  # one may have ended

    def mounted(self):
        """Its device number as systemd's mount namespace has it, or ''."""
        for line in self.sysd.sh("cat /proc/1/mountinfo").splitlines():
            fields = line.split(" ")
            if fields[4] == self.point.replace(" ", "\\040"):
                return fields[2]
        return ""

    def client(self):
        return Client(self.sysd, self.point, os.path.join(self.place, "client"))

    def worker(self):
        return self.processes().get("weir-worker", 0)

    def active(self):
        return self.show("ActiveState")

    def end(self):
        self.sysd.sh("systemctl stop %s; systemctl reset-failed %s; rm -f /etc/weir/mounts/%s.conf"
                     % (self.unit, self.unit, self.name), check=False)
        self.sysd.sh("umount -l '%s'" % self.point, check=False)
