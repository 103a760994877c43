# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/systemd/conftest.py - sysd: one real systemd for a module; service(NAME): a datastore in it."""
import os
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import services       # noqa: E402
import sysd as sysds  # noqa: E402


@pytest.fixture(scope="module")
def sysd(run_directory):
    yield from a_systemd(run_directory)


@pytest.fixture
def own_sysd(run_directory):
    """For a test that ends it."""
    yield from a_systemd(run_directory)


def a_systemd(run_directory):
    why = sysds.why_not()
    if why:
        pytest.skip(why)
    place = tempfile.mkdtemp(prefix="systemd-", dir=run_directory)
    made = sysds.Sysd(place)
    try:
        made.boot()
        yield made
    finally:
        made.end()
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def service(sysd, request):
    made = []

    def make(options="", **more):
        sysd.services += 1
        name = "%s%d" % (request.node.name.split("[")[0].replace("test_", "").replace("_", "-"),
                         sysd.services)
        made.append(services.Service(sysd, name, options, **more))
        return made[-1]

    yield make
    for one in made:
        one.end()
