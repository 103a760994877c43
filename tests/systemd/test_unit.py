# SPDX-License-Identifier: GPL-2.0-or-later
"""weir@.service under a real systemd: what a client sees when it is restarted, killed, stopped."""
import os
import stat

import pytest

import services

# Each gives a unit a mount namespace of its own (PrivateNetwork: from systemd 254 on).
PRIVATE_MOUNTS = {
    "ProtectSystem", "ProtectHome", "ProtectKernelTunables", "ProtectKernelModules",
    "ProtectKernelLogs", "ProtectControlGroups", "ProtectProc", "ProcSubset", "PrivateTmp",
    "PrivateDevices", "PrivateMounts", "PrivateUsers", "PrivateIPC", "PrivateNetwork",
    "ReadOnlyPaths", "ReadWritePaths", "InaccessiblePaths", "NoExecPaths", "BindPaths",
    "TemporaryFileSystem", "RootDirectory", "RootImage", "DynamicUser", "MountFlags",
    "LogNamespace", "MountAPIVFS",
}


def test_start_is_seen_by_all(sysd, service):
    """No setting gives the holder a mount namespace of its own."""
    s = service().start()
    namespaces = sysd.sh("for p in 1 %d; do readlink /proc/$p/ns/mnt; done" % s.main())
    assert len(set(namespaces.split())) == 1
    assert s.show("NFileDescriptorStore") == "3" and " serves" in s.show("StatusText")
    s.control("stop")
    assert not s.mounted() and not s.processes() and s.active() == "inactive"
    assert s.show("Result") == "success" and s.show("NFileDescriptorStore") == "0"


def test_restart_goes_unnoticed(service):
    s = service().start()
    client, device = s.client(), s.mounted()
    for _ in range(5):
        before = s.processes()
        s.control("restart")
        assert s.mounted() == device
        assert not set(before.values()) & set(s.processes().values())
        client.goes_on()
    print("restart:", client.end())


def test_reload_is_an_upgrade(service):
    s = service().start()
    client, holder, worker = s.client(), s.main(), s.worker()
    s.control("reload")
    client.goes_on()
    assert s.main() == holder and s.worker() != worker
    print("reload:", client.end())


def test_upgrade_of_the_holder_is_systemds(sysd, service):
    """Two would start the next one."""
    s = service().start()
    holder = s.main()
    text = sysd.sh("weir upgrade --holder '%s'" % s.point, check=False)
    assert "systemctl restart" in text and s.main() == holder


def test_crashed_holder_goes_unnoticed(sysd, service):
    """Its worker serves until the next holder is there."""
    s = service().start()
    client, holder, worker, device = s.client(), s.main(), s.worker(), s.mounted()
    sysd.sh("kill -KILL %d" % holder)
    client.goes_on(5)
    sysd.wait(lambda: s.main() not in (0, holder) and s.worker() not in (0, worker), "a new one")
    client.goes_on()
    assert s.mounted() == device and s.active() == "active"
    print("holder killed:", client.end())


def test_all_killed_goes_unnoticed(sysd, service):
    s = service().start()
    client, holder, device = s.client(), s.main(), s.mounted()
    s.control("kill --signal=KILL --kill-whom=all")
    sysd.wait(lambda: s.main() not in (0, holder) and s.worker(), "a new one")
    client.goes_on()
    assert s.mounted() == device
    print("all killed:", client.end())


def test_somebodys_sigterm_goes_unnoticed(sysd, service):
    """The holder leaves the mount to the next start, which systemd must make."""
    s = service().start()
    client, holder, device = s.client(), s.main(), s.mounted()
    sysd.sh("kill -TERM %d" % holder)
    sysd.wait(lambda: s.main() not in (0, holder) and s.worker(), "a new one")
    client.goes_on()
    assert s.mounted() == device
    print("holder told to end:", client.end())


def test_worker_killed_goes_unnoticed(sysd, service):
    s = service().start()
    client, holder = s.client(), s.main()
    for _ in range(20):
        worker = s.worker()
        sysd.sh("kill -KILL %d" % worker)
        sysd.wait(lambda old=worker: s.worker() not in (0, old), "a new one")
        client.goes_on(3)
    assert s.main() == holder and s.show("NRestarts") == "0"
    print("worker killed:", client.end())


def test_umount_by_hand_is_not_undone(sysd, service):
    s = service().start()
    sysd.sh("weir umount '%s'; sleep 2" % s.point)
    assert not s.mounted() and s.active() == "inactive" and s.show("Result") == "success"


def test_stop_waits_for_open_files(sysd, service):
    s = service(more="STOP_SECONDS=30").start()
    sysd.sh("exec setsid sh -c 'exec 5>\"%s/open\"; sleep 3; echo late >&5' </dev/null "
            ">/dev/null 2>&1 & sleep 0.5" % s.point)
    s.control("stop")
    with open(s.store + "/open", encoding="ascii") as f:
        assert f.read() == "late\n"
    assert not s.mounted() and not s.processes() and s.show("Result") == "success"


def test_stop_does_not_wait_for_ever(sysd, service):
    s = service(more="STOP_SECONDS=2").start()
    sysd.sh("echo before >'%s/kept'; exec setsid sh -c 'exec 5<\"%s/kept\"; sleep 5; "
            "cat <&5' </dev/null >'%s/out' 2>&1 & sleep 0.5" % (s.point, s.point, s.place))
    s.control("stop")
    assert not s.mounted() and not s.processes() and s.active() == "inactive"
    with open(s.store + "/kept", encoding="ascii") as f:
        assert f.read() == "before\n"
    s.start()


def test_dead_mount_does_not_stop_a_start(sysd, service):
    """Holder and worker of a mount made by hand were killed: nobody can use it any more."""
    s = service(point="mnt with a space")
    sysd.sh("mkdir -p '%s' && weir mount '%s' '%s' </dev/null >/dev/null 2>&1" % (
        s.point, s.store, s.point))
    sysd.sh("kill -KILL $(grep -l '^weir-holder' /proc/[0-9]*/comm | cut -d/ -f3 | tail -n 1)\n"
            "kill -KILL $(cat '%s/.weir/lock')" % s.store)
    sysd.wait(lambda: "not connected" in sysd.sh("ls '%s'" % s.point, check=False), "it is dead")
    s.start()
    assert sysd.sh("ls '%s'" % s.point) == ""


def test_wrong_configuration_is_not_tried_again(sysd, service):
    s = service("no-such-option")
    assert "failed" in s.control("start", check=False)
    assert s.active() == "failed" and s.show("ExecMainStatus") == "2"
    s.configure("DATASTORE=%s\n" % s.store)
    s.control("start", check=False)
    assert s.active() == "failed"
    assert "Assert" in sysd.sh("systemctl start weir@missing", check=False)


def test_edited_configuration_waits_for_a_stop(sysd, service):
    """A restart, reload and stop are of the mount that is there."""
    s = service().start()
    client, old = s.client(), s.point
    s.configure("DATASTORE=%s\nMOUNTPOINT=%s\n" % (s.store, s.place + "/other"))
    s.control("restart")
    s.control("reload")
    client.goes_on()
    print("edited:", client.end())
    s.control("stop")
    assert not s.mounted() and not s.processes()
    s.point = s.place + "/other"
    s.start()
    s.control("restart")
    assert s.mounted() and os.stat(s.point).st_mode & 0o777 == 0o755
    assert not sysd.sh("grep ' %s ' /proc/1/mountinfo || true" % old)
    sysd.sh("rm /etc/weir/mounts/%s.conf" % s.name)
    s.control("stop")
    assert not s.mounted() and not s.processes()


def test_missing_datastore_is_tried_again(sysd, service):
    s = service()
    os.rename(s.store, s.store + ".away")
    s.control("start", check=False)
    assert s.show("SubState") in ("auto-restart", "start")
    os.rename(s.store + ".away", s.store)
    sysd.wait(s.mounted, "the mount")


def test_two_datastores(service):
    a, b = service().start(), service().start()
    assert a.mounted() != b.mounted()
    a.control("stop")
    assert not a.mounted() and b.mounted()


def test_target_and_enable(sysd, service):
    s = service()
    sysd.sh("systemctl enable --now " + s.unit)
    assert s.mounted()
    assert "weir.target" in sysd.sh("ls /etc/systemd/system/multi-user.target.wants")
    assert s.unit in sysd.show("weir.target", "Wants") and s.unit in sysd.show("weir.target", "After")
    sysd.sh("systemctl disable " + s.unit)


SERVER = """[Service]
ExecStart=/bin/sh -c 'exec 5>>"%(point)s/held"; while sleep 0.1; do echo x >&5; done'
ExecStop=/bin/sh -c 'echo bye >"%(point)s/bye"'
"""


def test_order_at_boot_and_poweroff(own_sysd):
    """A server that has files open is stopped before the datastore is unmounted."""
    s = services.Service(own_sysd, "ordered")
    log = s.place + "/log"
    own_sysd.unit("nfs-ganesha.service", SERVER % {"point": s.point})
    own_sysd.sh("mkdir -p /etc/systemd/system/%s.d; printf '[Service]\nStandardError=append:%s\n' "
                ">/etc/systemd/system/%s.d/log.conf; systemctl daemon-reload" % (
                    s.unit, log, s.unit))
    own_sysd.unit("both.target", "[Unit]\nWants=nfs-ganesha.service %s\n" % s.unit)
    own_sysd.sh("systemctl start both.target")
    own_sysd.wait(lambda: os.path.exists(s.store + "/held"), "the server")
    own_sysd.sh("systemctl stop nfs-ganesha.service " + s.unit)
    assert not s.mounted() and os.path.exists(s.store + "/bye")
    os.unlink(s.store + "/bye")
    own_sysd.sh("systemctl start %s nfs-ganesha.service" % s.unit)
    own_sysd.poweroff()
    assert os.path.exists(s.store + "/bye")
    with open(log, encoding="utf-8") as f:
        text = f.read()
    assert text.count("is unmounted") == 2 and "busy" not in text, text


@pytest.mark.parametrize("text, expected", [
    ("DATASTORE=/srv/a\nMOUNTPOINT=/mnt/a", {"/srv/a", "/mnt"}),
    ("DATASTORE='/srv/a b'\nMOUNTPOINT=\"/mnt/x y/z\"", {"/srv/a b", "/mnt/x y"}),
    ("DATASTORE=/srv/100%\nMOUNTPOINT=/mnt/a\nOPTIONS=ro,state=/var/lib/weir,acl=off",
     {"/srv/100%", "/mnt", "/var/lib/weir"}),
    ("DATASTORE=relative\nMOUNTPOINT=/mnt/a", {"/mnt"}),
    ("DATASTORE=/srv/\"x\nMOUNTPOINT=/mnt/a", {"/mnt"}),
])
def test_generator(sysd, service, text, expected):
    s = service()
    s.configure(text)
    found = s.show("RequiresMountsFor")
    default = sysd.show("weir@other.service", "RequiresMountsFor")
    for path in expected:
        assert path in found
    extra = found.replace(default, "")
    for path in sorted(expected, key=len, reverse=True):
        extra = extra.replace(path, "", 1)
    assert not extra.strip(' "'), found


SETTINGS_BREAK_NOTHING = r"""
set -e
cd "$1"
mknod null c 1 3; mknod loop b 7 0; mkfifo fifo
touch suid; chmod 6755 suid; test "$(stat -c %a suid)" = 6755
setfattr -n trusted.test -v x suid; getfattr -n trusted.test suid >/dev/null
setfattr -n security.test -v x suid; getfattr -n security.test suid >/dev/null
cp /bin/true capable; setcap cap_net_raw+ep capable; getcap capable | grep -q cap_net_raw
mkdir shared; chmod 1777 shared
setpriv --reuid=1234 --regid=1234 --clear-groups sh -c 'echo mine >shared/mine'
test "$(stat -c %u:%g shared/mine)" = 1234:1234
chown 4321:4321 shared/mine; touch -d @12345 shared/mine; setfacl -m u:1:rw shared/mine
qemu-img create -q -f vmdk -o subformat=monolithicSparse disk.vmdk 8M
qemu-img create -q -f qcow2 disk.qcow2 8M
truncate -s 8M raw.img
weir policy set observe disk.vmdk >/dev/null
qemu-img bench -q -w -f raw -c 64 -s 4096 raw.img >/dev/null
test "$(getfattr -n user.weir.compliance --only-values disk.vmdk)" = compliant
exec 5<>raw.img
weir policy set observe raw.img >&2
getfattr -n user.weir.status --only-values raw.img
"""


def test_settings_break_nothing(sysd, service):
    """What the unit forbids is nothing that weir does for its callers."""
    s = service().start()
    script = os.path.join(s.place, "script")
    with open(script, "w", encoding="utf-8") as f:
        f.write(SETTINGS_BREAK_NOTHING)
    text = sysd.sh("sh '%s' '%s' 2>'%s.err' || { cat '%s.err'; exit 1; }" % (
        script, s.point, script, script))
    assert '"holders"' in text, text
    assert '"type":"vmdk monolithicSparse"' in sysd.sh(
        "getfattr -n user.weir.status --only-values '%s/disk.vmdk'" % s.point)
    assert stat.S_ISCHR(os.stat(s.store + "/null").st_mode)
    assert os.stat(s.store + "/suid").st_mode & 0o7777 == 0o6755


def test_verify(sysd, service):
    """Nothing in the units that this systemd does not know or cannot find."""
    s = service()
    text = sysd.sh("systemd-analyze verify --man=no %s weir.target 2>&1" % s.unit)
    assert not text.strip(), text


def test_exposure(sysd, service):
    """`systemd-analyze security': docs/operations.md has the number, and what it is made of."""
    s = service()
    text = sysd.sh("systemd-analyze security --offline=true --no-pager --threshold=48 "
                   "/usr/local/lib/systemd/system/weir@.service")
    print(text.strip().splitlines()[-1])
    assert "exposure level" in text.splitlines()[-1] or "exposure level" in text
    for line in sysd.sh("systemctl cat " + s.unit).splitlines():
        name = line.split("=")[0]
        assert name not in PRIVATE_MOUNTS, "%s hides the mount from everybody" % name
