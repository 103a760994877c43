# SPDX-License-Identifier: GPL-2.0-or-later
"""Disk images for tests: real ones by qemu-img, and those it cannot write, made by hand.

Functions named *_bytes return a file's contents; others write files and return their path.
"""
import os
import struct
import subprocess

SECTOR = 512
VMDK_SUBFORMATS = ("monolithicFlat", "monolithicSparse", "twoGbMaxExtentFlat",
                   "twoGbMaxExtentSparse", "streamOptimized")


def qemu_img(*arguments):
    subprocess.run(["qemu-img", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def raw(path, size=8 << 20, content=b""):
    """A sparse raw image of @size bytes that begins with @content."""
    with open(path, "wb") as f:
        f.write(content)
        f.truncate(size)
    return path


def vmdk(path, subformat, size=8 << 20, adapter="lsilogic"):
    """A VMDK with data in it; its extents lie beside @path."""
    source = raw(str(path) + ".raw", size, os.urandom(128 << 10))
    qemu_img("convert", "-f", "raw", "-O", "vmdk", "-o",
             f"subformat={subformat},adapter_type={adapter}", source, path)
    os.unlink(source)
    return path


def qemu(path, form, size=8 << 20, *options):
    qemu_img("create", "-q", "-f", form, *options, path, size)
    return path


def descriptor_bytes(create_type="monolithicFlat", extents=('RW 16384 FLAT "disk-flat.vmdk" 0',),
                     cid="5a18e6fc", parent_cid="ffffffff", parent=None, adapter="lsilogic",
                     extra=()):
    """The text of a descriptor as ESXi writes it; None leaves a line out."""
    lines = ["# Disk DescriptorFile", "version=1", 'encoding="UTF-8"']
    lines += [f"CID={cid}"] if cid is not None else []
    lines += [f"parentCID={parent_cid}"] if parent_cid is not None else []
    lines += [f'createType="{create_type}"'] if create_type is not None else []
    lines += [f'parentFileNameHint="{parent}"'] if parent is not None else []
    lines += ["# Extent description", *extents, "", "# The Disk Data Base", "#DDB", ""]
    lines += [f'ddb.adapterType = "{adapter}"'] if adapter is not None else []
    lines += ['ddb.geometry.cylinders = "1"', 'ddb.virtualHWVersion = "13"', *extra]
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")


def vmfs_descriptor_bytes(name="vm1-flat.vmdk", sectors=16384):
    return descriptor_bytes("vmfs", [f'RW {sectors} VMFS "{name}"'],
                            extra=['ddb.thinProvisioned = "1"'])


def vmfs_sparse_descriptor_bytes(name="vm1-000001-delta.vmdk", sectors=16384,
                                 parent="vm1.vmdk", parent_cid="5a18e6fc"):
    return descriptor_bytes("vmfsSparse", [f'RW {sectors} VMFSSPARSE "{name}"'], cid="0badcafe",
                            parent_cid=parent_cid, parent=parent)


def se_sparse_descriptor_bytes(name="vm1-000001-sesparse.vmdk", sectors=16384,
                               parent="vm1.vmdk", parent_cid="5a18e6fc"):
    return descriptor_bytes("seSparse", [f'RW {sectors} SESPARSE "{name}"'], cid="0badcafe",
                            parent_cid=parent_cid, parent=parent)


def hosted_sparse_bytes(capacity=16384, grain=128, version=1, flags=3, descriptor=b"",
                        descriptor_at=1, descriptor_sectors=20, table_entries=512,
                        directory_at=26, overhead=128, size=65536):
    """A hosted sparse extent ("KDMV"); offsets and sizes in sectors, @size in bytes."""
    head = struct.pack("<4sIIQQQQIQQQB4sH", b"KDMV", version, flags, capacity, grain,
                       descriptor_at, descriptor_sectors, table_entries, 21, directory_at,
                       overhead, 0, b"\n \r\n", 1 if flags & 1 << 16 else 0)
    body = head.ljust(max(descriptor_at, 1) % 4096 * SECTOR, b"\0") + descriptor
    return body.ljust(size, b"\0")[:size]


def cowd_bytes(capacity=16384, grain=1, version=1, entries=None, size=8192):
    """A vmfsSparse delta extent ("COWD")."""
    if entries is None:
        entries = -(-capacity // max(4096 * grain, 1))
    head = struct.pack("<4sIIIIIII", b"COWD", version, 3, capacity, grain, 4, entries, 5)
    return head.ljust(2048, b"\0").ljust(size, b"\0")[:size]


def se_sparse_bytes(capacity=16384, grain=8, version=0x200000001, table=64, areas=None,
                    size=1 << 20):
    """An seSparse extent; @areas are (offset, size) in sectors behind the constant header."""
    areas = areas or [(1, 1), (2, 2), (2048 - 64, 32), (64, 64), (128, 512), (640, 32), (672, 32)]
    head = struct.pack("<QQQQQQ32x", 0xcafebabe, version, capacity, grain, table, 0)
    head += b"".join(struct.pack("<QQ", *area) for area in areas)
    return head.ljust(SECTOR, b"\0").ljust(size, b"\0")[:size]


def vmx_bytes(disks=("vm1.vmdk",), name="vm1", extra=()):
    lines = ['.encoding = "UTF-8"', 'config.version = "8"', 'virtualHW.version = "19"',
             'nvram = "vm1.nvram"', f'displayName = "{name}"', 'scsi0.present = "TRUE"',
             'ethernet0.addressType = "vpx"']
    for i, disk in enumerate(disks):
        lines += [f'scsi0:{i}.deviceType = "scsi-hardDisk"', f'scsi0:{i}.fileName = "{disk}"',
                  f'scsi0:{i}.present = "TRUE"']
    return ("\n".join([*lines, *extra]) + "\n").encode("utf-8", "surrogateescape")


def vmsd_bytes(disks=("vm1.vmdk",), state="vm1-Snapshot1.vmsn"):
    lines = ['.encoding = "UTF-8"', 'snapshot.lastUID = "1"', 'snapshot.current = "1"',
             'snapshot0.uid = "1"', f'snapshot0.filename = "{state}"',
             'snapshot0.displayName = "before the update"',
             f'snapshot0.numDisks = "{len(disks)}"']
    for i, disk in enumerate(disks):
        lines += [f'snapshot0.disk{i}.fileName = "{disk}"', f'snapshot0.disk{i}.node = "scsi0:{i}"']
    return ("\n".join([*lines, 'snapshot.numSnapshots = "1"']) + "\n").encode()


def seeds(directory):
    """One small file of each kind, as a corpus for fuzzers; returns their paths."""
    made = {
        "flat": descriptor_bytes(),
        "vmfs": vmfs_descriptor_bytes(),
        "delta": vmfs_sparse_descriptor_bytes(),
        "sesparse": se_sparse_descriptor_bytes(),
        "split": descriptor_bytes("twoGbMaxExtentFlat", [
            f'RW 4192256 FLAT "d-f{i:03}.vmdk" 0' for i in range(1, 9)]),
        "kdmv": hosted_sparse_bytes(size=16384, overhead=8, descriptor=descriptor_bytes(
            "monolithicSparse", ['RW 16384 SPARSE "self.vmdk"'])),
        "cowd": cowd_bytes(), "se": se_sparse_bytes(size=4096),
        "vmx": vmx_bytes(), "vmsd": vmsd_bytes(), "text": b"just words\n",
        "mbr": bytes(510) + b"\x55\xaa" + bytes(512),
    }
    for form in ("qcow2", "vdi", "vpc", "qed"):
        path = qemu(os.path.join(directory, form), form, 1 << 20)
        with open(path, "r+b") as f:
            f.truncate(min(os.path.getsize(path), 8192))
    for name, content in made.items():
        with open(os.path.join(directory, name), "wb") as f:
            f.write(content)
    return sorted(os.path.join(directory, n) for n in os.listdir(directory))


if __name__ == "__main__":
    import sys
    os.makedirs(sys.argv[1], exist_ok=True)
    print("\n".join(seeds(sys.argv[1])))
