# SPDX-License-Identifier: GPL-2.0-or-later
"""One datastore, one mount: a second worker is refused with a message, the first goes on."""
import os
import subprocess

import pytest

pytestmark = pytest.mark.usefixtures("only_weir")


def refused(weir, store):
    point = os.path.join(weir.directory, "second")
    os.makedirs(point, exist_ok=True)
    before = len(weir.log())
    weir.expect_log(".*")               # its complaint goes to the same log, and is wanted
    original, weir.store = weir.store, store
    process = weir.spawn(point=point)
    weir.store = original
    try:
        status = process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(20)
        subprocess.run(["umount", "-l", point], check=False, timeout=20)
        pytest.fail("a second worker serves the same datastore")
    assert status != 0
    assert not os.path.ismount(point)
    return weir.log()[before:]


def works(weir):
    with open(weir.in_mount("a"), "w", encoding="ascii") as f:
        f.write("a")
    return os.listdir(weir.path) == ["a"]


def test_a_second_worker_is_refused(mounted):
    weir = mounted()
    said = refused(weir, weir.store)
    assert len(said.strip().splitlines()) == 1 and weir.store in said
    assert works(weir)


def test_by_another_path_too(mounted):
    weir = mounted()
    alias = os.path.join(weir.directory, "alias")
    os.symlink(weir.store, alias)
    refused(weir, alias)
    os.mkdir(os.path.join(weir.directory, "bind"))
    bind = os.path.join(weir.directory, "bind")
    subprocess.run(["mount", "--bind", weir.store, bind], check=True, timeout=20)
    try:
        refused(weir, bind)
    finally:
        subprocess.run(["umount", bind], check=True, timeout=20)
    assert works(weir)


def test_free_again_after_stop_and_after_kill(mounted):
    weir = mounted()
    weir.stop()
    weir.start()
    weir.kill()
    weir.start()
    assert works(weir)


@pytest.mark.parametrize("what", ("file", "missing"))
def test_no_datastore_is_a_clear_error(mounted, what):
    weir = mounted()
    path = os.path.join(weir.directory, "no-such")
    if what == "file":
        with open(path, "w", encoding="ascii"):
            pass
    assert path in refused(weir, path)


def test_an_unknown_option_is_a_clear_error(mounted):
    weir = mounted()
    weir.expect_log(".*")
    weir.stop()
    weir.options = "nonsense=1"
    with pytest.raises(AssertionError, match="nonsense"):
        weir.start()
    weir.options = ""
    weir.kill_process()
