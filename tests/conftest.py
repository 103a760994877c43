# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/conftest.py - the fixtures of all tests that mount weir.

    def test_something(mounted):
        weir = mounted(backing="xfs", options="passthrough=off")
        ... weir.path is the mount, weir.store the datastore behind it ...

`mounted` makes as many mounts as a test wants, `weir` is one on ext4, once with passthrough and
once without.  Each test gets a private directory; whatever it leaves behind there (a mount, a
process, a loop device, a descriptor of our own, an ERROR in a log) makes it fail, and is taken
away also when the test failed or hung.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "mount"))

import backing as backings  # noqa: E402
import weir as weirs        # noqa: E402

WAYS = ("passthrough=on", "passthrough=off")


def pytest_addoption(parser):
    group = parser.getgroup("weir")
    group.addoption("--weir-seed", type=int, default=None,
                    help="seed of the random tests (default: another one each run, printed)")
    group.addoption("--weir-steps", type=int, default=None,
                    help="steps of each random sequence (default: the short form)")


def pytest_configure(config):
    if config.getoption("--weir-seed") is None:
        config.option.weir_seed = int.from_bytes(os.urandom(3), "little")


def pytest_report_header(config):
    return "weir: %s from %s, --weir-seed=%d" % (weirs.KIND, weirs.BUILD,
                                                config.getoption("--weir-seed"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """Below each failure: how to run it again."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        path = os.path.relpath(str(item.path), weirs.SOURCE)
        report.sections.append(("rerun", "cd %s && sudo WEIR_BUILD=%s WEIR_MOUNT_KIND=%s pytest-3 "
                                "'%s::%s' --weir-seed=%d" % (
                                    weirs.SOURCE, weirs.BUILD, weirs.KIND, path, item.name,
                                    item.config.getoption("--weir-seed"))))


@pytest.fixture(scope="session")
def run_directory():
    """The directory of this run, watched by a janitor in case the run is killed."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    path = tempfile.mkdtemp(prefix="weir-mount-")
    os.chmod(path, 0o755)
    janitor = os.path.join(weirs.SOURCE, "tests", "mount", "janitor.py")
    with subprocess.Popen(["/usr/bin/python3", janitor, path], stdin=subprocess.PIPE):
        yield path
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def directory(run_directory):
    """A private directory that has to be free of mounts and loop devices at the end."""
    before = own_descriptors()
    path = tempfile.mkdtemp(prefix="t", dir=run_directory)
    os.chmod(path, 0o755)
    yield path
    problems = ["mount left: " + point for point in backings.mounts_below(path)]
    problems += ["loop device left: " + name for name in loops_that_stay(path)]
    problems += ["descriptor left: " + name for name in own_descriptors() - before]
    for point in reversed(backings.mounts_below(path)):
        subprocess.run(["umount", "-l", point], check=False, timeout=20)
    if not backings.mounts_below(path):
        shutil.rmtree(path, ignore_errors=True)
    assert not problems, "\n".join(problems)


def loops_that_stay(path):
    """A loop device goes with its last user; a helper process may end a moment after its worker."""
    deadline = time.monotonic() + 2
    while backings.loops_below(path) and time.monotonic() < deadline:
        time.sleep(0.02)
    return backings.loops_below(path)


def own_descriptors():
    """Our open files as "number target"; sockets and pipes of pytest itself do not change."""
    names = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            names.add("%s %s" % (fd, os.readlink("/proc/self/fd/" + fd)))
        except OSError:
            pass                        # the listing itself
    return {name for name in names if "/proc/" not in name}


@pytest.fixture
def mounted(request, directory):
    """mounted(backing="ext4", options="", start=True, seconds=60, ...): a Mount."""
    mounts, stores = [], []

    def make(backing="ext4", options="", start=True, seconds=60, megabytes=512, kind=None,
             store_options=""):
        place = os.path.join(directory, str(len(mounts)))
        os.mkdir(place)
        store = backings.Backing(place, "store", backing, megabytes, store_options)
        stores.append(store)
        mount = weirs.Mount(place, store.path, options, kind, seconds)
        mount.backing = store
        mounts.append(mount)
        if start:
            mount.start()
        return mount

    yield make
    problems = []
    for mount in reversed(mounts):
        problems += mount.finish()
        request.node.add_report_section("teardown", "log", mount.log()[-6000:])
    for sid in {sid for mount in mounts for sid in mount.sessions}:
        for pid in weirs.processes_of_session(sid):
            problems.append("process left: %d" % pid)
            os.kill(pid, 9)
    for store in reversed(stores):
        problems += store.close()
    assert not problems, "\n".join(problems)


@pytest.fixture(params=WAYS)
def way(request):
    """Both ways of the bytes: straight to the backing inode, or through the daemon."""
    if weirs.KIND != "weir" and request.param != WAYS[0]:
        pytest.skip("only weir has two ways")
    return request.param


@pytest.fixture
def weir(mounted, way):
    """One mount on ext4, both ways."""
    return mounted(options=way)


@pytest.fixture
def only_weir():
    """For what no stand-in does: handles over a restart, .weir, one mount per datastore."""
    if weirs.KIND != "weir":
        pytest.skip("not a matter of %s" % weirs.KIND)
