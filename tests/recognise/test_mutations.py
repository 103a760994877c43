# SPDX-License-Identifier: GPL-2.0-or-later
"""2,000 mutated images: an answer each time, or death in confinement; never anything else."""
import os
import sys

from program import SOURCE

sys.path.insert(0, os.path.join(SOURCE, "tests", "fuzz"))
import mutate_recognise  # noqa: E402


def test_mutations(record_property):
    signals = mutate_recognise.run(2000, seed=20261122)
    record_property("deaths", dict(signals))
    print("deaths by signal:", dict(signals))
