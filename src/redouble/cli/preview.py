"""On top of the floors: `redouble preview`, the waits of a policy as a table with a small picture."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from redouble.cli.chart import style_of
from redouble.cli.output import say

if TYPE_CHECKING:
    from redouble import RetryPolicy
    from redouble.types import PreviewRow

WIDTH = 40
"""The width of the longest wait in characters; on a terminal it is the width that the table leaves."""

NARROWEST = 8

HEADINGS = ("attempt", "earliest", "typical", "latest", "cumulated")


def show(policy: RetryPolicy, failures: int) -> None:
    """Print the waits after the first `failures` failed attempts, and how it ends."""
    rows = policy.preview(failures=failures)
    say(repr(policy).replace("redouble.RetryPolicy", "retry", 1))
    say()
    if rows:
        say("  ".join(HEADINGS))
        longest, width = max(row.latest for row in rows), width_beside_table()
        for row in rows:
            say(line(row, longest, width))
        say()
    say(ending(policy, rows))


def width_beside_table() -> int:
    """Return the width that is left for the picture."""
    if not sys.stdout.isatty():
        return WIDTH
    return max(NARROWEST, style_of(sys.stdout).columns - len("  ".join(HEADINGS)) - 2)


def line(row: PreviewRow, longest: float, width: int) -> str:
    """Return one row of the table, in seconds."""
    times = (row.earliest, row.typical, row.latest, row.cumulated)
    cells = [str(row.attempt), *(seconds(time) for time in times)]
    table = "  ".join(cell.rjust(len(heading)) for cell, heading in zip(cells, HEADINGS, strict=True))
    return f"{table}  {bar(row, longest, width)}{'  past the deadline' if row.past_deadline else ''}".rstrip()


def seconds(value: float) -> str:
    """Format seconds, to the millisecond where they are few."""
    return f"{value:.3f}" if value < 100 else f"{value:.0f}"


def bar(row: PreviewRow, longest: float, width: int) -> str:
    """Draw the range of a wait as dashes, the typical wait as `o`: `    ----o----`."""
    if longest == 0:
        return "o"
    first, typical, last = (round(wait / longest * (width - 1)) for wait in (row.earliest, row.typical, row.latest))
    return " " * first + "-" * (typical - first) + "o" + "-" * (last - typical)


def ending(policy: RetryPolicy, rows: list[PreviewRow]) -> str:
    """Tell the end of the retried call in one sentence, for typical waits."""
    waited = rows[-1].cumulated if rows else 0.0
    if rows and rows[-1].past_deadline:
        before = seconds(waited - rows[-1].typical)
        return (
            f"Gives up after attempt {rows[-1].attempt}, {before} s after the first: one more wait would end past the"
            f" deadline of {policy.deadline:g} s."
        )
    if policy.attempts == len(rows) + 1:
        return f"Gives up after attempt {policy.attempts}, {seconds(waited)} s after the first: attempts used up."
    limits = [
        f"{policy.attempts} attempts in a row have failed" if policy.attempts is not None else "",
        f"{policy.deadline:g} s have passed" if policy.deadline is not None else "",
    ]
    until = " or ".join(filter(None, limits))
    return f"Goes on until {until}." if until else "Goes on without end: neither attempts nor deadline limit it."
