# SPDX-License-Identifier: GPL-2.0-or-later
"""nfsrpc.py - an NFS client that is only a handle and a socket.

The tools hide the file handle behind names, caches and recovery.  These tests are about the handle:
they keep its bytes over restarts and ask the server for exactly that one.  So this speaks ONC RPC
with AUTH_SYS, and of NFSv3 and v4.0 what the tests need, v4 with the anonymous stateid.

Every refusal of the server is an NfsError with the protocol's number; a lost connection is made
again once.  Sockets are made by @connect, which knows the network the server is in.
"""
import os
import struct
import time

ESTALE = 70
EXIST = 17
NOENT = 2
UNSTABLE, DATA_SYNC, FILE_SYNC = 0, 1, 2
UNCHECKED, GUARDED, EXCLUSIVE = 0, 1, 2
V4_GRACE, V4_DELAY, V4_FHEXPIRED = 10013, 10008, 10014


class NfsError(Exception):
    """The server answered with a status other than 0."""

    def __init__(self, what, status):
        super().__init__(f"{what}: status {status}")
        self.status = status


class Reader:
    """XDR, from the bytes of a reply."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def u32(self):
        self.at += 4
        return struct.unpack_from(">I", self.data, self.at - 4)[0]

    def u64(self):
        self.at += 8
        return struct.unpack_from(">Q", self.data, self.at - 8)[0]

    def fixed(self, size):
        start = self.at
        self.at += (size + 3) & ~3
        return self.data[start:start + size]

    def opaque(self):
        return self.fixed(self.u32())

    def skip_post_attributes(self):
        return self.attributes() if self.u32() else None

    def skip_wcc(self):
        if self.u32():
            self.fixed(24)
        return self.skip_post_attributes()

    def attributes(self):
        names = ("type", "mode", "nlink", "uid", "gid")
        found = {name: self.u32() for name in names}
        found["size"], found["used"] = self.u64(), self.u64()
        self.u64()
        found["fsid"], found["fileid"] = self.u64(), self.u64()
        for name in ("atime", "mtime", "ctime"):
            found[name] = (self.u32(), self.u32())
        return found


def u32(value):
    return struct.pack(">I", value)


def u64(value):
    return struct.pack(">Q", value)


def opaque(data):
    data = os.fsencode(data) if isinstance(data, str) else data
    return u32(len(data)) + data + bytes(-len(data) % 4)


class Rpc:
    """One connection to one program of the server."""

    def __init__(self, connect, port, program, version, uid=0):
        self.connect, self.port, self.limit = connect, port, 20
        self.program, self.version, self.uid = program, version, uid
        self.xid, self.sock = int.from_bytes(os.urandom(3), "big") << 8, None

    def close(self):
        if self.sock:
            self.sock.close()
        self.sock = None

    def _receive(self, size):
        data = b""
        while len(data) < size:
            piece = self.sock.recv(size - len(data))
            if not piece:
                raise ConnectionError("the server closed the connection")
            data += piece
        return data

    def _record(self):
        data, last = b"", False
        while not last:
            head = struct.unpack(">I", self._receive(4))[0]
            last = bool(head & 0x80000000)
            data += self._receive(head & 0x7fffffff)
        return data

    def _exchange(self, message):
        if self.sock is None:
            self.sock = self.connect(self.port, self.limit)
        self.sock.sendall(u32(0x80000000 | len(message)) + message)
        return Reader(self._record())

    def call(self, procedure, body=b""):
        self.xid += 1
        credentials = u32(0) + opaque("weir-test") + u32(self.uid) + u32(self.uid) + u32(0)
        message = b"".join((u32(self.xid), u32(0), u32(2), u32(self.program), u32(self.version),
                            u32(procedure), u32(1), opaque(credentials), u32(0), u32(0), body))
        try:
            reply = self._exchange(message)
        except ConnectionError:
            self.close()
            reply = self._exchange(message)
        if reply.u32() != self.xid or reply.u32() != 1 or reply.u32() != 0:
            raise NfsError("rpc", -1)
        reply.u32()
        reply.opaque()
        if reply.u32() != 0:
            raise NfsError("rpc", -2)
        return reply


class Client3:
    """NFSv3.  Handles are bytes; names are given relative to a directory's handle."""

    def __init__(self, connect, port, mount_port, uid=0):
        self.nfs = Rpc(connect, port, 100003, 3, uid)
        self.mounts = Rpc(connect, mount_port, 100005, 3)

    def close(self):
        self.nfs.close()
        self.mounts.close()

    def mount(self, path):
        reply = self.mounts.call(1, opaque(path))
        self._check("mount", reply)
        return reply.opaque()

    @staticmethod
    def _check(what, reply):
        status = reply.u32()
        if status:
            raise NfsError(what, status)

    def _call(self, what, procedure, body):
        reply = self.nfs.call(procedure, body)
        self._check(what, reply)
        return reply

    def getattr(self, handle):
        return self._call("getattr", 1, opaque(handle)).attributes()

    def lookup(self, directory, name):
        return self._call("lookup", 3, opaque(directory) + opaque(name)).opaque()

    def walk(self, root, path):
        for name in path.split("/"):
            root = self.lookup(root, name)
        return root

    def read(self, handle, size, offset):
        reply = self._call("read", 6, opaque(handle) + u64(offset) + u32(size))
        reply.skip_post_attributes()
        reply.fixed(8)
        return reply.opaque()

    def write(self, handle, data, offset, stable=FILE_SYNC):
        body = opaque(handle) + u64(offset) + u32(len(data)) + u32(stable) + opaque(data)
        reply = self._call("write", 7, body)
        reply.skip_wcc()
        return reply.u32()

    def create(self, directory, name, how=GUARDED, verifier=b""):
        attributes = u32(1) + u32(0o644) + u32(0) * 5
        body = opaque(directory) + opaque(name) + u32(how)
        body += verifier if how == EXCLUSIVE else attributes
        reply = self._call("create", 8, body)
        if not reply.u32():
            return self.lookup(directory, name)
        return reply.opaque()

    def mkdir(self, directory, name):
        body = opaque(directory) + opaque(name) + u32(1) + u32(0o755) + u32(0) * 5
        reply = self._call("mkdir", 9, body)
        return reply.opaque() if reply.u32() else self.lookup(directory, name)

    def remove(self, directory, name):
        self._call("remove", 12, opaque(directory) + opaque(name))

    def rename(self, directory, name, to_directory, to_name):
        self._call("rename", 14, opaque(directory) + opaque(name) + opaque(to_directory)
                   + opaque(to_name))

    def commit(self, handle):
        self._call("commit", 21, opaque(handle) + u64(0) + u32(0))


class Client4:
    """NFSv4.0 without state: lookups, and input and output under the anonymous stateid."""

    PUTFH, GETFH, LOOKUP, PUTROOTFH, READ, WRITE, REMOVE, RENAME, SAVEFH = \
        22, 10, 15, 24, 25, 38, 28, 29, 32

    def __init__(self, connect, port, patience=30):
        self.nfs = Rpc(connect, port, 100003, 4)
        self.patience = patience

    def close(self):
        self.nfs.close()

    def _compound(self, what, operations):
        body = opaque(b"weir") + u32(0) + u32(len(operations)) + b"".join(operations)
        until = time.monotonic() + self.patience
        while True:
            reply = self.nfs.call(1, body)
            status = reply.u32()
            if status not in (V4_GRACE, V4_DELAY) or time.monotonic() > until:
                break
            time.sleep(0.5)
        if status:
            raise NfsError(what, status)
        reply.opaque()
        reply.u32()
        return reply

    def walk(self, path):
        names = [name for name in path.split("/") if name]
        steps = [u32(self.PUTROOTFH)] + [u32(self.LOOKUP) + opaque(name) for name in names]
        reply = self._compound("walk", steps + [u32(self.GETFH)])
        reply.fixed(8 * len(steps) + 8)
        return reply.opaque()

    def read(self, handle, size, offset):
        reply = self._compound("read", [u32(self.PUTFH) + opaque(handle),
                                        u32(self.READ) + bytes(16) + u64(offset) + u32(size)])
        reply.fixed(8 + 8 + 4)
        return reply.opaque()

    def write(self, handle, data, offset, stable=FILE_SYNC):
        self._compound("write", [u32(self.PUTFH) + opaque(handle), u32(self.WRITE) + bytes(16)
                                 + u64(offset) + u32(stable) + opaque(data)])

    def commit(self, handle):
        self._compound("commit", [u32(self.PUTFH) + opaque(handle), u32(5) + u64(0) + u32(0)])

    def remove(self, directory, name):
        self._compound("remove", [u32(self.PUTFH) + opaque(directory),
                                  u32(self.REMOVE) + opaque(name)])

    def rename(self, directory, name, to_directory, to_name):
        self._compound("rename", [u32(self.PUTFH) + opaque(directory), u32(self.SAVEFH),
                                  u32(self.PUTFH) + opaque(to_directory),
                                  u32(self.RENAME) + opaque(name) + opaque(to_name)])

    def identify(self):
        """SETCLIENTID and its confirmation; what OPEN needs."""
        name = b"weir-test-" + os.urandom(8).hex().encode()
        reply = self._compound("setclientid", [
            u32(35) + os.urandom(8) + opaque(name) + u32(0x40000000) + opaque(b"tcp")
            + opaque(b"0.0.0.0.0.0") + u32(0)])
        reply.fixed(8)
        client, verifier = reply.u64(), reply.fixed(8)
        self._compound("confirm", [u32(36) + u64(client) + verifier])
        return client

    def create_exclusive(self, directory, name, verifier):
        """OPEN with EXCLUSIVE4, by an owner of its own; the new file's handle."""
        client = self.identify()
        reply = self._compound("open", [
            u32(self.PUTFH) + opaque(directory),
            u32(18) + u32(0) + u32(3) + u32(0) + u64(client) + opaque(os.urandom(8))
            + u32(1) + u32(2) + verifier + u32(0) + opaque(name)])
        return reply
