# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the NFS tests: a served weir mount, shared by a file's tests or alone in one.

What cannot be had here (root, ganesha, libnfs's tools) skips; a fault in starting what is there
fails.  After a failure the servers' logs are printed with the test.
"""
import os
import shutil
import signal
import threading

import pytest

import nfsrpc
import rig as rigs

NEEDED = ("ganesha.nfsd", "rpcbind", "nfs-ls", "qemu-img", "qemu-io", "ip", "nsenter")
LIMIT = 120                     # seconds; below the time limit in tests/pytest.ini


def pytest_collection_modifyitems(items):
    reason = None
    if os.geteuid() != 0:
        reason = "needs root: it mounts and makes network namespaces"
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing:
        reason = "needs " + ", ".join(missing)
    for item in items:
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed and report.when == "call":
        for name in ("rig", "served"):
            one = item.funcargs.get(name)
            if one:
                report.sections.append(("the rig's logs", one.logs()))


@pytest.fixture(autouse=True)
def time_limit():
    """A hanging server must not hang the run, nor a filesystem: in one, no signal reaches us."""
    def over(_number, _frame):
        raise TimeoutError(f"the test took more than {LIMIT} s")

    def kill_all():
        for one in list(rigs.LIVE):
            one.emergency()

    watchdog = threading.Timer(LIMIT - 10, kill_all)
    watchdog.daemon = True
    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(LIMIT)
    watchdog.start()
    yield
    watchdog.cancel()
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def rig():
    """A namespace with rpcbind, no mount and no server yet."""
    one = rigs.Rig()
    try:
        one.open()
        yield one
    finally:
        one.close()


def serve(one, options="policy-xattr=trusted"):
    one.vm = one.mount("vm", options=options)
    one.export(one.vm)
    one.start_ganesha()


@pytest.fixture(scope="module", params=("on", "off"), ids=lambda way: "passthrough=" + way)
def served(request):
    """A weir mount (.vm) exported for both versions; tests use names of their own in it."""
    one = rigs.Rig()
    if one.standin and request.param == "off":
        pytest.skip("only weir has two ways")
    try:
        one.open()
        serve(one, "policy-xattr=trusted,passthrough=" + request.param)
        yield one
    finally:
        one.close()


@pytest.fixture
def alone(rig):
    """The same for one test, which may stop and kill what it likes."""
    serve(rig)
    return rig


@pytest.fixture(params=(3, 4))
def version(request):
    return request.param


@pytest.fixture
def client3(request):
    """client3(rig): an NFSv3 client, closed after the test."""
    made = []

    def make(one, **more):
        made.append(nfsrpc.Client3(one.connect, rigs.PORT, rigs.MOUNT_PORT, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def client4(request):
    made = []

    def make(one):
        made.append(nfsrpc.Client4(one.connect, rigs.PORT))
        return made[-1]

    yield make
    for one in made:
        one.close()
