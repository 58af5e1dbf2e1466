"""On top of the floors: charts in a terminal, as wide as it is, in colours where it supports them."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII = " .:-=+*#%@"
"""The characters for heights where the terminal's encoding has no blocks."""

ROWS = 3
"""The height of a series in lines of blocks; in ASCII it is one line."""

NARROWEST, WIDEST = 40, 140

COLOURS = ("32", "31", "90", "34", "35", "33")
"""The colours of the series in their order: green, red, grey and others."""


class Span(NamedTuple):
    """A time marked beneath a series, such as an outage, in the units of the x axis."""

    label: str
    first: float
    last: float


class Series(NamedTuple):
    """Numbers over time, one for each second, with their name."""

    label: str
    values: Sequence[float]


class Style(NamedTuple):
    """The abilities of a terminal."""

    columns: int
    blocks: bool
    colours: bool


def style_of(out: TextIO) -> Style:
    """Return the abilities of the terminal behind `out`: its width, and whether it has blocks and colours.

    Source: https://no-color.org: any value of NO_COLOR that is not empty means no colours.
    """
    columns = min(WIDEST, max(NARROWEST, shutil.get_terminal_size().columns))
    try:
        BLOCKS.encode(out.encoding or "ascii")
        blocks = True
    except (UnicodeEncodeError, LookupError):
        blocks = False
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Style(columns, blocks, wanted and out.isatty())


def strips(title: str, series: Sequence[Series], span: Span, style: Style) -> list[str]:
    """Return the lines of a chart: one strip for each series, all to one scale, and the span beneath them."""
    margin = max(len(each.label) for each in series) + 4
    width = style.columns - margin
    binned = [binned_to(each.values, width) for each in series]
    top = max((max(values) for values in binned), default=0.0) or 1.0
    lines = [f"{title} (full height: {top:.0f})"]
    for place, (each, values) in enumerate(zip(series, binned, strict=True)):
        drawn = strip(values, top, style)
        labels = [f"  {each.label}".ljust(margin), *[" " * margin] * (len(drawn) - 1)]
        lines += [
            f"{label}{coloured(row, place, style)}".rstrip() for label, row in zip(labels[::-1], drawn, strict=True)
        ]
    length = len(series[0].values)
    return [*lines, " " * margin + ruler(length, span, width)]


def binned_to(values: Sequence[float], width: int) -> list[float]:
    """Return the values as means of `width` bins of equal length."""
    found = []
    for place in range(width):
        first = place * len(values) // width
        last = max(first + 1, (place + 1) * len(values) // width)
        found.append(sum(values[first:last]) / (last - first))
    return found


def strip(values: Sequence[float], top: float, style: Style) -> list[str]:
    """Return the rows of one strip, the highest first."""
    levels, rows = (BLOCKS, ROWS) if style.blocks else (ASCII, 1)
    steps = len(levels) - 1
    heights = [height(value, top, rows * steps) for value in values]
    return [
        "".join(levels[min(steps, max(0, each - row * steps))] for each in heights) for row in reversed(range(rows))
    ]


def height(value: float, top: float, steps: int) -> int:
    """Return a value as a whole number of steps; a value above zero is never shown as zero."""
    exact = value / top * steps
    return max(1, round(exact)) if value > 0 else 0


def ruler(length: int, span: Span, width: int) -> str:
    """Return the line beneath the strips, with the span marked and named."""
    first, last = (round(min(length, place) / length * width) for place in (span.first, span.last))
    inner = max(0, last - first - 2)
    mark = f"|{span.label[:inner].center(inner, '-')}|"[: max(1, width - first)]
    line = " " * first + mark
    end = f"{length} s"
    return line.ljust(width - len(end)) + end if len(line) + len(end) < width else line


def coloured(text: str, place: int, style: Style) -> str:
    """Return a row in the colour of its series, where colours are on."""
    return f"\x1b[{COLOURS[place % len(COLOURS)]}m{text}\x1b[0m" if style.colours and text.strip() else text


def bars(rows: Sequence[tuple[str, float]], unit: str, style: Style) -> list[str]:
    """Return one horizontal bar for each row, with its number."""
    margin = max(len(label) for label, _ in rows) + 4
    numbers = [f" {value:,.0f}{unit}" for _, value in rows]
    width = max(8, style.columns - margin - max(map(len, numbers)))
    top = max(value for _, value in rows) or 1.0
    lines = []
    for place, ((label, value), number) in enumerate(zip(rows, numbers, strict=True)):
        bar = ("█" if style.blocks else "#") * height(value, top, width)
        lines.append(f"  {label}".ljust(margin) + coloured(bar, place, style) + number)
    return lines


class Progress:
    """A progress bar on stderr; silent where that is not a terminal."""

    def __init__(self, label: str, out: TextIO | None = None) -> None:
        self._label = label
        self._out: TextIO = sys.stderr if out is None else out
        self._shown = self._out.isatty()
        self._last = -1

    def __call__(self, share: float) -> None:
        """Show the share that is done."""
        percent = int(100 * share)
        if self._shown and percent > self._last:
            self._last = percent
            self._out.write(f"\r{self._label} [{'#' * (percent // 5):<20}] {percent:3} %")
            self._out.flush()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._shown:
            self._out.write("\r\x1b[K")
            self._out.flush()
