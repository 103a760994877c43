# SPDX-License-Identifier: GPL-2.0-or-later
"""weir-nfs by itself: what it writes, keeps and refuses.  No server runs."""
import os
import re

import pytest

import rig as rigs

MOUNT = "/proc"             # a mount point that every machine has; --force exports it
FORCED = ("--force", MOUNT)


@pytest.fixture
def weir_nfs(tmp_path):
    """weir_nfs(arguments...): the program on files in a directory of the test."""
    def call(*arguments, refused=False):
        done = rigs.run(rigs.PYTHON, rigs.WEIR_NFS, "--directory", str(tmp_path / "weir"),
                        "--ganesha-conf", str(tmp_path / "ganesha.conf"), "--exports-d",
                        str(tmp_path / "exports"), "--no-reload", *arguments, check=False)
        assert done.returncode == (1 if refused else 0), done.stdout
        return done.stdout
    return call


def written(tmp_path, name="weir/ganesha.conf"):
    return (tmp_path / name).read_text()


def setting(text, name):
    found = re.findall(rf"^\s*{name} = (.*);$", text, re.M)
    assert len(found) == 1, (name, text)
    return found[0]


def test_an_export_is_written_whole(weir_nfs, tmp_path):
    weir_nfs("export", *FORCED, "--clients", "10.1.2.3/24,192.0.2.7", "--port", "12049")
    text = written(tmp_path)
    assert setting(text, "Path") == setting(text, "Pseudo") == f'"{MOUNT}"'
    assert setting(text, "Clients") == "10.1.2.0/24, 192.0.2.7/32"
    assert setting(text, "NFS_Port") == "12049"
    assert setting(text, "fsid_type") == "Major64"
    assert setting(text, "Squash") == "No_Root_Squash"
    assert "@" not in text
    assert written(tmp_path, "ganesha.conf") == f'%include "{tmp_path}/weir/ganesha.conf"\n'


def test_without_clients_only_this_machine(weir_nfs, tmp_path):
    assert "Only this machine" in weir_nfs("export", *FORCED)
    assert setting(written(tmp_path), "Clients") == "127.0.0.0/8, ::1"


def test_the_administrator_s_file_gets_one_line_once(weir_nfs, tmp_path):
    (tmp_path / "ganesha.conf").write_text("# mine\n")
    weir_nfs("export", *FORCED)
    weir_nfs("export", *FORCED, "--v4-only")
    assert written(tmp_path, "ganesha.conf").count("%include") == 1
    assert written(tmp_path, "ganesha.conf").startswith("# mine\n")
    assert setting(written(tmp_path), "Enable_NLM") == "false"


def test_ids_stay_over_unexport(weir_nfs, tmp_path):
    """They are in clients' handles: the same mount point gets the same, another never does."""
    weir_nfs("export", *FORCED)
    before = written(tmp_path)
    weir_nfs("unexport", MOUNT)
    assert "Export_Id" not in written(tmp_path)
    weir_nfs("export", "--force", "/dev")
    assert setting(written(tmp_path), "Export_Id") == "2"
    weir_nfs("unexport", "/dev")
    weir_nfs("export", *FORCED)
    assert written(tmp_path) == before


def test_the_kernel_s_server_gets_an_fsid(weir_nfs, tmp_path):
    weir_nfs("export", *FORCED, "--server", "kernel", "--clients", "10.0.0.0/8", "--read-only")
    line = written(tmp_path, "exports").splitlines()[-1]
    assert re.fullmatch(rf'"{MOUNT}" 10\.0\.0\.0/8\(ro,sync,no_subtree_check,no_root_squash,'
                        r"mountpoint,fsid=[0-9a-f-]{36}\)", line)


def test_show_says_what_is_missing(weir_nfs, tmp_path):
    weir_nfs("export", *FORCED)
    assert "NOT MOUNTED" not in weir_nfs("show")
    weir_nfs("check")
    path = tmp_path / "weir/exports"
    path.write_text(path.read_text().replace(f"mount = {MOUNT}", "mount = /nowhere"))
    assert "NOT MOUNTED" in weir_nfs("show")
    assert "not mounted there" in weir_nfs("check", refused=True)


@pytest.mark.parametrize("arguments, sentence", (
    (("export", "relative"), "absolute path"),
    (("export", MOUNT), "not a weir mount"),
    (("export", "/nonexistent"), "not mounted"),
    (("export", "--force", "/nonexistent"), "not mounted"),
    (("export", *FORCED, "--clients", "everybody"), "--clients"),
    (("export", *FORCED, "--clients", "10.0.0.0/8; Squash = None"), "--clients"),
    (("export", '/a"b'), "cannot carry"),
    (("unexport", MOUNT), "not exported"),
))
def test_it_refuses_with_a_sentence(weir_nfs, tmp_path, arguments, sentence):
    assert sentence in weir_nfs(*arguments, refused=True)
    assert not os.path.exists(tmp_path / "weir")


def test_a_second_mount_is_refused(weir_nfs, tmp_path):
    weir_nfs("export", *FORCED)
    before = written(tmp_path)
    assert "apart" in weir_nfs("export", "--force", "/dev", refused=True)
    assert written(tmp_path) == before
