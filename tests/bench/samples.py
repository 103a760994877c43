# SPDX-License-Identifier: GPL-2.0-or-later
"""What was measured, and how two contenders compare.

A sample belongs to a shape, a contender and a round. Contenders are compared only
inside a round, where they ran one right after the other and shared the machine's mood;
the median over the rounds is the result, shown with its smallest and largest value.
"""

import statistics
from dataclasses import dataclass


@dataclass
class Spread:
    """A median with the range it came from."""
    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values):
        values = list(values)
        if not values:
            return None
        return cls(statistics.median(values), min(values), max(values), len(values))


class Samples:
    def __init__(self):
        self._rounds = {}       # (shape, contender, measure) -> {round: value}
        self.units = {}         # (shape, measure) -> unit
        self.skips = {}         # (shape, contender) -> a clear word
        self.notes = []         # sentences for the report

    def add(self, shape, contender, round_number, value, unit, measure="value"):
        self._rounds.setdefault((shape, contender, measure), {})[round_number] = value
        self.units[(shape, measure)] = unit

    def skip(self, shape, contender, why):
        self.skips[(shape, contender)] = why

    def note(self, sentence):
        if sentence not in self.notes:
            self.notes.append(sentence)

    def unit(self, shape, measure="value"):
        return self.units.get((shape, measure), "")

    def shapes(self):
        return list(dict.fromkeys([key[0] for key in self._rounds] +
                                  [key[0] for key in self.skips]))

    def rounds(self, shape, contender, measure="value"):
        return self._rounds.get((shape, contender, measure), {})

    def value(self, shape, contender, measure="value"):
        return Spread.of(self.rounds(shape, contender, measure).values())

    def pairs(self, one, other, combine):
        """Spread of combine(one, other); each is (shape, contender) or with a measure."""
        first, second = self.rounds(*one), self.rounds(*other)
        return Spread.of(combine(first[r], second[r]) for r in first if second.get(r))

    def ratio(self, shape, contender, base, measure="value"):
        return self.pairs((shape, contender, measure), (shape, base, measure),
                          lambda a, b: a / b)

    def as_json(self):
        rows = []
        for (shape, contender, measure), rounds in self._rounds.items():
            ratio = self.ratio(shape, contender, "native", measure)
            rows.append({
                "shape": shape, "contender": contender, "measure": measure,
                "unit": self.units[(shape, measure)],
                "rounds": {str(r): value for r, value in rounds.items()},
                "median": self.value(shape, contender, measure).median,
                "ratio_to_native": vars(ratio) if ratio else None,
            })
        skipped = [{"shape": shape, "contender": contender, "why": why}
                   for (shape, contender), why in self.skips.items()]
        return {"samples": rows, "skipped": skipped, "notes": self.notes}
