# SPDX-License-Identifier: GPL-2.0-or-later
"""weir mount, umount, check and mount.weir with the real daemon."""
import os
import shutil
import subprocess
import time

import pytest

import backing
from cli import WEIR, weir

HELPER = os.path.join(os.path.dirname(WEIR), "mount.weir")


class Place:
    """A datastore and a mount point in a private directory."""

    def __init__(self, directory):
        self.store = os.path.join(directory, "store")
        self.point = os.path.join(directory, "mnt")
        os.mkdir(self.store)
        os.mkdir(self.point)
        with open(self.store + "/raw.img", "wb") as image:
            image.truncate(1 << 20)

    def mounted(self):
        return self.point in backing.mounts_below(os.path.dirname(self.point))

    def daemon(self):
        """The process that serves the datastore; None when nobody does."""
        with open(self.store + "/.weir/lock", encoding="ascii") as lock:
            pid = int(lock.read())
        try:
            with open("/proc/%d/stat" % pid, "rb") as stat:
                return None if b") Z" in stat.read() else pid
        except OSError:
            return None

    def kill(self):
        """The daemon and its holder, which would start it again."""
        pid = self.daemon()
        with open("/proc/%d/stat" % pid, "rb") as stat:
            holder = int(stat.read().rsplit(b")", 1)[1].split()[1])
        os.kill(holder, 9)
        os.kill(pid, 9)

    def end(self):
        if self.mounted():
            subprocess.run(["umount", "-l", self.point], check=False, timeout=20)
        for _ in range(100):
            if not os.path.exists(self.store + "/.weir/lock") or not self.daemon():
                return
            time.sleep(0.05)
        os.kill(self.daemon(), 9)


@pytest.fixture
def place(directory):
    found = Place(directory)
    yield found
    found.end()


def test_mount_and_umount(place):
    """mount returns when the mount is usable, umount when the daemon has ended."""
    weir("mount", place.store, place.point)
    assert place.mounted() and os.path.getsize(place.point + "/raw.img") == 1 << 20
    assert not os.path.exists(place.point + "/.weir")
    assert place.daemon()
    weir("umount", place.point)
    assert not place.mounted() and not place.daemon()
    weir("mount", place.store, place.point)         # at once again: the lock is free
    weir("umount", place.point + "/")


def test_one_mount_for_a_datastore(place):
    other = place.point + "2"
    os.mkdir(other)
    weir("mount", place.store, place.point)
    assert "mounted on %s already" % place.point in weir("mount", place.store, other, code=1)[1]
    assert "already" in weir("mount", "/usr", place.point, code=1)[1]
    out, err = weir("check", place.store, code=8)
    assert not out and "mounted on %s: unmount it first" % place.point in err


@pytest.mark.parametrize("store, point, sentence", [
    ("{store}", "{store}/inside", "inside the datastore"),
    ("{store}", "{store}", "inside the datastore"),
    ("{store}", "{store}/..", "contains the datastore"),
    ("{store}/none", "{point}", "No such file"),
    ("{store}", "{point}/none", "No such file"),
    ("{store}/raw.img", "{point}", "not a directory"),
    ("{store}", "{store}/raw.img", "not a directory"),
])
def test_wrong_places(place, store, point, sentence):
    os.mkdir(place.store + "/inside")
    names = {"store": place.store, "point": place.point}
    _, err = weir("mount", store.format(**names), point.format(**names), code=1)
    assert sentence in err and not os.path.exists(place.store + "/.weir")


def test_wrong_options(place):
    for options, sentence in [("passthru=on", "passthrough"), ("cache=blue", "auto or none"),
                              ("threads=0", "from 2"), ("nofail", "unknown")]:
        assert sentence in weir("mount", "-o", options, place.store, place.point, code=2)[1]


def test_only_root(place):
    def nobody():
        os.setgid(65534)
        os.setuid(65534)
    os.chmod(os.path.dirname(place.store), 0o755)
    assert "only root" in weir("mount", place.store, place.point, code=1, preexec_fn=nobody,
                               cwd="/")[1]


def test_busy_names_who(place):
    weir("mount", place.store, place.point)
    with subprocess.Popen(["sleep", "60"], cwd=place.point) as sleeper:
        try:
            _, err = weir("umount", place.point, code=1)
            assert "process %d (sleep)" % sleeper.pid in err
            assert place.mounted()
            weir("umount", "--lazy", place.point)
            assert not place.mounted()
        finally:
            sleeper.kill()
    weir("umount", place.point, code=1)


def test_umount_of_a_dead_mount(place):
    """A killed daemon leaves a mount that answers ENOTCONN: it is said so, and goes away."""
    weir("mount", place.store, place.point)
    place.kill()
    for _ in range(100):
        if not place.daemon():
            break
        time.sleep(0.05)
    assert "weir umount" in weir("status", place.point, code=1)[1]
    assert "already" in weir("mount", place.store, place.point, code=1)[1]
    weir("umount", place.point)
    weir("mount", place.store, place.point)
    weir("umount", place.point)


def test_foreground_ends_with_a_signal(place):
    with subprocess.Popen([WEIR, "mount", "-f", place.store, place.point],
                          stderr=subprocess.PIPE) as daemon:
        for _ in range(200):
            if place.mounted():
                break
            time.sleep(0.05)
        assert place.mounted()
        daemon.terminate()
        daemon.communicate(timeout=20)
    assert not place.mounted()


def test_mount_helper(place):
    """As mount(8) calls it, with what stands in fstab."""
    weir(place.store, place.point, "-o",
         "rw,nosuid,_netdev,nofail,x-systemd.automount,passthrough=off", program=HELPER)
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        entry = [line for line in table if " %s " % place.point in line][0]
    assert " - fuse.weir %s " % place.store in entry and "nosuid" in entry
    weir(place.store, place.point, "-o", "remount,ro", program=HELPER, code=32)
    weir("umount", place.point)
    weir(place.store, place.point, "-f", program=HELPER)
    assert not place.mounted()
    weir(place.store, place.point, "-o", "nofial", program=HELPER, code=1)
    weir(place.store, place.point, "-s", "-f", "-o", "nofial", program=HELPER)
    weir(place.store, program=HELPER, code=1)
    weir(place.store, place.point + "/none", program=HELPER, code=32)


def test_mount_read_only(place):
    weir("mount", "-o", "ro", place.store, place.point)
    with pytest.raises(OSError):
        with open(place.point + "/new", "wb"):
            pass
    weir("umount", place.point)


def test_check_of_a_sound_and_a_damaged_catalog(place):
    """Damage is named and the mount refused; rebuilding makes it work again."""
    weir("mount", place.store, place.point)
    os.stat(place.point + "/raw.img")
    weir("umount", place.point)
    assert "good" in weir("check", place.store)[0]

    data = place.store + "/.weir/state/catalog/data.mdb"
    assert os.path.exists(data), os.listdir(os.path.dirname(data))
    with open(data, "r+b") as file:
        size = os.path.getsize(data)
        for offset in range(0, size, 4096):
            file.seek(offset + 40)
            file.write(b"\xa5" * 64)
    assert "weir check" in weir("mount", place.store, place.point, code=1)[1]
    assert not place.mounted()
    assert "DAMAGE" in weir("check", place.store, code=4)[0]
    assert "rebuilt" in weir("check", "--rebuild", place.store, code=1)[0]
    weir("check", place.store)
    weir("mount", place.store, place.point)
    weir("umount", place.point)


def test_check_of_lost_parts(place):
    weir("mount", place.store, place.point)
    weir("umount", place.point)
    shutil.rmtree(place.store + "/.weir/state/catalog")
    assert "weir check --rebuild" in weir("mount", place.store, place.point, code=1)[1]
    weir("check", place.store, code=4)
    weir("check", "--rebuild", place.store, code=1)
    os.unlink(place.store + "/.weir/datastore")
    weir("mount", place.store, place.point, code=1)
    weir("check", place.store, code=4)
    weir("check", "--rebuild", place.store, code=1)
    weir("check", place.store)
    weir("mount", place.store, place.point)
    weir("umount", place.point)


def test_state_directory_elsewhere(place):
    state = place.point + "-state"
    weir("mount", "-o", "state=" + state, place.store, place.point)
    weir("umount", place.point)
    assert os.listdir(state) and not os.path.exists(place.store + "/.weir/state")
    assert "-o state=" in weir("mount", place.store, place.point, code=1)[1]
    weir("check", "-o", "state=" + state, place.store)
    weir("check", place.store, code=4)
    weir("mount", "-o", "state=" + state, place.store, place.point)
    weir("umount", place.point)


def test_check_of_a_copied_datastore(place):
    """cp -a makes other inodes: the catalog is not for them, and rebuilding makes one that is."""
    weir("mount", place.store, place.point)
    weir("umount", place.point)
    subprocess.run(["cp", "-a", place.store, place.store + ".old"], check=True, timeout=20)
    shutil.rmtree(place.store)
    os.rename(place.store + ".old", place.store)
    assert "when %s is a copy" % place.store in weir("mount", place.store, place.point, code=1)[1]
    weir("check", place.store, code=4)
    weir("check", "--rebuild", place.store, code=1)
    weir("mount", place.store, place.point)
    weir("umount", place.point)


def test_only_root_checks(place):
    weir("mount", place.store, place.point)
    weir("umount", place.point)
    os.chmod(os.path.dirname(place.store), 0o755)
    out, err = weir("check", place.store, code=8, cwd="/", preexec_fn=lambda: os.setuid(65534))
    assert not out and "only root" in err


def test_mount_type_weir_and_fstab(place, directory):
    """mount(8) itself, in a mount namespace in which /usr/sbin has mount.weir."""
    extra = directory + "/sbin"
    os.mkdir(extra)
    os.symlink(WEIR, extra + "/mount.weir")
    with open(directory + "/fstab", "w", encoding="utf-8") as fstab:
        fstab.write("%s %s weir nofail,x-systemd.requires=x,noauto,nodev,policy-xattr=trusted 0 0\n"
                    % (place.store, place.point))
    script = """set -e
        mount -t overlay weir-test -o lowerdir="$1:/usr/sbin" /usr/sbin
        mount -t weir -o ro,noexec "$2" "$3"
        findmnt -no FSTYPE,OPTIONS --mountpoint "$3"
        umount "$3"
        while ! flock -n "$2/.weir/lock" true; do sleep 0.05; done
        mount --fstab "$4" "$3"
        findmnt -no FSTYPE,OPTIONS --mountpoint "$3"
        umount "$3"
    """
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", extra, place.store,
                           place.point, directory + "/fstab"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False, timeout=40)
    out, err = done.stdout.decode().splitlines(), done.stderr.decode()
    if "root filesystem propagation" in err:
        pytest.skip("the root directory is no mount point here: a chroot")
    assert done.returncode == 0, err
    assert out[0].startswith("fuse.weir") and "ro," in out[0] and "noexec" in out[0]
    assert out[1].startswith("fuse.weir") and "rw," in out[1] and "nodev" in out[1]
