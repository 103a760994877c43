#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""holder.py - a client that opens one file once, with libnfs, and goes on for ever.

    holder.py URL        nfs://HOST/DIRECTORY/FILE?version=3

Each round writes a block, reads back another and compares it with what it wrote last there.  It
prints "round N" after a round, "refused ..." when the server refused (and tries the same handle
again: it never opens the file a second time), and "WRONG ..." when the bytes are not its own.
"""
import ctypes
import os
import random
import sys
import time

O_RDWR = 2
BLOCK, BLOCKS = 4096, 64
libnfs = ctypes.CDLL("libnfs.so.13")
libnfs.nfs_init_context.restype = ctypes.c_void_p
libnfs.nfs_get_error.restype = ctypes.c_char_p


class Url(ctypes.Structure):
    _fields_ = [("server", ctypes.c_char_p), ("path", ctypes.c_char_p), ("file", ctypes.c_char_p)]


libnfs.nfs_parse_url_full.restype = ctypes.POINTER(Url)


class OpenFile:
    """One libnfs context and one open file in it."""

    def __init__(self, url):
        self.nfs = ctypes.c_void_p(libnfs.nfs_init_context())
        parts = libnfs.nfs_parse_url_full(self.nfs, url.encode())
        if not parts:
            raise OSError("bad URL")
        libnfs.nfs_set_autoreconnect(self.nfs, -1)
        self._check(libnfs.nfs_mount(self.nfs, parts.contents.server, parts.contents.path))
        self.file = ctypes.c_void_p()
        self._check(libnfs.nfs_open(self.nfs, parts.contents.file, O_RDWR,
                                    ctypes.byref(self.file)))

    def _check(self, result):
        if result < 0:
            raise OSError(-result, (libnfs.nfs_get_error(self.nfs) or b"?").decode())
        return result

    def write(self, data, offset):
        done = self._check(libnfs.nfs_pwrite(self.nfs, self.file, ctypes.c_uint64(offset),
                                             ctypes.c_uint64(len(data)), data))
        if done != len(data):
            raise OSError(5, "short write")

    def read(self, size, offset):
        data = ctypes.create_string_buffer(size)
        done = self._check(libnfs.nfs_pread(self.nfs, self.file, ctypes.c_uint64(offset),
                                            ctypes.c_uint64(size), data))
        return data.raw[:done]


def say(text):
    print(f"{time.monotonic():.3f} {text}", flush=True)


def one_round(file, written, number):
    block = random.randrange(BLOCKS)
    data = (b"%08d" % number) * (BLOCK // 8)
    # A refused write may have been done all the same: until it is repeated, the block is unknown.
    written.pop(block, None)
    file.write(data, block * BLOCK)
    written[block] = data
    block = random.choice(list(written))
    if file.read(BLOCK, block * BLOCK) != written[block]:
        say(f"WRONG block {block} in round {number}")
        sys.exit(1)


def main():
    file = OpenFile(sys.argv[1])
    written, number = {}, 0
    random.seed(os.getpid())
    say("open")
    while True:
        try:
            one_round(file, written, number)
            number += 1
            say(f"round {number}")
            time.sleep(0.02)
        except OSError as error:
            say(f"refused {error}")
            time.sleep(0.2)


if __name__ == "__main__":
    main()
