# SPDX-License-Identifier: GPL-2.0-or-later
"""guest_qemu.py - a small Linux in QEMU that writes to its disks and says what is durable.

The kernel is Debian's (packaging/unpack-kernel), its initial filesystem one static program
(inside/).  TCG, one processor, 256 MiB.  First serial port: the kernel's messages, in the file
`console`; second: what inside/guest.h describes, in the file `said`, and one word in: "stop".
A guest never lives longer than its time limit; end() leaves no process.
"""
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import rig as rigs

HERE = os.path.dirname(os.path.abspath(__file__))
UNPACK = os.path.join(rigs.TOP, "packaging", "unpack-kernel")
KERNEL = os.environ.get("WEIR_GUEST_KERNEL", "/var/cache/weir/guest-kernel")
NEEDED = ("qemu-system-x86_64", "qemu-img", "mke2fs", "e2fsck", "debugfs", "cc")

# What a guest's kernel says when its disk failed it, or was gone for long.
BAD = re.compile(r"I/O error|EXT4-fs (\(\w+\): )?(error|warning)|EXT4-fs error|[Rr]emount|JBD2.*"
                 r"([Ee]rror|[Aa]bort)|[Aa]borting journal|blocked for more than|"
                 r"critical \w+ error|virtio_blk.*(fail|reset|timeout)|BUG:|Oops|"
                 r"Kernel panic|corrupt", re.M)
# A busy host stops QEMU's only processor for seconds.  That is not the disk's doing.
NOT_OURS = re.compile(r"soft lockup|rcu.*stall")


def missing():
    """Why there can be no guest here; None when there can."""
    absent = [name for name in NEEDED if not shutil.which(name)]
    if absent:
        return "needs " + ", ".join(absent)
    if os.path.exists(os.path.join(KERNEL, "modules", "order")):
        return None
    done = subprocess.run([UNPACK, KERNEL], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=120, check=False)
    return f"no kernel for the guest: {done.stdout.strip()}" if done.returncode else None


def cpio_entry(number, name, mode, data=b""):
    """One file of an archive that the kernel unpacks (cpio's "newc")."""
    path = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + path
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def content(path):
    if path is None:
        return b""
    with open(path, "rb") as file:
        return file.read()


def initial_filesystem(path):
    """Build the guest's only program and put it, with the modules, where the kernel finds it."""
    program, inside = path + ".init", os.path.join(HERE, "inside")
    rigs.run("cc", "-std=c17", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", "-static",
             "-o", program, os.path.join(inside, "init.c"), os.path.join(inside, "writer.c"))
    modules = os.path.join(KERNEL, "modules")
    entries = [(name, 0o040755, None) for name in ("dev", "proc", "sys", "modules")]
    entries += [("modules/" + name, 0o100644, os.path.join(modules, name))
                for name in sorted(os.listdir(modules))]
    entries.append(("init", 0o100755, program))
    with open(path, "wb") as archive:
        for number, (name, mode, source) in enumerate(entries, 1):
            archive.write(cpio_entry(number, name, mode, content(source)))
        archive.write(cpio_entry(0, "TRAILER!!!", 0))
    os.unlink(program)


class Guest:
    """One boot.  @disks: what is attached, in the order vda, vdb...; see guest_disks.Disk."""

    def __init__(self, directory, disks, limit, start):
        """@start(name, command...) starts a process and remembers it, as rig.tool_process."""
        self.disks, self.limit, self.start_process = disks, limit, start
        self.files = {name: os.path.join(directory, "guest." + name)
                      for name in ("console", "said", "socket", "initramfs")}
        self.process = self.watchdog = None
        self.began = self.boot_seconds = 0.0

    def command(self):
        drives = []
        for disk in self.disks:
            drives += ["-drive", f"if=none,id={disk.name},werror=report,rerror=report,"
                       + disk.drive(), "-device", f"virtio-blk-pci,drive={disk.name}"]
        disks = ",".join(f"{disk.name}:{disk.journal}" for disk in self.disks)
        return ["qemu-system-x86_64", "-M", "pc", "-accel", "tcg", "-smp", "1", "-m", "256",
                "-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none",
                "-no-reboot", "-kernel", os.path.join(KERNEL, "vmlinuz"), "-initrd",
                self.files["initramfs"], "-append", "console=ttyS0 panic=-1 mitigations=off "
                f"no_timer_check tsc=unstable weir.disks={disks}",
                "-chardev", f"file,id=console,path={self.files['console']}",
                "-serial", "chardev:console", "-chardev",
                f"socket,id=said,path={self.files['socket']},server=on,wait=off,"
                f"logfile={self.files['said']}", "-serial", "chardev:said", *drives]

    def boot(self, limit=90):
        """Until all writers are at work."""
        initial_filesystem(self.files["initramfs"])
        self.began = time.monotonic()
        self.process = self.start_process("qemu", *self.command())
        self.watchdog = threading.Timer(self.limit, self.process.send, [signal.SIGKILL])
        self.watchdog.daemon = True
        self.watchdog.start()
        self.wait_for(lambda: self.said().count(" mounted ") >= len(self.disks), "writers", limit)
        self.boot_seconds = time.monotonic() - self.began

    def wait_for(self, condition, what, limit):
        until = time.monotonic() + limit
        while not condition():
            if not self.process.running() or " ! " in self.said():
                raise AssertionError(f"it failed before {what}\n{self.logs()}")
            if time.monotonic() > until:
                raise AssertionError(f"no {what} within {limit} s\n{self.logs()}")
            time.sleep(0.1)

    def read(self, name):
        try:
            with open(self.files[name], encoding="utf-8", errors="replace", newline="") as file:
                return file.read().replace("\r", "")
        except FileNotFoundError:
            return ""

    def said(self):
        return self.read("said")

    def logs(self):
        return (f"QEMU: {self.process.output()[-2000:]}\nconsole:\n{self.read('console')[-3000:]}\n"
                f"said:\n{self.said()[-1000:]}")

    def acknowledged(self):
        """How many records each disk has said so far."""
        said = self.said()
        return {one.name: len(re.findall(rf"^{one.name} a ", said, re.M)) for one in self.disks}

    def stop(self, limit=60):
        """Writers end, read everything back and unmount; the machine goes off by itself."""
        with socket.socket(socket.AF_UNIX) as to_guest:
            to_guest.settimeout(1)
            to_guest.connect(self.files["socket"])
            to_guest.sendall(b"stop\n")
            until = time.monotonic() + limit
            while self.process.running():
                if time.monotonic() > until:
                    raise AssertionError(f"the guest does not stop in {limit} s\n{self.logs()}")
                try:
                    if not to_guest.recv(65536):
                        time.sleep(0.05)
                except socket.timeout:
                    pass
        assert self.process.child.returncode == 0, self.logs()

    def end(self):
        if self.process:
            self.watchdog.cancel()
            self.process.end(signal.SIGTERM, 5)

    def faults(self):
        """What the guest saw that it should not have: lines of its kernel and of its writers."""
        said = self.said()
        found = [line for line in self.read("console").splitlines()
                 if BAD.search(line) and not NOT_OURS.search(line)]
        found += re.findall(r"^\S+ ! .*$", said, re.M)
        if self.process and not self.process.running() and "init bye 0" not in said:
            found.append("the guest did not end well: " + said[-300:])
        return found

    def longest(self):
        """The longest fsync that each disk's writer saw, and their mean, in ms."""
        rows = re.findall(r"^(\w+) end (\d+) .*worst_us (\d+) total_us (\d+)", self.said(), re.M)
        return {name: (int(worst) / 1000, int(total) / 1000 / max(1, int(count)))
                for name, count, worst, total in rows}
