# SPDX-License-Identifier: GPL-2.0-or-later
"""guest_disks.py - the guest's disks: made before it boots, judged after it went.

A disk is judged by its image alone, converted to raw: e2fsck must find nothing, and every record
and name that the guest said (inside/guest.h) must be there, and no name that it said was removed.
"""
import os
import re
import shutil
import struct
import zlib

import rig as rigs

RECORD_SIZE, RING_SLOTS = 2048, 2048        # as in inside/guest.h
BULK_RECORDS, BULK_FILES = 128, 4
MAGIC = b"weirrec1"


class Disk:
    """One disk of the guest, an image in a directory of the mount."""

    def __init__(self, name, journal, form="raw", options="", drive="cache=none,aio=threads",
                 policy=None, nfs=False, rules=None):
        """@rules: a file of faults for QEMU's blkdebug."""
        self.name, self.journal, self.form, self.options = name, journal, form, options
        self.how, self.policy, self.nfs = drive, policy, nfs
        self.rules = rules
        self.file = f"{name}/{name}.{form}"
        self.path = None                    # on the mount, once made

    def __str__(self):
        words = [self.form, self.options.replace("subformat=", ""), "data=" + self.journal,
                 "nfs" if self.nfs else self.how, self.policy or "no policy"]
        return f"{self.name}: " + ", ".join(filter(None, words))

    def make(self, mount, scratch, megabytes=48):
        """An ext4 with a small journal, so that it is written around many times."""
        raw = os.path.join(scratch, self.name + ".new")
        with open(raw, "wb") as file:
            file.truncate(megabytes << 20)
        rigs.run("mke2fs", "-q", "-t", "ext4", "-J", "size=4", "-E", "lazy_itable_init=0", raw)
        self.path = os.path.join(mount, self.file)
        os.mkdir(os.path.dirname(self.path))
        rigs.run("qemu-img", "convert", "-f", "raw", "-O", self.form,
                 *(["-o", self.options] if self.options else []), raw, self.path)
        os.unlink(raw)

    def drive(self):
        """QEMU's words for it."""
        place = f"nfs://127.0.0.1{self.path}" if self.nfs else self.path
        if self.rules:
            place = f"blkdebug:{self.rules}:{place}"
        return f"file={place},format={self.form},{self.how}"

    def judge(self, store, scratch, said):
        """Compare the image below @store with what the guest said; returns what is wrong."""
        image = os.path.join(store, self.file)
        raw = os.path.join(scratch, self.name + ".raw")
        out = os.path.join(scratch, self.name + ".files")
        problems = []
        if self.form != "raw":
            done = rigs.run("qemu-img", "check", "-f", self.form, image, check=False)
            if done.returncode:
                problems.append(f"{self.name}: qemu-img check: {done.stdout}")
        rigs.run("qemu-img", "convert", "-f", self.form, "-O", "raw", image, raw)
        done = rigs.run("e2fsck", "-fn", raw, check=False)
        if done.returncode:
            problems.append(f"{self.name}: e2fsck: {done.stdout}")
        os.mkdir(out)
        bulks = " ".join(f"/bulk{n}" for n in range(BULK_FILES))
        rigs.run("debugfs", "-R", f"rdump /ring /names {bulks} {out}", raw)
        problems += Said(self.name, said).compare(out)
        shutil.rmtree(out)
        os.unlink(raw)
        return problems


def content(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


class Said:
    """What the guest said of one disk."""

    def __init__(self, name, text):
        self.name = name
        self.records = self.numbers(text, "a")
        self.bulks = self.numbers(text, "b")
        self.names = set(self.numbers(text, "n")) - set(self.numbers(text, "u"))

    def numbers(self, text, letter):
        return [int(n) for n in re.findall(rf"^{self.name} {letter} (\d+)$", text, re.M)]

    def compare(self, directory):
        problems = []
        if not self.records or self.records != list(range(len(self.records))):
            problems.append("the guest's numbers have gaps, or there are none")
        ring = content(os.path.join(directory, "ring"))
        for number in self.records[-RING_SLOTS:]:
            place = number % RING_SLOTS * RECORD_SIZE
            problems += self.look(f"record {number}", number, ring[place:place + RECORD_SIZE])
        for bulk in self.bulks[-BULK_FILES:]:
            problems += self.look_bulk(bulk, os.path.join(directory, f"bulk{bulk % BULK_FILES}"))
        return [f"{self.name}: {problem}"
                for problem in (problems + self.compare_names(directory))[:20]]

    def compare_names(self, directory):
        problems = []
        there = set(os.listdir(os.path.join(directory, "names")))
        wanted = {str(number) for number in self.names}
        for name in wanted - there:
            problems.append(f"names/{name} was acknowledged and is not there")
        for name in there - wanted:
            problems.append(f"names/{name} is there and should not be")
        for name in wanted & there:
            data = content(os.path.join(directory, "names", name))
            problems += self.look("names/" + name, int(name), data)
        return problems

    def look_bulk(self, bulk, path):
        data, problems = content(path), []
        for n in range(BULK_RECORDS):
            problems += self.look(f"bulk {bulk}, record {n}", bulk * BULK_RECORDS + n,
                                  data[n * RECORD_SIZE:(n + 1) * RECORD_SIZE])
        return problems

    def look(self, what, number, data):
        """[] when @data is the record with that number."""
        if len(data) != RECORD_SIZE:
            return [f"{what}: {len(data)} bytes"]
        magic, disk, found, crc = struct.unpack_from("<8s8sQI", data)
        if magic != MAGIC or disk.rstrip(b"\0").decode("latin-1") != self.name:
            return [f"{what}: no record of this disk is there"]
        if found != number:
            return [f"{what}: record {found} is there"]
        if crc != zlib.crc32(data[:24] + bytes(4) + data[28:]):
            return [f"{what}: checksum"]
        return []
