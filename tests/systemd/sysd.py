# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/systemd/sysd.py - a real systemd, as PID 1 of namespaces of its own.

The machine's PID 1 need not be systemd.  What meson installs lies at its prefix in the private
mount namespace, /etc is an overlay and /run empty; of all units there are only ours and a few
empty targets.  Other mounts of the machine are let go there, so nobody finds them busy.

Needs root, a writable cgroup2 hierarchy, and overlayfs: why_not() says what is missing.
"""
import os
import signal
import subprocess
import tempfile
import time

import weir as weirs

SYSTEMD = "/lib/systemd/systemd"
PREFIX = "/usr/local"
TARGETS = ("sysinit.target", "basic.target", "shutdown.target", "umount.target", "local-fs.target",
           "multi-user.target", "emergency.target", "rescue.target", "final.target",
           "systemd-exit.service")

BOOT = r"""
set -e
mount --make-rprivate /
for point in $(awk '$5 ~ "^/(tmp|var/tmp|run|mnt)/" { print $5 }' /proc/self/mountinfo | sort -r); do
    umount -l "$point" || true
done
mount -t tmpfs tmpfs /run
mkdir /run/systemd
mount -t proc proc /proc
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs "$PLACE/overlay"
mkdir "$PLACE/overlay/upper" "$PLACE/overlay/work"
mount -t overlay -o lowerdir=/etc,upperdir="$PLACE/overlay/upper",workdir="$PLACE/overlay/work" overlay /etc
mount --bind "$PLACE/root$PREFIX" "$PREFIX"
mkdir -p /etc/weir/mounts
exec env -i PATH="$PATH" container=weir-test SYSTEMD_PROC_CMDLINE= \
    SYSTEMD_UNIT_PATH="/etc/systemd/system:/run/systemd/generator:$PREFIX/lib/systemd/system:$PLACE/units" \
    SYSTEMD_GENERATOR_PATH="$PREFIX/lib/systemd/system-generators" \
    "$SYSTEMD" --system --unit=multi-user.target --show-status=0 --log-target=console --log-level=info
"""


def why_not():
    """None, or the reason why this machine cannot run it."""
    if os.geteuid() != 0:
        return "only root can"
    if not os.path.exists(SYSTEMD):
        return "systemd is not installed"
    with open("/proc/filesystems", encoding="ascii") as f:
        if "\toverlay\n" not in f.read():
            return "no overlayfs"
    return None if cgroups() else "no writable cgroup2 hierarchy"


def cgroups():
    """Where the cgroup2 hierarchy is: alone, or beside those of version 1."""
    for path in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        if os.access(path + "/cgroup.procs", os.W_OK) and \
           os.path.exists(path + "/cgroup.controllers"):
            return path
    return None


class Sysd:
    """sh(...) runs a command beside systemd; what it prints is returned."""

    def __init__(self, directory):
        self.place = os.path.join(directory, "sysd")
        self.cgroup = tempfile.mkdtemp(prefix="weir-test-", dir=cgroups())
        self.process = None
        self.services = 0               # made so far: each has a name of its own
        for name in (".", "overlay", "units"):
            os.makedirs(os.path.join(self.place, name), exist_ok=True)
        subprocess.run(["meson", "install", "-C", weirs.BUILD, "--no-rebuild", "--quiet",
                        "--destdir", self.place + "/root"], check=True, timeout=60,
                       stdout=subprocess.DEVNULL)
        for name in TARGETS:
            self.unit(name, "[Unit]\nDescription=%s\nDefaultDependencies=no\n%s" % (
                name, "After=sysinit.target\nRequires=sysinit.target\n"
                if name == "basic.target" else ""))
        for name in ("poweroff.target", "systemd-poweroff.service"):
            os.symlink("/lib/systemd/system/" + name, os.path.join(self.place, "units", name))

    def unit(self, name, text):
        with open(os.path.join(self.place, "units", name), "w", encoding="utf-8") as f:
            f.write(text)

    def boot(self):
        line = "echo $$ >%s/cgroup.procs; exec unshare --fork --kill-child --pid --mount " \
            "--uts --ipc --cgroup sh -c \"$BOOT\"" % self.cgroup
        self.process = subprocess.Popen(
            ["sh", "-c", line], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "BOOT": BOOT, "PLACE": self.place,
                 "PREFIX": PREFIX, "SYSTEMD": SYSTEMD})
        self.wait(lambda: self.leader() and self.sh("systemctl is-active multi-user.target",
                                                    check=False) == "active\n", "systemd is up")

    def leader(self):
        """systemd's pid, as we see it; 0: none."""
        path = "/proc/%d/task/%d/children" % (self.process.pid, self.process.pid)
        try:
            with open(path, encoding="ascii") as f:
                children = f.read().split()
            with open("/proc/%s/comm" % children[0], encoding="ascii") as f:
                return int(children[0]) if f.read() == "systemd\n" else 0
        except (OSError, IndexError):
            return 0

    def line(self, script):
        return ["nsenter", "-t", str(self.leader()), "-a", "sh", "-c", script]

    def sh(self, script, check=True, seconds=150):
        done = subprocess.run(self.line(script), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False, timeout=seconds)
        text = done.stdout.decode("utf-8", "replace")
        assert not check or done.returncode == 0, (script, done.returncode, text)
        return text

    def show(self, unit, prop):
        return self.sh("systemctl show -P %s %s" % (prop, unit)).strip()

    @staticmethod
    def wait(condition, what, seconds=30):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "timed out: " + what
            time.sleep(0.02)

    def poweroff(self):
        """As the machine's: everything is stopped, in order.  Returns when PID 1 is gone."""
        self.sh("systemctl poweroff")
        self.process.wait(120)

    def end(self):
        """PID 1 goes, and with it everything in its namespaces."""
        if self.process:
            leader = self.leader()
            if leader:
                os.kill(leader, signal.SIGKILL)
            else:
                self.process.kill()
            self.process.wait(30)
        self.remove_group(self.cgroup)

    def remove_group(self, path):
        if not os.path.isdir(path):
            return
        for name in os.listdir(path):
            if os.path.isdir(os.path.join(path, name)):
                self.remove_group(os.path.join(path, name))
        self.wait(lambda: rmdir(path), "the end of " + path)


def rmdir(path):
    try:
        os.rmdir(path)
    except FileNotFoundError:
        pass
    except OSError:
        return False
    return True
