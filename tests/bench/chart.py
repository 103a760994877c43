# SPDX-License-Identifier: GPL-2.0-or-later
"""An SVG bar chart: one bar per contender and shape, its length the ratio to the backing
directory, with a line at 1.0 and a whisker from the smallest to the largest ratio.

Bars longer than the scale end in an arrow and carry their number.
"""

from xml.sax.saxutils import escape

import shapes as shape_table

SCALE_MAX = 1.5
LEFT, WIDTH, RIGHT = 300, 600, 60
BAR, GAP, HEAD = 11, 12, 64
COLOURS = {"weir": "#1b6ca8", "weir-daemon": "#6baed6", "weir-policy": "#2ca25f",
           "pll": "#f28e2b", "gocryptfs": "#b07aa1", "qemu-fuse": "#9c755f"}
STYLE = ("text{font:12px sans-serif;fill:#222}.small{font-size:9px}.title{font-size:15px;"
         "font-weight:bold}.grid{stroke:#ddd}.one{stroke:#c00;stroke-width:1.5}"
         ".whisker{stroke:#222;stroke-width:1}")


def x_of(ratio):
    return LEFT + WIDTH * min(ratio, SCALE_MAX) / SCALE_MAX


def _bar(top, spread, colour):
    middle, end = top + BAR / 2, x_of(spread.median)
    parts = [f'<rect x="{LEFT}" y="{top}" width="{end - LEFT:.1f}" height="{BAR - 1}" '
             f'fill="{colour}"/>',
             f'<line class="whisker" x1="{x_of(spread.low):.1f}" x2="{x_of(spread.high):.1f}" '
             f'y1="{middle}" y2="{middle}"/>']
    arrow = " ▸" if spread.median > SCALE_MAX else ""
    parts.append(f'<text class="small" x="{max(end, x_of(spread.high)) + 4:.1f}" '
                 f'y="{top + BAR - 2}">{spread.median:.2f}{arrow}</text>')
    return parts


def _axis(height):
    parts = []
    for step in range(int(SCALE_MAX / 0.25) + 1):
        ratio = step * 0.25
        kind = "one" if ratio == 1 else "grid"
        parts.append(f'<line class="{kind}" x1="{x_of(ratio)}" x2="{x_of(ratio)}" '
                     f'y1="{HEAD - 6}" y2="{height - 8}"/>')
        parts.append(f'<text class="small" x="{x_of(ratio) - 8}" y="{HEAD - 10}">{ratio:g}</text>')
    return parts


def _legend(contenders):
    parts, x = [], 10
    for name, title in contenders:
        parts.append(f'<rect x="{x}" y="28" width="10" height="10" fill="{COLOURS[name]}"/>')
        parts.append(f'<text class="small" x="{x + 14}" y="37">{escape(title)}</text>')
        x += 30 + 5.2 * len(title)
    return parts


def draw(samples, contenders):
    contenders = [(name, title) for name, title in contenders if name in COLOURS]
    parts, y = [], HEAD
    for shape in shape_table.SHAPES:
        bars = [(name, samples.ratio(shape.name, name, "native")) for name, _ in contenders]
        bars = [(name, spread) for name, spread in bars if spread]
        if not bars:
            continue
        parts.append(f'<text x="10" y="{y + BAR}">{escape(shape.title)}</text>'
                     f'<text class="small" x="10" y="{y + 2 * BAR + 2}">{shape.name}</text>')
        for name, spread in bars:
            parts += _bar(y, spread, COLOURS[name])
            y += BAR
        y += GAP + max(0, 2 - len(bars)) * BAR
    height, width = y + 10, LEFT + WIDTH + RIGHT
    return "\n".join(
        [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
         f'viewBox="0 0 {width} {height}">', f"<style>{STYLE}</style>",
         f'<rect width="{width}" height="{height}" fill="#fff"/>',
         '<text class="title" x="10" y="18">Speed as a ratio to the backing directory '
         '(longer is better)</text>'] + _legend(contenders) + _axis(height) + parts +
        ["</svg>", ""])
