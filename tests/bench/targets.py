# SPDX-License-Identifier: GPL-2.0-or-later
"""The numbers weir set out to reach, beside the measured ones. Nothing here asserts."""

from dataclasses import dataclass

from samples import Spread


@dataclass
class Verdict:
    aim: str                # a sentence
    wanted: str
    measured: Spread | None
    met: bool | None        # None: not measured
    why: str = ""           # ... because

    @property
    def word(self):
        return {True: "met", False: "NOT met", None: "not measured"}[self.met]


class Judge:
    def __init__(self, samples, shapes):
        self.samples = samples
        self.shapes = shapes
        self.verdicts = []

    def _add(self, aim, spread, limit, unit="", at_least=False, why=""):
        wanted = f"{'>=' if at_least else '<='} {limit:g}{unit}"
        met = None
        if spread:
            met = spread.median >= limit if at_least else spread.median <= limit
        self.verdicts.append(Verdict(aim, wanted, spread, met, "" if spread else why))

    def _why(self, shape, *contenders):
        return "; ".join(f"{name}: {self.samples.skips[(shape, name)]}"
                         for name in contenders if (shape, name) in self.samples.skips)

    def all(self):
        self._native_speed()
        self._against_passthrough_ll()
        self._scaling()
        for files in (10000, 100000):
            self._walks(files)
        self._mount_time()
        self._footprint()
        return self.verdicts

    def _native_speed(self):
        for shape in self.shapes:
            if shape.family == "nocache":
                continue
            if shape.fsync:
                extra = self.samples.pairs((shape.name, "weir", "cycle"),
                                           (shape.name, "native", "cycle"), lambda a, b: a - b)
                self._add("no policy: write+fsync over native, per fsync", extra, 40, " µs",
                          why=self._why(shape.name, "weir", "native"))
            else:
                self._add(f"no policy / backing: {shape.name}",
                          self.samples.ratio(shape.name, "weir", "native"), 0.95,
                          at_least=True, why=self._why(shape.name, "weir", "native"))

    def _against_passthrough_ll(self):
        for shape in self.shapes:
            self._add(f"limit+inspect / passthrough_ll: {shape.name}",
                      self.samples.ratio(shape.name, "weir-policy", "pll"), 1.0,
                      at_least=True, why=self._why(shape.name, "weir-policy", "pll"))

    def _scaling(self):
        names = {shape.name for shape in self.shapes}
        for shape in self.shapes:
            one = shape.name.removesuffix("4") + "1"
            if not (shape.name.endswith("rand" + shape.rw[4:] + "-4") and one in names):
                continue
            limit = 1.2 if shape.writes else 1.5
            spread = self._four_to_one(shape.name, one, "weir-policy")
            beside = [f"{title} {others.median:.2f}" for name, title in
                      (("native", "backing"), ("pll", "passthrough_ll"))
                      if (others := self._four_to_one(shape.name, one, name))]
            beside = f" ({', '.join(beside)})" if beside else ""
            self._add(f"limit+inspect, 4 jobs / 1 job: {shape.name[:-2]}{beside}", spread,
                      limit, at_least=True, why=self._why(shape.name, "weir-policy"))

    def _four_to_one(self, four, one, contender):
        return self.samples.pairs((four, contender), (one, contender), lambda a, b: a / b)

    def _walks(self, files):
        for command in ("ls -lR", "find"):
            for state in ("first", "cold", "warm"):
                shape = f"{command} {files} {state}"
                if shape not in self.samples.shapes():
                    continue
                base, limit = ("pll", 1.2) if files == 10000 else \
                    ("native", 2 if state == "warm" else 4)
                # A first walk (ids are given) has no counterpart: it is a cold one below.
                other = shape.replace("first", "cold")
                spread = self.samples.pairs((shape, "weir"), (other, base),
                                            lambda a, b: a / b)
                title = {"pll": "passthrough_ll", "native": "backing"}[base]
                self._add(f"{shape}: weir / {title}", spread, limit,
                          why=self._why(shape, "weir", base))

    def _mount_time(self):
        for state in ("first", "cold"):
            shape = f"mount 100000 {state}"
            if shape in self.samples.shapes():
                kind = "no catalog yet" if state == "first" else "catalog of all"
                self._add(f"mount, 100,000 files, {kind}",
                          self.samples.value(shape, "weir"), 300, " ms",
                          why=self._why(shape, "weir"))

    def _footprint(self):
        shape = "footprint 100000"      # with fewer, fixed costs hide what a file costs
        if shape not in self.samples.shapes():
            return
        for measure in ("anonymous", "rss"):
            self._add(f"memory per file, 100,000 known ({measure})",
                      self.samples.value(shape, "weir", measure), 400, " bytes",
                      why=self._why(shape, "weir"))
        growth = self.samples.pairs((shape, "weir", "at all"), (shape, "weir", "at 1000"),
                                    lambda everything, few: everything - few)
        self._add("descriptors at 100,000 known files over those at 1,000", growth, 0,
                  why=self._why(shape, "weir"))
