# SPDX-License-Identifier: GPL-2.0-or-later
"""The tables: one structure, written as text for a terminal and as Markdown for docs/."""

import shapes as shape_table


def number(value):
    """Three figures that mean something, whatever the size."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def ratio_cell(spread):
    return f"{spread.median:.2f} ({spread.low:.2f}..{spread.high:.2f})"


def measured_cell(spread):
    if spread is None:
        return "-"
    if spread.count == 1:
        return number(spread.median)
    return f"{number(spread.median)} ({number(spread.low)}..{number(spread.high)})"


def _walk_order(shape):
    """Walks by command and size, then in the order in which they were walked."""
    *command, files, state = shape.split()
    return command, int(files), ("first", "cold", "warm").index(state)


def shapes_in_short(names, measured):
    """Shape names; a whole family (of what was @measured in this run) is one word."""
    for family in dict.fromkeys(shape.family for shape in shape_table.SHAPES):
        members = {shape.name for shape in shape_table.SHAPES if shape.family == family}
        if members & measured <= set(names) and len(members & measured) > 1:
            names = [name for name in names if name not in members] + [f"{family} shapes"]
    return ", ".join(names)


class Table:
    def __init__(self, title, head, rows, below=""):
        self.title, self.head, self.rows, self.below = title, head, rows, below

    def text(self):
        widths = [max(len(str(row[n])) for row in [self.head] + self.rows)
                  for n in range(len(self.head))]
        def line(row):
            return "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip()
        rule = "  ".join("-" * width for width in widths)
        return "\n".join([self.title, "", line(self.head), rule] +
                         [line(row) for row in self.rows] +
                         (["", self.below] if self.below else [])) + "\n"

    def markdown(self):
        def line(row):
            return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |"
        return "\n".join([f"## {self.title}", "", line(self.head),
                          "|" + "---|" * len(self.head)] + [line(row) for row in self.rows] +
                         (["", self.below] if self.below else [])) + "\n"


class Report:
    def __init__(self, samples, verdicts, contenders, facts):
        self.samples, self.verdicts, self.facts = samples, verdicts, facts
        self.contenders = contenders        # of the I/O shapes: (name, title)

    def tables(self):
        built = [self._facts(), self._targets()]
        chosen = [shape for shape in shape_table.SHAPES if shape.name in self.samples.shapes()]
        for family in dict.fromkeys(shape.family for shape in chosen):
            built.append(self._family(family, [s for s in chosen if s.family == family]))
        built += [self._fsync(), self._walks(), self._small(), self._footprint(), self._skips(),
                  self._notes()]
        return [table for table in built if table.rows]

    def _facts(self):
        return Table("What was measured", ["fact", "value"], self.facts)

    def _targets(self):
        rows = [[v.aim, v.wanted, measured_cell(v.measured),
                 v.word + (f": {v.why}" if v.why else "")] for v in self.verdicts]
        return Table("Numbers to reach", ["aim", "wanted", "median (min..max)", "verdict"], rows)

    def _family(self, family, chosen):
        titles = [title for _, title in self.contenders if title != "backing directory"]
        rows = []
        for shape in chosen:
            cells = []
            for name, _ in self.contenders:
                if name != "native":
                    spread = self.samples.ratio(shape.name, name, "native")
                    cells.append(ratio_cell(spread) if spread else
                                 ("skipped" if (shape.name, name) in self.samples.skips else "-"))
            native = self.samples.value(shape.name, "native")
            rows.append([shape.title, f"{number(native.median)} {shape.unit}" if native else "-"]
                        + cells)
        below = {
            "buffered": "Plain opens, mounts with cache=auto; page caches are warm where the "
                        "contender keeps them over an open.",
            "direct": "O_DIRECT, mounts with cache=none; the backing directory and passthrough "
                      "reach the virtual disk, a daemon may answer from the page cache.",
            "nocache": "Plain opens, mounts with cache=none: every call is a round trip to the "
                       "daemon; the backing's page cache answers.",
        }[family]
        return Table(f"Ratios to the backing directory: {family}",
                     ["shape", "backing"] + titles, rows, below)

    def _fsync(self):
        shape, rows = "buffered-fsync", []
        for name, title in self.contenders:
            cycle = self.samples.value(shape, name, "cycle")
            if cycle is None:
                continue
            extra = [self.samples.pairs((shape, name, m), (shape, "native", m), lambda a, b: a - b)
                     for m in ("cycle", "sync")]
            rows.append([title, measured_cell(cycle),
                         measured_cell(self.samples.value(shape, name, "sync"))] +
                        [measured_cell(spread) for spread in extra])
        return Table("Write + fsync, mean µs", ["contender", "write+fsync", "fsync alone",
                                               "extra per write+fsync", "extra per fsync"], rows)

    def _walks(self):
        rows = []
        walks = [s for s in self.samples.shapes() if s.startswith(("ls -lR", "find"))]
        for shape in sorted(walks, key=_walk_order):
            cells = []
            for name in ("native", "weir", "pll", "pll-no-xattr"):
                spread = self.samples.value(shape, name)
                base = shape.replace("first", "cold")
                ratio = self.samples.pairs((shape, name), (base, "native"), lambda a, b: a / b)
                cells.append("-" if not spread else
                             f"{spread.median:.3f} s" + (f" = {ratio.median:.2f}x" if ratio and
                                                         name != "native" else ""))
            rows.append([shape] + cells)
        return Table("Walks: seconds, and times the backing directory's",
                     ["walk", "backing", "weir", "passthrough_ll -o xattr",
                      "passthrough_ll -o no_xattr"], rows)

    def _small(self):
        rows = []
        for shape in self.samples.shapes():
            if shape.startswith(("mount", "round trip")):
                rows.append([f"{shape} ({self.samples.unit(shape)})"] +
                            [measured_cell(self.samples.value(shape, name))
                             for name in ("native", "weir", "pll", "pll-no-xattr")])
        return Table("Mount time and the plain round trip",
                     ["", "backing", "weir", "passthrough_ll", "passthrough_ll no_xattr"], rows)

    def _footprint(self):
        rows = []
        for shape in self.samples.shapes():
            for name in ("weir", "pll"):
                if shape.startswith("footprint") and self.samples.value(shape, name, "rss"):
                    rows.append([shape.split()[1], name] +
                                [number(self.samples.value(shape, name, m).median)
                                 for m in ("anonymous", "uss", "rss", "base", "at 1000", "at all")])
        return Table("Footprint of known files", ["files", "contender", "anonymous bytes/file",
                     "private bytes/file", "resident bytes/file", "MiB at 1,000",
                     "descriptors at 1,000", "descriptors at all"], rows,
                     "Bytes per file: growth from 1,000 to all known files, per file. Resident "
                     "bytes include the mapped catalog, which is page cache; anonymous ones do "
                     "not.")

    def _skips(self):
        rows, measured = {}, set(self.samples.shapes())
        for (shape, name), why in self.samples.skips.items():
            rows.setdefault((name, why), []).append(shape)
        return Table("Skipped", ["contender", "why", "shapes"],
                     [[name, why, shapes_in_short(names, measured)]
                      for (name, why), names in rows.items()])

    def _notes(self):
        return Table("Notes", ["note"], [[sentence] for sentence in self.samples.notes])

    def text(self):
        return "\n".join(table.text() for table in self.tables())

    def markdown(self):
        return "# Benchmark\n\n" + "\n".join(table.markdown() for table in self.tables())
