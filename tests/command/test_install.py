# SPDX-License-Identifier: GPL-2.0-or-later
"""What meson installs: everything in its place, man pages without warnings, completion that works."""
import os
import shutil
import subprocess

import pytest

import weir as weirs

PAGES = ("docs/man/weir.1", "docs/man/mount.weir.8", "docs/man/weir-policy.5")


def run(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                          timeout=120, **options)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout.decode(), done.stderr.decode()


def test_install(directory):
    """A staged installation has all parts, and its mount.weir is the weir beside it."""
    root = directory + "/root"
    run("meson", "install", "-C", weirs.BUILD, "--no-rebuild", "--destdir", root)
    prefix = root + "/usr/local"
    found = {os.path.relpath(os.path.join(parent, name), prefix)
             for parent, _, names in os.walk(prefix) for name in names}
    assert {"bin/weir", "sbin/mount.weir", "libexec/weir/weir-holder", "libexec/weir/weir-worker",
            "libexec/weir/weir-recognise", "share/weir/policies/silver.yaml",
            "share/man/man1/weir.1", "share/man/man5/weir-policy.5",
            "share/man/man8/mount.weir.8", "lib/systemd/system/weir@.service",
            "lib/systemd/system/weir.target", "lib/systemd/system-generators/weir-generator",
            "libexec/weir/weir-service", "share/weir/mount.conf.example",
            "share/bash-completion/completions/weir"} <= found
    assert os.path.samefile(prefix + "/sbin/mount.weir", prefix + "/bin/weir")
    assert os.path.isdir(root + "/etc/weir/mounts") and os.path.isdir(root + "/etc/weir/policies")
    with open(prefix + "/lib/systemd/system/weir@.service", encoding="utf-8") as unit:
        text = unit.read()
    assert "=/usr/local/libexec/weir/weir-service start %n" in text and "dir@" not in text
    assert run(prefix + "/bin/weir", "--version")[0].startswith("weir ")


@pytest.mark.parametrize("page", PAGES)
def test_man_pages(page):
    if not shutil.which("man"):
        pytest.skip("no man here")
    out, err = run("man", "--warnings", "-l", os.path.join(weirs.SOURCE, page),
                   env=dict(os.environ, MANWIDTH="80", LC_ALL="C.UTF-8"))
    assert not err and "NAME" in out


@pytest.mark.parametrize("words, expected", [
    (["weir", "st"], ["status"]),
    (["weir", "policy", "se"], ["set"]),
    (["weir", "policy", "set", "silv"], ["silver"]),
    (["weir", "status", "--w"], ["--watch", "--watch="]),
    (["weir", "mount", "-o", "ro,pass"], ["ro,passthrough=on", "ro,passthrough=off"]),
    (["weir", "mount", "/us"], ["/usr"]),
    (["weir", "help", "ev"], ["events"]),
    (["weir", "re"], ["resume"]),
])
def test_completion(words, expected):
    script = """
        compopt() { :; }
        PATH=%s:$PATH
        . %s
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _weir
        printf '%%s\\n' "${COMPREPLY[@]}"
    """ % (os.path.dirname(weirs.program("weir")),
           os.path.join(weirs.SOURCE, "packaging/completion/weir"))
    out, err = run("bash", "-c", script, "bash", *words)
    assert not err and out.split() == expected
