# SPDX-License-Identifier: GPL-2.0-or-later
"""A real guest with journaling disks on the mount: it must not notice that workers die.

One boot with a disk for each way of the bytes (guest_rig.standard_disks).  The numbers of the run
are printed with -rA, and in any failure.
"""
import os
import random

import guest_disks
import guest_qemu
import rig as rigs

KILLS, SECONDS = 30, 20
# Rules for QEMU's blkdebug.
AFTER_A_FLUSH = '[set-state]\nevent = "flush_to_disk"\nstate = "%d"\nnew_state = "%d"\n'
THEN_FAIL = ('[inject-error]\nevent = "flush_to_disk"\nerrno = "5"\niotype = "flush"\n'
             'once = "off"\nstate = "%d"\n')


def keep(request, rig):
    request.node.guest_rig = rig
    return rig


def test_a_guest_notices_no_killed_worker(guest_rig_of, request):
    rig = keep(request, guest_rig_of())
    rig.guest.boot()
    seed = request.config.getoption("--weir-seed")
    rig.trouble(SECONDS, most=KILLS, source=random.Random(seed))
    assert rig.kills >= KILLS / 3
    rig.kill_holder()
    rig.trouble(SECONDS, most=KILLS + 3, source=random.Random(seed))
    before = rig.guest.acknowledged()
    rigs.wait_for("records on every disk after the last kill", lambda: all(
        count > before[name] for name, count in rig.guest.acknowledged().items()))
    problems = rig.finish()
    print(rig.numbers())
    assert not problems, "\n".join(problems)


def test_the_witness_sees(guest_rig_of, request, tmp_path):
    """Errors given to the guest, and a byte changed afterwards, are found."""
    rules = tmp_path / "rules"
    rules.write_text("".join(AFTER_A_FLUSH % (n, n + 1) for n in range(1, 20)) + THEN_FAIL % 20)
    disks = [guest_disks.Disk("vda", "ordered"),
             guest_disks.Disk("vdb", "journal", rules=str(rules))]
    rig = keep(request, guest_rig_of(disks))
    rig.guest.boot()
    rigs.wait_for("fault", lambda: "vdb ! " in rig.guest.said())
    rig.wait(1)
    rig.guest.stop()
    faults = "\n".join(rig.guest.faults())
    assert "I/O error, dev vdb" in faults and "vdb ! " in faults, faults
    assert "dev vda" not in faults and "vda ! " not in faults, faults
    said = rig.guest.said()
    rig.stop_servers()
    assert disks[0].judge(rig.vm.datastore, rig.root, said) == []

    image = os.path.join(rig.vm.datastore, disks[0].file)
    with open(image, "rb") as file:
        at = file.read().rindex(guest_disks.MAGIC + b"vda")
    rigs.run("qemu-io", "-f", "raw", "-c", f"write -P 7 {at + 512} 512", image)
    assert any("checksum" in line for line in disks[0].judge(rig.vm.datastore, rig.root, said))


def test_lines_of_a_guest_that_suffers():
    for line in ("I/O error, dev vda, sector 2048 op 0x1:(WRITE) flags 0x800 phys_seg 1",
                 "Buffer I/O error on dev vda, logical block 0, lost sync page write",
                 "EXT4-fs error (device vda): ext4_journal_check_start:83: Detected aborted",
                 "EXT4-fs (vda): Remounting filesystem read-only",
                 "EXT4-fs warning (device vda): ext4_end_bio:345: I/O error 10",
                 "JBD2: Error -5 detected when updating journal superblock for vda-8.",
                 "INFO: task jbd2/vda-8:99 blocked for more than 10 seconds."):
        assert guest_qemu.BAD.search(line), line
    for line in ("EXT4-fs (vda): mounted filesystem with ordered data mode. Quota mode: none.",
                 "EXT4-fs (vda): unmounting filesystem 6ab1.",
                 "virtio_blk virtio0: [vda] 98304 512-byte logical blocks (50.3 MB/48.0 MiB)"):
        assert not guest_qemu.BAD.search(line), line
