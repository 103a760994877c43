# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/privilege/conftest.py - the tests here are about weir's own processes."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "mount"))
