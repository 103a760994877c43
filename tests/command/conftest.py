# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/command/conftest.py - let the tests here import cli.py."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
