# SPDX-License-Identifier: GPL-2.0-or-later
"""rig.py - a weir mount, a real ganesha exporting it, and the network they are alone in.

One Rig owns a directory, a network namespace, an rpcbind, a ganesha and any number of mounts;
everything it starts is in a process group of its own.  close() ends all of it in any state, within
a time limit, and never touches what it did not start; caretaker.py does it for a run that died.

The mount is weir's, or with WEIR_NFS_STANDIN=PROGRAM a FUSE program with passthrough_ll's
options; then the tests that need handles which outlive the daemon are skipped.
"""
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

LIVE = []                       # the rigs that are open, for the watchdog
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "mount"))
import janitor  # noqa: E402

TOP = os.path.dirname(os.path.dirname(HERE))
WEIR_NFS = os.path.join(TOP, "packaging", "nfs", "weir-nfs")
INSIDE = os.path.join(HERE, "inside.py")
PYTHON = "/usr/bin/python3"
PORT, MOUNT_PORT = 2049, 20048
REREAD = "Reread exports complete"      # ganesha's word after a SIGHUP
CLONE_NEWNET = 0x40000000
MS_BIND, MS_SHARED, MNT_DETACH = 0x1000, 1 << 20, 2
libc = ctypes.CDLL(None, use_errno=True)


def wait_for(what, condition, limit=30):
    """Until condition() is true; what is missing is said when the time is over."""
    until = time.monotonic() + limit
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"no {what} within {limit} s")
        time.sleep(0.05)


def run(*command, check=True, limit=120, **more):
    """A program that must end by itself; its output is in what it raises."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", timeout=limit, check=False, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}")
    return done


def mount_type(path):
    """What is mounted at path, or None; never asks the filesystem itself, which may hang."""
    kind = None
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        for line in table:
            fields = line.split(" ")
            if fields[4] == path:
                kind = fields[fields.index("-") + 1]
    return kind


def device_of(path):
    """The device number mountinfo gives, as os.stat(path).st_dev without asking the daemon."""
    device = None
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        for line in table:
            fields = line.split(" ")
            if fields[4] == path:
                device = os.makedev(*map(int, fields[2].split(":")))
    return device


def running_in_session(sid):
    """Whether a process of the session (field 6 of stat) lives, other than zombies."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % pid, "rb") as file:
                fields = file.read().rsplit(b")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == sid and fields[0] != b"Z":
            return True
    return False


class Process:
    """A program in a process group of its own, its output in a file of the rig's directory."""

    def __init__(self, log, *command, environment=None):
        self.log, self.command = log, command
        with open(log, "ab") as output:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                                          stderr=output, start_new_session=True,
                                          env={**os.environ, **(environment or {})})
        janitor.remember(os.path.dirname(log), self.child.pid)

    def running(self):
        return self.child.poll() is None

    def send(self, number):
        try:
            os.killpg(self.child.pid, number)
        except ProcessLookupError:
            pass

    def end(self, number=signal.SIGTERM, limit=15):
        """Ask, wait, insist.  True when it went by itself."""
        self.send(number)
        try:
            self.child.wait(limit)
            gentle = True
        except subprocess.TimeoutExpired:
            gentle = False
        self.send(signal.SIGKILL)
        self.child.wait(limit)
        wait_for("the end of all its processes", lambda: not running_in_session(self.child.pid))
        return gentle

    def output(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()


class Mount:
    """A datastore and a filesystem in front of it, which can be stopped, killed and made again."""

    def __init__(self, rig, name, options="policy-xattr=trusted"):
        self.rig, self.options = rig, options
        self.datastore = os.path.join(rig.root, name + ".store")
        self.point = os.path.join(rig.root, name)
        self.process = None
        os.mkdir(self.datastore)
        os.mkdir(self.point)

    def command(self):
        if self.rig.standin:
            return [self.rig.standin, "-f", "-o",
                    f"source={self.datastore},cache=auto,allow_other,default_permissions",
                    self.point]
        if os.access(self.rig.weir, os.X_OK):
            return [self.rig.weir, "mount", "-f", "-o", self.options, self.datastore, self.point]
        return [self.rig.holder, "-f", "-o", self.options, self.datastore, self.point]

    def start(self):
        log = os.path.join(self.rig.root, os.path.basename(self.point) + ".log")
        self.process = Process(log, *self.command())
        wait_for(f"mount at {self.point}: see {log}\n{self.process.output()}",
                 lambda: mount_type(self.point) or self._must_run())
        os.stat(self.point)

    def _must_run(self):
        if not self.process.running():
            raise AssertionError(f"{' '.join(self.command())} ended\n{self.process.output()}")

    def stop(self):
        """An orderly end, which must succeed."""
        weir = not self.rig.standin and os.access(self.rig.weir, os.X_OK)
        run(*([self.rig.weir] if weir else []), "umount", self.point, limit=30)
        wait_for("end of the daemon", lambda: not self.process.running())

    def kill(self):
        """SIGKILL, and the dead mount taken away."""
        self.process.end(signal.SIGKILL)
        if mount_type(self.point):
            run("umount", "-l", self.point, limit=30)

    def close(self):
        if self.process and self.process.running():
            libc.umount2(os.fsencode(self.point), MNT_DETACH)
            self.process.end()
        while mount_type(self.point):
            if libc.umount2(os.fsencode(self.point), MNT_DETACH) != 0:
                break

    def path(self, name):
        return os.path.join(self.point, name)


class Rig:
    """See the head of the file.  Made and closed by the fixture in conftest.py."""

    def __init__(self):
        build = os.environ.get("WEIR_BUILD", os.path.join(TOP, "build"))
        self.standin = os.environ.get("WEIR_NFS_STANDIN")
        self.volatile = self.standin and not os.environ.get("WEIR_NFS_STANDIN_KEEPS_HANDLES")
        self.weir = os.path.join(build, "ctl", "weir")
        self.holder = os.path.join(build, "fs", "weir-holder")
        self.root = os.path.realpath(tempfile.mkdtemp(prefix="weir-nfs-", dir="/var/tmp"))
        self.namespace = os.path.basename(self.root)
        self.mounts, self.others = [], []
        self.rpcbind = self.ganesha = self.caretaker = None
        self.log = os.path.join(self.root, "ganesha.log")
        self.conf = os.path.join(self.root, "conf")
        self.pid_file = os.path.join(self.root, "ganesha.pid")

    # The network

    def open(self):
        LIVE.append(self)
        self.caretaker = subprocess.Popen(
            [PYTHON, os.path.join(HERE, "caretaker.py"), self.root], stdin=subprocess.PIPE)
        if libc.mount(os.fsencode(self.root), os.fsencode(self.root), None, MS_BIND, None) or \
                libc.mount(None, os.fsencode(self.root), None, MS_SHARED, None):
            raise OSError(ctypes.get_errno(), "cannot bind the tests' directory")
        for name in ("run", "recovery"):
            os.mkdir(os.path.join(self.root, name))
        run("ip", "netns", "add", self.namespace)
        run("ip", "-n", self.namespace, "link", "set", "lo", "up")
        os.mkdir(os.path.join(self.root, "run", "rpcbind"))
        self.rpcbind = self.inside("rpcbind", "rpcbind", "-f", "-w")
        wait_for("rpcbind", lambda: self.answers(111))

    def inside(self, name, *command):
        return Process(os.path.join(self.root, name + ".out"), PYTHON, INSIDE,
                       f"/run/netns/{self.namespace}", os.path.join(self.root, "run"), self.root,
                       *command)

    def tool(self, *command, **more):
        """A client's program: in the servers' network, with everybody's files."""
        return run("nsenter", f"--net=/run/netns/{self.namespace}", *command, **more)

    def qemu(self, version, *command, **more):
        """qemu-img or qemu-io, made to speak the version."""
        preload = [] if version == 3 else ["env", "LD_PRELOAD=" + self.version4()]
        return self.tool(*preload, *command, **more)

    def version4(self):
        """See version4.c."""
        library = os.path.join(self.root, "version4.so")
        if not os.path.exists(library):
            run("cc", "-D_GNU_SOURCE", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library,
                os.path.join(HERE, "version4.c"), "-lnfs")
        return library

    def tool_process(self, name, *command):
        return Process(os.path.join(self.root, name + ".out"), "nsenter",
                       f"--net=/run/netns/{self.namespace}", *command)

    def connect(self, port, limit=20):
        """A TCP socket in the servers' network, made by a thread that goes there."""
        result = []

        def visit():
            fd = os.open(f"/run/netns/{self.namespace}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                if libc.setns(fd, CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
                result.append(socket.create_connection(("127.0.0.1", port), limit))
            except OSError as error:
                result.append(error)
            finally:
                os.close(fd)

        thread = threading.Thread(target=visit)
        thread.start()
        thread.join()
        if isinstance(result[0], OSError):
            raise result[0]
        return result[0]

    def answers(self, port):
        try:
            self.connect(port, 2).close()
            return True
        except OSError:
            return False

    # The mounts

    def mount(self, name="vm", **more):
        mount = Mount(self, name, **more)
        self.mounts.append(mount)
        mount.start()
        return mount

    def another_mount(self):
        """A filesystem without a device of its own: it takes the lowest free device number."""
        point = os.path.join(self.root, f"other{len(self.others)}")
        os.mkdir(point)
        self.others.append(point)
        run("mount", "-t", "tmpfs", "-o", "size=1M", "weir-test", point)
        return point

    def take_number(self, device):
        """Mount others until one of them, or anybody's, has the number that a mount had."""
        for _ in range(64):
            if device_of(self.another_mount()) == device:
                return
        raise AssertionError(f"nobody got device number {device:#x}")

    # The server

    def weir_nfs(self, *arguments, reload=False, **more):
        ours = ["--directory", self.conf, "--ganesha-conf", ""]
        ours += ["--pid-file", self.pid_file] if reload else ["--no-reload"]
        before = self.ganesha_log().count(REREAD)
        done = run(PYTHON, WEIR_NFS, *ours, *arguments, **more)
        if reload:
            wait_for("reload of ganesha", lambda: self.ganesha_log().count(REREAD) > before)
        return done

    def export(self, mount, *arguments, **more):
        force = ["--force"] if self.standin else []
        return self.weir_nfs("export", mount.point, "--no-nlm", "--recovery",
                             os.path.join(self.root, "recovery"), *force, *arguments, **more)

    def start_ganesha(self):
        self.ganesha = self.inside("ganesha", "ganesha.nfsd", "-F", "-f",
                                   os.path.join(self.conf, "ganesha.conf"), "-L", self.log,
                                   "-N", "NIV_EVENT", "-p", self.pid_file)
        wait_for(f"ganesha: see {self.log}", self._ganesha_serves, 60)

    def _ganesha_serves(self):
        if not self.ganesha.running():
            raise AssertionError(f"ganesha ended\n{self.ganesha.output()}\n{self.ganesha_log()}")
        return self.answers(PORT) and "NFS SERVER INITIALIZED" in self.ganesha_log()[self.mark:]

    mark = 0

    def stop_ganesha(self):
        self.ganesha.end()
        self.mark = len(self.ganesha_log())

    def kill_ganesha(self):
        self.ganesha.end(signal.SIGKILL)
        self.mark = len(self.ganesha_log())

    def restart_ganesha(self):
        self.stop_ganesha()
        self.start_ganesha()

    def ganesha_log(self):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def logs(self):
        """The last lines of everything that ran, for a failure's report."""
        text = []
        for name in sorted(os.listdir(self.root)):
            if name.endswith((".log", ".out")):
                with open(os.path.join(self.root, name), encoding="utf-8", errors="replace") as log:
                    text.append(f"{name}:\n" + "".join(log.readlines()[-25:]))
        return "\n".join(text)

    @staticmethod
    def url(path, version=3):
        """For libnfs's tools; absolute paths of the server.  QEMU's have no version."""
        return f"nfs://127.0.0.1{path}" + (f"?version={version}" if version else "")

    # The end

    def emergency(self):
        """Kill all that runs: whoever waits for a filesystem or a server gets an error at once."""
        for process in [self.ganesha, self.rpcbind] + [mount.process for mount in self.mounts]:
            if process:
                process.send(signal.SIGKILL)

    def close(self):
        if self in LIVE:
            LIVE.remove(self)
        for process in (self.ganesha, self.rpcbind):
            if process:
                process.end(limit=10)
        for mount in self.mounts:
            mount.close()
        for point in self.others:
            libc.umount2(os.fsencode(point), MNT_DETACH)
        run("ip", "netns", "del", self.namespace, check=False)
        libc.umount2(os.fsencode(self.root), MNT_DETACH)
        shutil.rmtree(self.root, ignore_errors=True)
        if self.caretaker:
            self.caretaker.stdin.close()
            self.caretaker.wait(60)
