# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/privilege/builds.py - what kind of build is tested."""
import pytest

import weir as weirs


def is_sanitized():
    with open(weirs.program("weir-worker"), "rb") as f:
        program = f.read()
    return b"__asan_init" in program or b"__tsan_init" in program


not_sanitized = pytest.mark.skipif(is_sanitized(),
                                   reason="sanitizer builds give up capabilities only")
