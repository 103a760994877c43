# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the shapes, the contenders taking turns.

Order: in every round each shape goes through all contenders, and each round begins with
another contender, so that whatever else the machine does hits all alike. Each measurement
has a fresh mount over clean files that the backing's page cache holds.
"""

import contextlib

import machine
import shapes
from machine import Failed


def take_turns(items, round_number):
    start = round_number % len(items) if items else 0
    return items[start:] + items[:start]


class Load:
    def __init__(self, samples, contenders, plan, say):
        self.samples = samples
        self.contenders = contenders
        self.plan = plan                # size, runtime_ms, rounds, peer_rounds
        self.say = say
        self._ready = set()
        for contender in contenders:
            contender.note = samples.note
        self._probed = {}

    def run(self, chosen):
        for family in dict.fromkeys(shape.family for shape in chosen):
            self._family(family, [shape for shape in chosen if shape.family == family])

    def _family(self, family, group):
        running = []
        for contender in self.contenders:
            if family not in contender.families:
                self._skip(group, contender, "no such setting")
            elif self._prepare(contender, group):
                running.append(contender)
        self._probed.clear()
        for round_number in range(self.plan.rounds):
            for shape in group:
                self.say(f"{shape.name}: round {round_number + 1} of {self.plan.rounds}")
                for contender in take_turns(running, round_number):
                    self._one(shape, contender, round_number)

    def _prepare(self, contender, group):
        """Its files are there and it can be mounted; else it is skipped in the whole family."""
        try:
            if contender.name not in self._ready:
                self.say(f"preparing {contender.name}")
                contender.prepare(self.plan.size)
                self._ready.add(contender.name)
            contender.mount(group[0].cache)
            return True
        except (Failed, OSError) as problem:
            self._skip(group, contender, str(problem))
            self.say(f"SKIPPED {contender.name}: {problem}")
            return False
        finally:
            contender.unmount()

    def _skip(self, group, contender, why):
        for shape in group:
            self.samples.skip(shape.name, contender.name, why)

    def _one(self, shape, contender, round_number):
        peer = not contender.name.startswith(("native", "weir", "pll"))
        if (shape.name, contender.name) in self.samples.skips or \
                (peer and round_number >= self.plan.peer_rounds):
            return
        try:
            with machine.one_cpu() if shape.one_cpu else contextlib.nullcontext():
                result = self._mounted(shape, contender)
        except (Failed, OSError) as problem:
            self.samples.skip(shape.name, contender.name, str(problem))
            return
        for measure, (value, unit) in result.items():
            self.samples.add(shape.name, contender.name, round_number, value, unit, measure)

    def _mounted(self, shape, contender):
        try:
            contender.mount(shape.cache)
            self._check_direct(shape, contender)
            contender.warm(through_mount=shape.family == "buffered" and not shape.writes)
            return shapes.measure(shape, contender.directory, self.plan.size,
                                  self.plan.runtime_ms)
        finally:
            contender.unmount()
            if shape.writes:
                contender.settle()

    def _check_direct(self, shape, contender):
        if not shape.direct:
            return
        key = (contender.name, shape.writes)
        if key not in self._probed:
            self._probed[key] = shapes.probe_direct(contender.images()[0], shape.writes)
        if self._probed[key]:
            raise Failed(self._probed[key])
