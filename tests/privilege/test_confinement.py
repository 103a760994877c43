# SPDX-License-Identifier: GPL-2.0-or-later
"""A process confined by the worker's own function tries everything (tests/privilege/confined.c)."""
import os
import stat
import subprocess

import pytest

import weir as weirs
from builds import not_sanitized

PROGRAM = os.path.join(weirs.BUILD, "tests", "privilege", "confined")
pytestmark = not_sanitized

ALLOWED = {
    "read a policy", "write in the state directory", "write in the datastore",
    "rename across directories", "make a device", "/proc/1/status", "create as somebody",
    "capabilities stay", "chown", "chmod", "lease", "mlock", "fallocate", "set user xattr",
    "unshare fs",
}
# The backing filesystem is one: who may open by handle reaches the attributes of all its files, so
# a datastore should be a filesystem of its own (docs/threat-model.md).
KNOWN = {"chmod outside by O_PATH and /proc"}


def lay_out(directory):
    place = os.path.join(directory, "place")
    for name in ("data/store/d", "state/state", "policies/policies"):
        os.makedirs(os.path.join(place, name))
    store = os.path.join(place, "data", "store")
    outside = os.path.join(place, "data", "outside")
    for path, text in ((outside, "secret"), (os.path.join(store, "file"), "text"),
                       (os.path.join(place, "policies", "policies", "gold.yaml"), "weir: 1")):
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
    os.symlink("/etc/shadow", os.path.join(store, "link-shadow"))
    os.symlink("../outside", os.path.join(store, "link-outside"))
    os.mknod(os.path.join(store, "block"), stat.S_IFBLK | 0o600, os.makedev(254, 0))
    os.mknod(os.path.join(store, "null"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
    with open("/bin/true", "rb") as f, open(os.path.join(store, "program"), "wb") as copy:
        copy.write(f.read())
    os.chmod(os.path.join(store, "program"), 0o755)
    return [store, os.path.join(place, "state", "state"),
            os.path.join(place, "policies", "policies"), outside]


@pytest.fixture
def attempts(directory):
    """{what was tried: "done" or the errno's name}."""
    paths = lay_out(directory)
    shadow = os.stat("/etc/shadow")
    done = subprocess.run([PROGRAM, *paths], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=60, check=False)
    assert done.returncode == 0 and not done.stderr, done
    assert os.stat("/etc/shadow") == shadow
    with open(paths[3], encoding="ascii") as f:
        assert f.read() == "secret"
    return dict(line.rsplit(" ", 1) for line in done.stdout.decode().splitlines())


def test_everything_else_is_refused(attempts):
    assert len(attempts) > 75
    refused = ("EPERM", "EACCES", "ENOENT", "EROFS", "EXDEV", "ENOSYS")
    for name, result in attempts.items():
        if name in ALLOWED | KNOWN:
            assert result == "done", name
        else:
            assert result in refused, name


def test_handles_of_other_files_are_refused_by_landlock(attempts):
    """And those whose names the kernel has forgotten, which the worker finds again by name."""
    for name in attempts:
        if "by handle" in name or name == "outside by O_PATH and /proc":
            assert attempts[name] == "EACCES", name


def test_calls_that_must_not_be_there(attempts):
    for name in ("execve", "execveat", "ptrace", "mount", "fsopen", "open_tree", "bpf", "keyctl",
                 "kexec", "module", "io_uring", "userfaultfd", "perf", "process_vm_readv",
                 "pidfd_open", "setns", "unshare user", "unshare mount", "clone user", "setuid",
                 "capset", "seccomp", "socket inet", "socket unix", "connect",
                 "executable memory", "dumpable", "prlimit parent"):
        assert attempts[name] == "EPERM", name
    assert attempts["clone3"] == "ENOSYS"
    assert attempts["kill parent"] == "EPERM"
